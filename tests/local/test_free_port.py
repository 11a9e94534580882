"""Ports for servers that listen a while later: nobody else is given the same one meanwhile."""

from __future__ import annotations

import socket
from itertools import count

import pytest

from checkout_service.local import servers
from checkout_service.local.servers import FIRST_PORT, free_port


def test_no_port_is_given_twice_and_none_of_those_that_connections_take() -> None:
    given = {free_port() for _ in range(300)}

    assert len(given) == 300
    assert max(given) < 32_768


def test_a_port_that_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(servers, "_turns", count(port - FIRST_PORT))
    with socket.create_server(("127.0.0.1", port)):
        assert free_port() != port
