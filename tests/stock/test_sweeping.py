"""A hold ends with its time; while money is under way, with its method's limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WorkerSettings
from checkout_service.telemetry.metrics import holds_ended_total
from tests.conftest import MakeListing, Sql
from tests.money import bring_to
from tests.stock.holding import (
    Buyer,
    MakeBuyer,
    assert_stock_adds_up,
    buyer,
    counter_of,
    end_holds,
    holds_of,
    make_buyer,
)
from tests.worker.conftest import MakeWorker, make_worker, worker
from worker.stock import sweeping
from worker.stock.sweeping import sweep

__all__ = ["buyer", "make_buyer", "make_worker", "worker"]


def pass_time(sql: Sql, payment_id: UUID, span: str) -> None:
    """As if the payment's session and holds were so much older."""
    sql(
        """UPDATE checkout_sessions SET expires_at = expires_at - CAST(:span AS interval),
            held_until = held_until - CAST(:span AS interval) WHERE payment_id = :id""",
        id=payment_id,
        span=span,
    )
    sql("UPDATE holds SET until = until - CAST(:span AS interval) WHERE payment_id = :id", id=payment_id, span=span)


@pytest.mark.usefixtures("worker")
def test_a_hold_without_a_session_ends_after_two_minutes(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=3)
    payment_id = uuid4()
    buyer.take((listing, 2), payment_id=payment_id)

    assert sweep() == "ended 0 holds"
    assert holds_of(sql, payment_id)
    pass_time(sql, payment_id, "121 seconds")
    before = holds_ended_total._value.get()
    assert sweep() == "ended 1 holds"

    assert not holds_of(sql, payment_id)
    assert counter_of(sql, listing) == (3, 0)
    assert holds_ended_total._value.get() == before + 1


@pytest.mark.usefixtures("worker")
def test_a_hold_that_its_session_proved_is_looked_at_once_and_stays(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=3)
    payment_id = buyer.buy((listing, 2))
    sql("UPDATE holds SET until = now()")

    assert sweep() == "ended 0 holds"

    (hold,) = sql("SELECT until = session.held_until AS as_it_says FROM holds JOIN checkout_sessions AS session "
        "ON session.payment_id = holds.payment_id")  # fmt: skip
    assert hold.as_it_says
    assert holds_of(sql, payment_id) == {listing["id"]: (2, 2)}


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("status", ["pending", "failed"])
def test_a_hold_that_nobody_pays_ends_ten_minutes_after_its_session(
    buyer: Buyer, make_listing: MakeListing, sql: Sql, status: str
) -> None:
    listing = make_listing(stock=3)
    payment_id = buyer.buy((listing, 2))
    bring_to(sql, payment_id, status)

    pass_time(sql, payment_id, "69 minutes")
    sweep()
    assert counter_of(sql, listing) == (3, 2)
    pass_time(sql, payment_id, "1 minute")
    sweep()

    assert counter_of(sql, listing) == (3, 0)
    assert_stock_adds_up(sql)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("status", "amount"), [("processing", None), ("authorized", "1"), ("partially_paid", "1")])
def test_a_hold_stays_while_money_may_come_until_the_limit(
    buyer: Buyer, make_listing: MakeListing, sql: Sql, status: str, amount: str | None
) -> None:
    listing = make_listing(stock=3)
    payment_id = buyer.buy((listing, 2))
    bring_to(sql, payment_id, status, amount=amount)

    pass_time(sql, payment_id, "71 hours")
    sweep()

    assert counter_of(sql, listing) == (3, 2)
    (hold,) = sql("SELECT state, until - now() AS left FROM holds")
    assert hold.state == "held"
    assert timedelta(minutes=9) < hold.left <= timedelta(minutes=10)
    pass_time(sql, payment_id, "2 hours")
    sweep()
    assert counter_of(sql, listing) == (3, 0)
    assert_stock_adds_up(sql)


def test_the_limit_is_the_providers_own(
    buyer: Buyer, make_listing: MakeListing, sql: Sql, make_worker: MakeWorker, worker_settings: WorkerSettings
) -> None:
    listing = make_listing(stock=3)
    payment_id = buyer.buy((listing, 2))
    bring_to(sql, payment_id, "processing")
    pass_time(sql, payment_id, "2 hours")
    mock = replace(worker_settings.accounts["mock"], hold_limit=timedelta(seconds=3590))

    with make_worker(accounts={"mock": replace(mock, hold_limit=timedelta(hours=2))}).app_context():
        sweep()
    assert counter_of(sql, listing) == (3, 2)
    end_holds(sql)
    with make_worker(accounts={"mock": mock}).app_context():
        sweep()

    assert counter_of(sql, listing) == (3, 0)


def test_a_provider_that_was_taken_out_has_the_usual_limit(
    buyer: Buyer, make_listing: MakeListing, sql: Sql, make_worker: MakeWorker
) -> None:
    listing = make_listing(stock=3)
    payment_id = buyer.buy((listing, 2))
    bring_to(sql, payment_id, "processing")
    pass_time(sql, payment_id, "70 hours")

    with make_worker(accounts={"stripe": Account(hold_limit=timedelta(seconds=1))}).app_context():
        sweep()

    assert counter_of(sql, listing) == (3, 2)


@pytest.mark.usefixtures("worker")
def test_more_than_one_step_ends_in_one_sweep(
    make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "STEP", 3)
    listings = [make_listing(stock=9) for _ in range(2)]
    for _ in range(4):
        make_buyer().take(*[(listing, 2) for listing in listings])
    sql("UPDATE holds SET until = now()")

    assert sweep() == "ended 8 holds"

    assert [counter_of(sql, listing) for listing in listings] == [(9, 0), (9, 0)]


@pytest.mark.usefixtures("worker")
def test_holds_that_somebody_works_on_are_passed_over(
    make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql, superuser: Engine
) -> None:
    listing = make_listing(stock=9)
    busy = uuid4()
    make_buyer().take((listing, 2), payment_id=busy)
    make_buyer().take((listing, 3))
    sql("UPDATE holds SET until = now()")

    with superuser.connect().execution_options(isolation_level="READ COMMITTED") as other, other.begin():
        other.execute(text("SELECT FROM holds WHERE payment_id = :id FOR UPDATE"), {"id": busy})
        assert sweep() == "ended 1 holds"

    assert counter_of(sql, listing) == (9, 2)
    assert sweep() == "ended 1 holds"


@pytest.mark.usefixtures("worker")
def test_a_sweep_whose_time_is_over_says_so(
    buyer: Buyer, make_listing: MakeListing, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "SWEEP_FOR", 0.0)
    listing = make_listing(stock=3)
    buyer.take((listing, 2))
    sql("UPDATE holds SET until = now()")

    assert sweep() == "ended 0 holds, and more may be due"
    assert counter_of(sql, listing) == (3, 2)


@pytest.mark.usefixtures("worker")
def test_what_is_sold_never_ends(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=3)
    payment_id = buyer.buy((listing, 2))
    bring_to(sql, payment_id, "paid")
    sql("UPDATE checkout_sessions SET expires_at = now() - interval '1 year'")

    assert sweep() == "ended 0 holds"

    assert counter_of(sql, listing) == (3, 2)
    assert sql("SELECT state::text FROM holds")[0].state == "sold"


def test_a_database_that_is_away_is_no_error(make_worker: MakeWorker) -> None:
    away = Secret("postgresql+psycopg://checkout_worker@127.0.0.1:1/nowhere")
    with make_worker(database_url=away).app_context():
        assert sweep() == "ended 0 holds, and more may be due"


@pytest.mark.usefixtures("worker")
def test_what_a_late_retry_took_after_its_session_was_paid_and_sent_ends_like_one_without_a_session(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    """The cart is filled anew by then, so the take itself does not look for it."""
    listing = make_listing(stock=3)
    payment_id = buyer.buy((listing, 2))
    bring_to(sql, payment_id, "paid")
    sql(
        """INSERT INTO fulfilments (order_id, requested_by, idempotency_key, request_hash)
        SELECT id, uuidv7(), 'key', '' FROM orders"""
    )
    assert counter_of(sql, listing) == (1, 0)
    assert buyer.take((listing, 1), payment_id=payment_id).held
    assert counter_of(sql, listing) == (1, 1)

    sql("UPDATE holds SET until = now(), created_at = now() + interval '6 seconds'")
    assert sweep() == "ended 1 holds"

    assert counter_of(sql, listing) == (1, 0)
    assert_stock_adds_up(sql)


@pytest.mark.usefixtures("worker")
def test_what_was_taken_while_its_session_waited_for_a_lock_stays(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    """A retry gave the hold back and took it again meanwhile; the session has proved the newer one."""
    listing = make_listing(stock=3)
    buyer.buy((listing, 2))
    sql(
        "UPDATE holds SET until = now(), created_at = (SELECT created_at + interval '2 seconds' FROM checkout_sessions)"
    )

    assert sweep() == "ended 0 holds"
    assert counter_of(sql, listing) == (3, 2)
