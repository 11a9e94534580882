"""Orders of a drain by three children: each payment has one, and their numbers have no gap and no double."""

from __future__ import annotations

import multiprocessing
from uuid import UUID

import psycopg
import pytest

from benchmarks import seeds
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WorkerSettings
from tests.conftest import MOCK_SECRET, Servers, Sql
from worker.context import make_context
from worker.webhooks.task import process

CHILDREN = 3

SPAWN = multiprocessing.get_context("spawn")


def drain(database: str, redis: str, first: UUID) -> None:
    """One child: takes sets until nothing waits."""
    settings = WorkerSettings(
        database_url=Secret(database),
        redis_url=Secret(redis),
        broker_url=Secret(redis),
        environment="test",
        accounts={"mock": Account(secrets=[Secret(MOCK_SECRET)])},
    )
    plain = database.replace("postgresql+psycopg://", "postgresql://")
    with make_context(settings).app_context(), psycopg.connect(plain, autocommit=True) as connection:
        while connection.execute("SELECT 1 FROM webhook_deliveries WHERE state = 'received' LIMIT 1").fetchone():
            process(str(first))


@pytest.mark.parametrize(
    "many", [600, pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])], ids=["600", "20,000"]
)
def test_a_drain_by_three_children_leaves_orders_with_all_numbers(sql: Sql, servers: Servers, many: int) -> None:
    plain = servers.superuser_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as connection:
        seeds.add_payments(connection, first=0, count=many)
        references = list(seeds.reference(connection, first=0, count=many))
        seeds.add_webhooks(connection, seeds.webhooks(iter(references), MOCK_SECRET))
    first = sql("SELECT id FROM webhook_deliveries LIMIT 1")[0].id

    children = [
        SPAWN.Process(target=drain, args=(servers.worker_url, servers.redis_url, first)) for _ in range(CHILDREN)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()

    assert [child.exitcode for child in children] == [0] * CHILDREN
    (row,) = sql("""SELECT count(*), count(DISTINCT number) AS numbers, min(number) AS least, max(number) AS most,
        count(DISTINCT payment_id) AS payments, bool_and(status = 'placed') AS placed FROM orders""")
    assert tuple(row) == (many, many, 1, many, many, True)
    assert sql("SELECT max(number) AS last FROM order_numbers")[0].last == many
    assert sql("SELECT FROM holds WHERE state = 'held'") == []
    assert sql("SELECT FROM cart_items") == []
