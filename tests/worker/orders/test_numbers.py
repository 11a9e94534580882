"""Numbers of orders: ascending and without a gap, given once the order is committed, never twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from checkout_service.database import engine
from checkout_service.database.errors import DatabaseUnavailableError
from tests.conftest import Sql
from tests.crowd import at_once
from tests.webhook_bodies import insert_webhook, webhook
from tests.worker.conftest import MakeWorker
from tests.worker.orders import buying
from worker.events import sequencer
from worker.events.sequencer import sequence_events
from worker.payments.sweeping import sweep
from worker.webhooks.task import process


def committed(sql: Sql, many: int) -> None:
    """Orders that were just committed, as the fold leaves them: without numbers."""
    listing = buying.listing(sql, None)
    for _ in range(many):
        bought = buying.session(sql, buying.cart(sql, {}), {listing: 1}, held=False)
        sql(
            """INSERT INTO orders (session_id, payment_id, cart_id, generation, user_id, amount, currency)
            SELECT id, payment_id, cart_id, generation, user_id, amount, currency FROM checkout_sessions
            WHERE payment_id = :id""",
            id=bought.payment,
        )


def given(sql: Sql) -> list[int]:
    """All numbers, in the order in which the orders were made."""
    return [row.number for row in sql("SELECT number FROM orders ORDER BY id")]


@pytest.mark.usefixtures("worker")
def test_a_processed_webhook_leaves_an_order_with_a_number(sql: Sql) -> None:
    listing = buying.listing(sql)
    for number in (1, 2):
        bought = buying.session(sql, buying.cart(sql, {listing: 1}), {listing: 1})
        process(str(insert_webhook(sql, webhook(bought.reference, amount="40.00", currency="USD"))))
        assert given(sql)[-1] == number
        process(str(insert_webhook(sql, webhook(bought.reference, "refunded", amount="40.00", currency="USD"))))
    assert given(sql) == [1, 2]


def test_numbers_go_on_where_they_were_and_carry_the_prefix(sql: Sql, make_worker: MakeWorker) -> None:
    committed(sql, 2)
    with make_worker(order_number_prefix="SHOP-").app_context():
        assert sequence_events().orders == 2
        committed(sql, 3)
        assert sequence_events().orders == 3
        assert sequence_events().orders == 0

    assert given(sql) == [1, 2, 3, 4, 5]
    assert {row.number_prefix for row in sql("SELECT number_prefix FROM orders")} == {"SHOP-"}
    assert sql("SELECT max(number) AS last FROM order_numbers")[0].last == 5


@pytest.mark.usefixtures("worker")
def test_no_number_is_given_twice_and_no_order_gets_two(sql: Sql) -> None:
    committed(sql, 2)
    sequence_events()
    first = sql("SELECT id FROM orders ORDER BY id LIMIT 1")[0].id
    for own, number in ((str(uuid4()), 1), (str(first), 3)):
        with pytest.raises(IntegrityError, match=r"order_numbers_(number|pkey)"):
            sql("INSERT INTO order_numbers (id, number) VALUES (:id, :number)", id=own, number=number)


@pytest.mark.usefixtures("worker")
def test_an_order_that_has_its_number_keeps_it(sql: Sql) -> None:
    """Whoever writes the queue by hand."""
    committed(sql, 2)
    sequence_events()
    sql("INSERT INTO unnumbered_orders (orders) SELECT array_agg(id) FROM orders")

    assert sequence_events().orders == 0
    assert given(sql) == [1, 2]
    assert sql("SELECT FROM unnumbered_orders") == []


@pytest.mark.usefixtures("worker")
def test_more_than_one_step_takes_are_numbered(sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "AT_ONCE", 3)
    committed(sql, 7)

    assert (sequence_events().orders, given(sql)) == (7, [1, 2, 3, 4, 5, 6, 7])


@pytest.mark.usefixtures("worker")
def test_the_sweep_numbers_what_a_crash_left(sql: Sql) -> None:
    committed(sql, 1)
    assert given(sql) == [None]

    sweep()

    assert given(sql) == [1]


@pytest.mark.usefixtures("worker")
def test_an_order_that_somebody_is_changing_is_not_waited_for(sql: Sql, superuser: Engine) -> None:
    committed(sql, 3)
    second = sql("SELECT id FROM orders ORDER BY id OFFSET 1 LIMIT 1")[0].id
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as other:
        other.execute(text("SELECT FROM orders WHERE id = :id FOR NO KEY UPDATE"), {"id": second})
        assert sequence_events().orders == 2
    assert sequence_events().orders == 1

    assert given(sql) == [1, 3, 2]


@pytest.mark.usefixtures("worker")
def test_a_vacuum_of_the_series_is_not_waited_for(sql: Sql, superuser: Engine) -> None:
    """One against the wraparound of transaction ids gives way to nobody, for as long as it takes."""
    committed(sql, 2)
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as other:
        # The lock that VACUUM and ANALYZE take.
        for table in ("order_numbers", "unnumbered_orders", "orders"):
            other.execute(text(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE"))
        assert sequence_events().orders == 2

    assert given(sql) == [1, 2]
    assert sql("SELECT FROM order_numbering") == [], "no vacuum has anything to do there"


@pytest.mark.usefixtures("worker")
def test_who_numbers_nothing_commits_nothing(sql: Sql) -> None:
    """Else each worker that comes second would hold the series through a commit of its own."""
    committed(sql, 1)
    sequence_events()
    before = sql("SELECT pg_current_xact_id()::text AS id")[0].id
    for _ in range(5):
        sequence_events()

    assert int(sql("SELECT pg_current_xact_id()::text AS id")[0].id) - int(before) == 1


@pytest.mark.parametrize("error", [DatabaseUnavailableError(), RuntimeError("anything")])
@pytest.mark.usefixtures("worker")
def test_what_is_committed_goes_on_where_numbers_cannot_be_given(
    sql: Sql, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any) -> Any:
        raise error

    bought = buying.session(sql, buying.cart(sql, {}), {buying.listing(sql): 1})
    monkeypatch.setattr(sequencer, "execute", fail)
    process(str(insert_webhook(sql, webhook(bought.reference, amount="40.00", currency="USD"))))

    assert (buying.order(sql, bought), given(sql)) == ("placed", [None])
    monkeypatch.setattr(sequencer, "execute", engine.execute)
    sweep()
    assert given(sql) == [1]


def test_many_workers_at_once_leave_no_gap_and_no_double(sql: Sql, make_worker: MakeWorker) -> None:
    committed(sql, 40)

    def numbering(app: Flask) -> Callable[[], int]:
        def job() -> int:
            with app.app_context():
                return sequence_events().orders

        return job

    assert sum(at_once([numbering(make_worker()) for _ in range(4)])) == 40
    assert given(sql) == list(range(1, 41))
