"""A backend is killed between a hold and its session: nothing is half done, and the sweep ends what is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from time import monotonic, sleep
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from checkout_service.local.guard import Guard
from checkout_service.local.servers import Postgres, start_postgres
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WorkerSettings
from tests.apps import close_app
from tests.conftest import Sql, _migrate
from tests.stock.holding import SESSION, assert_stock_adds_up, end_holds
from worker.context import make_context
from worker.stock.sweeping import sweep


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server that a test may crash."""
    folder = tmp_path_factory.mktemp("crash")
    for above in (folder, *folder.parents[:2]):
        above.chmod(0o711)
    with closing(Guard()) as guard:
        postgres = start_postgres(folder / "postgres", guard=guard, durable=True)
        with postgres.server:
            postgres.create_database("shop")
            _migrate(postgres.url("postgres", "shop"))
            yield postgres


@pytest.fixture
def engine(own_server: Postgres) -> Iterator[Engine]:
    engine = create_engine(own_server.url("postgres", "shop"), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture
def own_sql(engine: Engine) -> Sql:
    def run(query: str, **parameters: object) -> list[object]:
        with engine.connect() as connection:
            result = connection.execute(text(query), parameters)
            return list(result.all()) if result.returns_rows else []

    return run


def kill_backend(engine: Engine, pid: int) -> None:
    """As the kernel does when memory ends. The server ends all others and recovers; returns when it is there again."""
    os.kill(pid, signal.SIGKILL)
    deadline = monotonic() + 60
    while monotonic() < deadline:
        sleep(0.05)
        with suppress(DBAPIError), engine.connect() as connection:
            connection.execute(text("SELECT FROM holds"))
            return
    raise AssertionError("the server never came back")


@pytest.mark.parametrize("when", ["after the hold", "within the hold", "within the session"])
def test_a_backend_killed_around_a_hold_leaves_what_the_sweep_ends(
    engine: Engine, own_sql: Sql, own_server: Postgres, worker_settings: WorkerSettings, when: str
) -> None:
    vendor = own_sql("INSERT INTO vendors (name) VALUES ('Harbour Books') RETURNING id")[0].id
    listing = own_sql(
        "INSERT INTO listings (vendor_id, title, unit_price, currency, stock) VALUES (:id, 'Atlas', 4, 'USD', 3)"
        " RETURNING id",
        id=vendor,
    )[0].id
    user = own_sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id
    cart = own_sql("INSERT INTO carts (user_id) VALUES (:id) RETURNING id", id=user)[0].id
    payment_id = uuid4()
    take = text("SELECT * FROM hold_take(:payment, :user, :cart, 1, ARRAY[CAST(:listing AS uuid)], ARRAY[2])")
    values = {"payment": payment_id, "user": user, "cart": cart, "listing": listing}
    with engine.connect() as connection:
        (pid,) = connection.execute(text("SELECT pg_backend_pid()")).one()
        if when == "within the hold":
            connection.exec_driver_sql("BEGIN")
        assert not connection.execute(take, values).all()
        if when == "within the session":
            # Something that is waited for takes the hold with it to the disk.
            own_sql("INSERT INTO users DEFAULT VALUES")
            connection.exec_driver_sql("BEGIN")
            connection.execute(text(SESSION), session_of(values))
        kill_backend(engine, pid)
        connection.invalidate()

    assert not own_sql("SELECT FROM payments")
    assert_stock_adds_up(own_sql)
    held = own_sql("SELECT FROM holds")
    # A commit that nobody waited for may be lost, but with all that belongs to it.
    assert len(held) == {"within the hold": 0, "within the session": 1}.get(when, len(held))
    end_holds(own_sql)
    swept(own_server, worker_settings)
    assert own_sql("SELECT reserved FROM stock_counters WHERE listing_id = :id", id=listing)[0].reserved == 0
    assert_stock_adds_up(own_sql)
    assert not own_sql("SELECT * FROM hold_take(uuidv7(), :user, :cart, 1, ARRAY[CAST(:listing AS uuid)], ARRAY[3])",
        user=user, cart=cart, listing=listing)  # fmt: skip
    own_sql("DELETE FROM holds")
    own_sql("DELETE FROM listings")


def session_of(values: dict[str, object]) -> dict[str, object]:
    """What SESSION takes, of two pieces."""
    return {
        "payment_id": values["payment"],
        "user_id": values["user"],
        "cart_id": values["cart"],
        "generation": 1,
        "ref": "mock_killed",
        "key": "killed",
        "amount": 8,
        "lines": f'[{{"listing_id": "{values["listing"]}", "qty": 2}}]',
        "address": None,
        "held_for": "70 minutes",
    }


def swept(server: Postgres, settings: WorkerSettings) -> None:
    app = make_context(replace(settings, database_url=Secret(server.url("checkout_worker", "shop"))))
    with app.app_context():
        assert sweep().endswith(" holds")
    close_app(app)
