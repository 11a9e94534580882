"""What the webhook receiver's tests begin with: apps and servers of their own, to be stopped, killed and frozen."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from kombu import pools
from sqlalchemy import create_engine, make_url, text

from checkout_service.local.guard import Guard
from checkout_service.local.servers import Postgres, Valkey, start_valkey
from tests.apps import another_postgres, make_app
from tests.conftest import _migrate

__all__ = ["make_app"]

Rows = Callable[..., list[Any]]


@pytest.fixture
def webhooks(sql: Rows) -> Callable[[], list[Any]]:
    """The webhooks on file, oldest first."""
    return lambda: sql("SELECT *, next_attempt_at - received_at AS due_after FROM webhook_deliveries ORDER BY id")


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    with closing(Guard()) as guard:
        valkey = start_valkey(tmp_path / "valkey", guard=guard, durable=False)
        with valkey.server:
            yield valkey
            _leave_broker(make_url(valkey.url).port)


def _leave_broker(port: int | None) -> None:
    """Close what apps have open there to publish: kombu keeps it for all apps of the process, up to its end."""
    for key, producers in list(pools.producers.items()):
        if producers.connections.connection.port == port:
            with suppress(producers.LimitExceeded):  # a thread that still sends its last message is waited for
                for _ in range(producers.limit):
                    producers.acquire(block=True, timeout=2)
            pools.producers.pop(key).force_close_all()
    for key, connections in list(pools.connections.items()):
        if connections.connection.port == port:
            pools.connections.pop(key).force_close_all()


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL with our tables in the database ``shop``; each test leaves it running."""
    with another_postgres() as postgres:
        postgres.create_database("shop")
        _migrate(postgres.url("postgres", "shop"))
        yield postgres


@pytest.fixture
def count_own_webhooks(own_postgres: Postgres) -> Iterator[Callable[[], int]]:
    engine = create_engine(own_postgres.url("postgres", "shop"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("TRUNCATE webhook_deliveries"))
    engine.dispose()

    def count() -> int:
        with engine.connect() as connection:
            found: int = connection.execute(text("SELECT count(*) FROM webhook_deliveries")).scalar_one()
        engine.dispose()  # so that a restart finds no connection of ours
        return found

    yield count
    engine.dispose()


@pytest.fixture
def cut_connections(own_postgres: Postgres) -> Callable[[], int]:
    """Have PostgreSQL end every connection of the web tier, as a failover does; how many those were."""

    def cut() -> int:
        engine = create_engine(own_postgres.url("postgres", "shop"), isolation_level="AUTOCOMMIT")
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'checkout-web'"
        with engine.connect() as connection:
            count = len(connection.execute(text(ended)).all())
        engine.dispose()
        return count

    return cut


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
