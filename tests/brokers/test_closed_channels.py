"""A worker outlives its Redis broker, also when messages are given back or acknowledged on a channel that is closed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kombu import Connection
from kombu.transport.redis import Channel

from tests.conftest import Servers
from worker.closed_channels import survive_closed_channels


@pytest.mark.parametrize("connection", [None, SimpleNamespace(client=None)], ids=["without one", "without a client"])
def test_a_closed_channel_is_a_lost_connection(connection: Any) -> None:
    survive_closed_channels()
    closed = Channel.__new__(Channel)
    closed.connection = connection

    with pytest.raises(ConnectionResetError) as lost:
        closed._connparams()

    assert isinstance(lost.value, Connection("redis://").connection_errors), "what Celery connects anew after"


def test_an_open_channel_answers_as_before(servers: Servers) -> None:
    for _ in range(2):
        survive_closed_channels()

    with Connection(servers.redis_url) as connection:
        assert connection.default_channel.client.ping()
