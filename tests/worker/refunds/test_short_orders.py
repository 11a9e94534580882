"""Money that came when there were too few pieces goes back by itself, where the setting says so: once, whoever dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text

from checkout_service.providers.registry import account_forms
from checkout_service.settings.errors import SettingsError
from checkout_service.settings.values import WorkerSettings
from tests.capturing import insert_capture_request
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.crowd import at_once
from tests.money import fold
from tests.order_requests import (
    Ordered,
    ask_fulfilment,
    handed_over,
    notified,
    ordered,
    pieces,
    reasons_of,
    short_order,
    status_of,
    stock_of,
)
from tests.refunding import staff_of, sums
from tests.worker.conftest import MakeWorker
from worker.refunds import short_orders
from worker.refunds.short_orders import SERVICE, STEP, cancel_short_orders


@pytest.fixture
def refunding(make_worker: MakeWorker) -> Iterator[Flask]:
    app = make_worker(refunds_without_stock=True)
    with app.app_context():
        yield app


@pytest.fixture
def make_short(
    sql: Sql, make_customer: Callable[[], Customer], make_listing: MakeListing
) -> Callable[..., tuple[Ordered, dict[str, Any]]]:
    def make(left: int = 0) -> tuple[Ordered, dict[str, Any]]:
        listing = make_listing(unit_price="40.00")
        return short_order(sql, make_customer(), (listing, 2), left=left), listing

    return make


MakeShort = Callable[..., tuple[Ordered, dict[str, Any]]]


def count(sql: Sql) -> tuple[int, int, int]:
    """How many cancellations, refunds and voids there are."""
    (row,) = sql("""SELECT (SELECT count(*) FROM order_cancellations) AS c, (SELECT count(*) FROM refunds) AS r,
        (SELECT count(*) FROM voids) AS v""")
    return row.c, row.r, row.v


def test_an_order_that_is_short_is_canceled_and_given_back(
    refunding: Flask, make_short: MakeShort, sql: Sql, servers: Servers
) -> None:
    order, listing = make_short(left=1)
    assert (status_of(sql, order), reasons_of(sql, order)) == ("short", "paid_without_stock")

    assert cancel_short_orders() == "canceled 1"

    (refund,) = sql("SELECT * FROM refunds")
    assert (refund.amount, refund.requested_by, refund.reason) == (80, SERVICE, "out of stock")
    assert sums(sql, order.payment_id) == ("0.00", "80.00")
    assert (status_of(sql, order), reasons_of(sql, order), stock_of(sql, listing)) == ("canceled", None, (1, 0))
    assert notified(servers) == [("payments.refund", (str(refund.id),))]
    (row,) = sql("SELECT requested_by, refund_ids FROM order_cancellations")
    assert (row.requested_by, row.refund_ids) == (SERVICE, [refund.id])


def test_it_is_done_once(refunding: Flask, make_short: MakeShort, sql: Sql) -> None:
    make_short()
    assert [cancel_short_orders() for _ in range(3)] == ["canceled 1", "canceled 0", "canceled 0"]
    assert count(sql) == (1, 1, 0)


def test_several_are_done_in_one_step_each_by_itself(refunding: Flask, make_short: MakeShort, sql: Sql) -> None:
    orders = [make_short()[0] for _ in range(3)]
    assert cancel_short_orders() == "canceled 3"
    assert [status_of(sql, order) for order in orders] == ["canceled"] * 3
    assert count(sql) == (3, 3, 0)
    assert STEP > 3


def test_one_whose_payment_waits_for_its_look_up_is_left(refunding: Flask, make_short: MakeShort, sql: Sql) -> None:
    (kept, _), (other, _) = make_short(), make_short()
    sql(
        "INSERT INTO look_ups_after_restore (payment_id, provider) VALUES (:id, 'mock')",
        id=kept.payment_id,
    )
    assert cancel_short_orders() == "canceled 1"
    assert (status_of(sql, kept), status_of(sql, other)) == ("short", "canceled")
    sql("DELETE FROM look_ups_after_restore")
    assert cancel_short_orders() == "canceled 1"


def test_unless_it_is_set_they_are_kept(worker: Flask, make_short: MakeShort, sql: Sql) -> None:
    order, _ = make_short()
    assert cancel_short_orders() == "orders that are short are kept"
    assert (status_of(sql, order), count(sql)) == ("short", (0, 0, 0))


def test_an_order_of_which_something_was_fulfilled_stays(
    refunding: Flask, make_short: MakeShort, sql: Sql, customer: Customer
) -> None:
    order, _ = make_short(left=1)
    ask_fulfilment(staff_of(customer), order.id, lines=[pieces(order.lines[0], 1)])
    assert handed_over(sql, order) == [(1, 1)]

    assert cancel_short_orders() == "canceled 0"
    assert (status_of(sql, order), count(sql)) == ("partially_fulfilled", (0, 0, 0))


def test_orders_that_lack_nothing_or_are_on_hold_stay(
    refunding: Flask, make_short: MakeShort, sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    order = ordered(sql, customer, (make_listing(), 2))
    disputed, _ = make_short()
    sql(
        """INSERT INTO disputes (payment_id, provider, dispute_ref, stage, status, blocks_refund, currency, amount)
        SELECT id, provider, 'dp', 'chargeback', 'needs_response', true, currency, amount
        FROM payments WHERE id = :id""",
        id=disputed.payment_id,
    )
    fold(sql, disputed.payment_id)

    assert cancel_short_orders() == "canceled 0"
    assert (status_of(sql, order), status_of(sql, disputed)) == ("placed", "on_hold")


def test_what_is_only_authorized_is_released(
    refunding: Flask, sql: Sql, customer: Customer, make_listing: MakeListing, servers: Servers
) -> None:
    order = short_order(sql, customer, (make_listing(), 2), left=0, authorized=True)
    assert status_of(sql, order) == "short"

    assert cancel_short_orders() == "canceled 1"
    assert count(sql) == (1, 0, 1)
    assert [task for task, _ in notified(servers)] == ["payments.void"]


def test_a_capture_under_way_comes_first_and_keeps_nobody_else(
    refunding: Flask, make_short: MakeShort, sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    waiting = short_order(sql, customer, (make_listing(), 2), left=0, authorized=True)
    insert_capture_request(sql, waiting.payment_id)
    order, _ = make_short()

    assert cancel_short_orders() == "canceled 1"
    assert (status_of(sql, waiting), status_of(sql, order)) == ("short", "canceled")


def test_one_that_somebody_holds_is_left_to_the_next_run(
    refunding: Flask, make_short: MakeShort, sql: Sql, superuser: Engine
) -> None:
    held, other = make_short()[0], make_short()[0]
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as operator:
        operator.execute(text("SELECT FROM payments WHERE id = :id FOR UPDATE"), {"id": held.payment_id})
        assert cancel_short_orders() == "canceled 1"
        assert (status_of(sql, held), status_of(sql, other)) == ("short", "canceled")
    assert cancel_short_orders() == "canceled 1"


def test_one_that_is_refused_keeps_nobody_else(refunding: Flask, make_short: MakeShort, sql: Sql) -> None:
    odd, other = make_short()[0], make_short()[0]
    sql(
        """INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash, status, part)
        SELECT :id, 1, :service, 'none', '', 'failed', 0""",
        id=odd.payment_id,
        service=SERVICE,
    )
    sql(f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.payment_id = '{odd.payment_id}' THEN
                RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$""")
    sql("CREATE TRIGGER refuse BEFORE INSERT ON refunds FOR EACH ROW EXECUTE FUNCTION refuse()")
    try:
        assert cancel_short_orders() == "canceled 1"
    finally:
        sql("DROP FUNCTION refuse CASCADE")
    assert (status_of(sql, odd), status_of(sql, other)) == ("short", "canceled")
    assert cancel_short_orders() == "canceled 1"


def test_those_that_are_refused_do_not_keep_the_place_of_those_behind_them(
    refunding: Flask, make_short: MakeShort, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short_orders, "STEP", 2)
    odd, others = [make_short()[0] for _ in range(2)], [make_short()[0] for _ in range(3)]
    sql("CREATE TABLE refused AS SELECT unnest(CAST(:ids AS uuid[])) AS id", ids=[str(each.payment_id) for each in odd])
    sql("""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT FROM public.refused WHERE id = NEW.payment_id) THEN
                RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$""")
    sql("GRANT SELECT ON refused TO PUBLIC")
    sql("CREATE TRIGGER refuse BEFORE INSERT ON refunds FOR EACH ROW EXECUTE FUNCTION refuse()")
    try:
        assert [cancel_short_orders() for _ in range(3)] == ["canceled 0", "canceled 3", "canceled 0"]
    finally:
        sql("DROP FUNCTION refuse CASCADE")
        sql("DROP TABLE refused")
    assert [status_of(sql, order) for order in odd + others] == ["short"] * 2 + ["canceled"] * 3


def test_many_workers_cancel_each_order_once(make_worker: MakeWorker, make_short: MakeShort, sql: Sql) -> None:
    orders = [make_short()[0] for _ in range(6)]
    workers = [make_worker(refunds_without_stock=True) for _ in range(4)]

    def run(app: Flask) -> None:
        with app.app_context():
            cancel_short_orders()

    at_once([lambda app=app: run(app) for app in workers])
    run(workers[0])

    assert [status_of(sql, order) for order in orders] == ["canceled"] * 6
    assert count(sql) == (6, 6, 0)


def test_a_worker_that_is_killed_leaves_all_or_nothing(
    refunding: Flask, make_short: MakeShort, sql: Sql, servers: Servers
) -> None:
    """Its backend dies after the cancellation was made, before the commit: the next run does it."""
    order, listing = make_short(left=1)
    engine = create_engine(servers.worker_url)
    with engine.connect() as connection:
        (pid,) = connection.execute(text("SELECT pg_backend_pid()")).one()
        made = connection.execute(text("SELECT * FROM orders_cancel_short(10, :id)"), {"id": uuid4()}).all()
        assert len(made) == 1
        sql("SELECT pg_terminate_backend(:pid)", pid=pid)
        connection.invalidate()
    engine.dispose()
    assert (status_of(sql, order), stock_of(sql, listing), count(sql)) == ("short", (1, 1), (0, 0, 0))

    assert cancel_short_orders() == "canceled 1"
    assert count(sql) == (1, 1, 0)


@pytest.mark.parametrize(("value", "refunds"), [(None, False), ("keep", False), ("refund", True)])
def test_it_is_a_setting(monkeypatch: pytest.MonkeyPatch, value: str | None, refunds: bool) -> None:
    _environment(monkeypatch, value)
    assert WorkerSettings.from_environment(account_forms()).refunds_without_stock is refunds


@pytest.mark.parametrize("value", ["", "yes", "REFUND", "refund "])
def test_another_word_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    _environment(monkeypatch, value)
    with pytest.raises(SettingsError, match="PAID_WITHOUT_STOCK"):
        WorkerSettings.from_environment(account_forms())


def _environment(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.setenv("WORKER_DATABASE_URL", "postgresql://a@localhost/b")
    monkeypatch.setenv("REDIS_URL", "redis://localhost/0")
    monkeypatch.setenv("PAYMENT_PROVIDERS", "mock")
    monkeypatch.setenv("MOCK_WEBHOOK_SECRETS", "a secret that is long enough")
    if value is None:
        monkeypatch.delenv("PAID_WITHOUT_STOCK", raising=False)
    else:
        monkeypatch.setenv("PAID_WITHOUT_STOCK", value)
