"""A process finds its own sockets, whatever its bound on open files is."""

from __future__ import annotations

import resource
import socket
import sys
from contextlib import closing

import pytest

from checkout_service.server import granian_server, sockets
from checkout_service.server.sockets import OwnSockets


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists open files")
@pytest.mark.parametrize("allowed", [None, 2**20, resource.RLIM_INFINITY])
def test_without_proc_a_listener_is_found_by_trying_a_bounded_number_of_files(
    monkeypatch: pytest.MonkeyPatch, allowed: int | None
) -> None:
    """With None the listener has the last number that the process may use, however many files the tests have open."""
    with socket.create_server(("127.0.0.1", 0)) as listener, closing(OwnSockets(listener.getsockname()[1])) as own:
        most = listener.fileno() + 1 if allowed is None else allowed
        monkeypatch.setattr(sockets, "_OPEN_FILES", "/nowhere")
        monkeypatch.setattr(resource, "getrlimit", lambda _: (most, resource.RLIM_INFINITY))

        assert len(list(own.listeners())) == 1
        tried = len(list(sockets._open_files()))
        assert tried == most if allowed is None else tried == 2**16


def test_as_many_files_are_tried_as_the_server_asks_for() -> None:
    assert 4 * granian_server.CONNECTIONS <= sockets._MOST_TRIED
