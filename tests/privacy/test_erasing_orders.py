"""Erasing a person who has orders: what an invoice needs is kept for as long as the law wants it, and no longer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

from checkout_service.commands.models import Door
from checkout_service.commands.operations import Origin, erase
from tests.conftest import MakeListing, Servers, Sql
from tests.money import attempt, bring_to, fold
from tests.ordering import ADDRESS, BUYER, number_orders, open_session, paid_order
from tests.privacy.test_erasing import everything
from tests.refunding import insert_refund
from tests.worker.conftest import worker
from worker.commands import run_commands
from worker.webhooks.pruning import prune

__all__ = ["worker"]  # fixtures

NAME = "Ada Lovelace"
TRACKING = "AL-1815"


@pytest.fixture
def person(sql: Sql, make_listing: MakeListing) -> UUID:
    """Somebody with an old order that was canceled and one of today, of which a piece was sent and one given back."""
    user, listing = uuid4(), make_listing(stock=10)
    old, paid_old = paid_order(sql, (listing, 3), owner=user, buyer=BUYER, address=ADDRESS)
    young, paid = paid_order(sql, (listing, 3), owner=user, buyer=BUYER, address=ADDRESS)
    for order, payment in ((old, paid_old), (young, paid)):
        refund = insert_refund(sql, payment, "40", reason=f"'{NAME} asked'")
        sql(
            """INSERT INTO refund_lines (refund_id, order_line_id, qty, amount)
            SELECT :refund, id, 1, 40 FROM order_lines WHERE order_id = :order""",
            refund=refund,
            order=order,
        )
    sql(
        """INSERT INTO order_cancellations (order_id, reason, requested_by, idempotency_key, request_hash)
        VALUES (:order, :name, uuidv7(), 'key', '')""",
        order=old,
        name=NAME,
    )
    sql("UPDATE refunds SET status = 'succeeded', provider_ref = id::text")
    fold(sql, paid_old, paid)
    _fulfilled(sql, young)
    _hold(sql, user, make_listing)
    number_orders(sql)
    sql("UPDATE orders SET created_at = now() - interval '11 years' WHERE id = :id", id=old)
    sql("UPDATE payments SET created_at = now() - interval '1 day'")
    return user


def _fulfilled(sql: Sql, order: UUID, *, by: UUID | None = None) -> None:
    """One piece was sent."""
    sql(
        """INSERT INTO fulfilments (order_id, carrier, tracking, lines, requested_by, idempotency_key, request_hash)
        SELECT :order, :name, :tracking, jsonb_build_array(jsonb_build_object('line_id', id, 'qty', 1)), :by, :key, ''
        FROM order_lines WHERE order_id = :order""",
        order=order,
        name=f"by hand to {NAME}",
        tracking=TRACKING,
        by=by or uuid4(),
        key=f"of a clerk {uuid4()}",
    )


def _hold(sql: Sql, user: UUID, make_listing: MakeListing) -> None:
    """One whose session was never opened."""
    listing = make_listing(stock=1)["id"]
    take = "SELECT hold_take(uuidv7(), :user, uuidv7(), 0, ARRAY[CAST(:id AS uuid)], ARRAY[1])"
    assert sql(take, user=user, id=listing) == []


def _erase(app: Flask, worker_app: Flask, sql: Sql, person: UUID, *, years: int = 0) -> None:
    with app.app_context():
        command = erase(person, origin=Origin(key=uuid4(), door=Door.CLI, operator="ops", why="asked for in writing"))
    _in(worker_app, years, run_commands)
    (run,) = sql("SELECT state, message FROM command_runs WHERE id = :id", id=command)
    assert run.state == "done", run


def _in(worker_app: Flask, years: int, task: Any) -> str:
    """What the task says, in a worker that keeps orders for so many years."""
    settings = worker_app.extensions["settings"]
    worker_app.extensions["settings"] = replace(settings, orders_keep_years=years)
    try:
        with worker_app.app_context():
            result: str = task()
            return result
    finally:
        worker_app.extensions["settings"] = settings


def _kept(sql: Sql) -> list[Any]:
    """Of the old order, then of the new one: what they keep."""
    return [
        (row.buyer, row.delivery_address)
        for row in sql("SELECT buyer, delivery_address FROM orders ORDER BY created_at")
    ]


NOTHING = (None, None)
ALL = (BUYER, ADDRESS)


def test_without_a_setting_all_that_names_the_person_goes_at_once(
    sql: Sql, app: Flask, worker_app: Flask, person: UUID
) -> None:
    before = [tuple(row) for row in sql("SELECT id, number, amount, status FROM orders ORDER BY id")]
    versions = [row.version for row in sql("SELECT version FROM orders ORDER BY id")]
    assert NAME in everything(sql)
    _erase(app, worker_app, sql, person)

    left = everything(sql)
    assert NAME not in left
    assert TRACKING not in left
    assert str(person) not in left
    assert BUYER["email"] not in left
    assert [tuple(row) for row in sql("SELECT id, number, amount, status FROM orders ORDER BY id")] == before
    assert [row.version for row in sql("SELECT version FROM orders ORDER BY id")] == [old + 1 for old in versions]
    assert len(sql("SELECT FROM holds WHERE state = 'held'")) == 1, "it ends by itself"
    checked = app.test_cli_runner().invoke(args=["payments", "check"]).output
    assert [line.split()[1] for line in checked.splitlines() if "WRONG" in line] == ["money_without_event"], checked


def test_a_young_order_keeps_what_an_invoice_needs_and_nothing_else_does(
    sql: Sql, app: Flask, worker_app: Flask, person: UUID
) -> None:
    _erase(app, worker_app, sql, person, years=10)

    assert _kept(sql) == [NOTHING, ALL]
    left = everything(sql)
    assert str(person) not in left
    assert TRACKING not in left
    in_order = everything(sql, only="orders")
    assert left.count(NAME) == in_order.count(NAME)
    assert all(row.erased_at for row in sql("SELECT erased_at FROM orders"))
    assert [tuple(row) for row in sql("SELECT buyer, delivery_address FROM checkout_sessions")] == [NOTHING, NOTHING]
    subjects = {row.user_id for row in sql("SELECT user_id FROM orders UNION SELECT user_id FROM payments")}
    assert len(subjects) == 1
    assert subjects.pop().version == 4


def test_what_was_kept_goes_when_the_years_are_over(sql: Sql, app: Flask, worker_app: Flask, person: UUID) -> None:
    _erase(app, worker_app, sql, person, years=10)
    (young,) = sql("SELECT id FROM orders WHERE buyer IS NOT NULL")
    _fulfilled(sql, young.id)  # it was sent afterwards
    assert _in(worker_app, 10, prune).endswith("struck out 0 orders")
    assert _kept(sql) == [NOTHING, ALL]
    sql("UPDATE orders SET created_at = now() - interval '10 years 1 second' WHERE buyer IS NOT NULL")
    _in(worker_app, 10, prune)  # first what is found by them
    assert _kept(sql) == [NOTHING, ALL]
    _in(worker_app, 10, prune)

    assert _kept(sql) == [NOTHING, NOTHING]
    assert NAME not in everything(sql)
    assert TRACKING not in everything(sql)
    assert _in(worker_app, 10, prune).endswith("struck out 0 orders")


def test_a_shorter_setting_counts_for_what_is_kept_already(
    sql: Sql, app: Flask, worker_app: Flask, person: UUID
) -> None:
    _erase(app, worker_app, sql, person, years=20)
    assert _kept(sql) == [ALL, ALL]
    assert _in(worker_app, 10, prune).endswith("struck out 1 orders")
    assert _kept(sql) == [NOTHING, ALL]
    assert _in(worker_app, 0, prune).endswith("struck out 1 orders")
    assert _kept(sql) == [NOTHING, NOTHING]


def test_orders_of_others_keep_everything_for_good(
    sql: Sql, app: Flask, worker_app: Flask, person: UUID, make_listing: MakeListing
) -> None:
    order, _ = paid_order(sql, (make_listing(), 1), buyer=BUYER, address=ADDRESS)
    sql("UPDATE orders SET created_at = now() - interval '30 years' WHERE id = :id", id=order)
    _fulfilled(sql, order)
    before = everything(sql, only="fulfilments").count(TRACKING)
    _erase(app, worker_app, sql, person)
    _in(worker_app, 0, prune)

    (other,) = sql("SELECT buyer, delivery_address, erased_at FROM orders WHERE id = :id", id=order)
    assert tuple(other) == (BUYER, ADDRESS, None)
    assert (before, everything(sql, only="fulfilments").count(TRACKING)) == (2, 1)


def test_a_worker_of_the_release_before_strikes_out_no_invoice(
    sql: Sql, app: Flask, worker_app: Flask, servers: Servers, person: UUID
) -> None:
    """It does not say for how long they are kept; one of this release does."""
    with app.app_context():
        command = erase(person, origin=Origin(key=uuid4(), door=Door.CLI, operator="ops", why="asked for in writing"))
    engine = create_engine(servers.worker_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as role:
        for _ in range(40):
            step = role.execute(text("SELECT kind, touched, erased FROM person_erase_step(:id)"), {"id": command}).one()
    engine.dispose()
    assert step.kind == "done"
    assert _kept(sql) == [ALL, ALL]
    assert str(person) not in everything(sql)
    assert _in(worker_app, 10, prune).endswith("struck out 1 orders")
    assert _kept(sql) == [NOTHING, ALL]


def test_orders_wait_for_what_is_found_by_them_and_nobody_is_waited_for(
    sql: Sql, app: Flask, worker_app: Flask, superuser: Engine, person: UUID
) -> None:
    with app.app_context():
        command = erase(person, origin=Origin(key=uuid4(), door=Door.CLI, operator="ops", why="asked for in writing"))
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as somebody:
        somebody.execute(text("SELECT FROM fulfilments FOR UPDATE"))
        somebody.execute(text("SELECT FROM order_cancellations FOR UPDATE"))
        _in(worker_app, 0, run_commands)
        assert {row.user_id for row in sql("SELECT user_id FROM orders")} == {person}
    sql("UPDATE command_runs SET leased_until = now() WHERE id = :id", id=command)
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as somebody:
        somebody.execute(text("SELECT FROM orders FOR UPDATE"))
        _in(worker_app, 0, run_commands)
        assert sql("SELECT state FROM command_runs")[0].state == "running"
    sql("UPDATE command_runs SET leased_until = now() WHERE id = :id", id=command)
    _in(worker_app, 0, run_commands)

    assert sql("SELECT state FROM command_runs")[0].state == "done"
    assert NAME not in everything(sql)
    assert str(person) not in everything(sql)


def test_money_that_comes_late_makes_no_order_that_names_them(
    sql: Sql, app: Flask, worker_app: Flask, make_listing: MakeListing
) -> None:
    user = uuid4()
    late = open_session(sql, (make_listing(), 1), owner=user, buyer=BUYER, address=ADDRESS)
    sql("SELECT payments_fold(ARRAY[CAST(:id AS uuid)], ARRAY['expired']::payment_status[])", id=late)
    sql("UPDATE payments SET created_at = now() - interval '1 day'")
    _erase(app, worker_app, sql, user, years=10)
    sql(
        """INSERT INTO payment_attempts (payment_id, provider, status, reported_at, currency, amount_presumed)
        SELECT id, provider, 'started', now(), currency, amount FROM payments"""
    )
    fold(sql, late)

    (order,) = sql("SELECT user_id, buyer, delivery_address FROM orders")
    assert (order.buyer, order.delivery_address) == NOTHING
    assert order.user_id != user


def test_staff_are_forgotten_as_those_who_requested_it(
    sql: Sql, app: Flask, worker_app: Flask, make_listing: MakeListing
) -> None:
    """What they asked for stays; a refund is still known as a cancellation's."""
    clerk = uuid4()
    sent, paid = paid_order(sql, (make_listing(), 2), buyer=BUYER)
    _fulfilled(sql, sent, by=clerk)
    canceled, _ = paid_order(sql, (make_listing(), 1), buyer=BUYER)
    (cancellation,) = sql(
        """INSERT INTO order_cancellations (order_id, reason, requested_by, idempotency_key, request_hash)
        VALUES (:order, 'sold out', :clerk, 'a key', '') RETURNING id""",
        order=canceled,
        clerk=clerk,
    )
    for part in (0, 1):
        sql(
            """INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash, part)
            VALUES (:payment, 1, :clerk, 'cancellation of Ada', '', :part)""",
            payment=paid,
            clerk=clerk,
            part=part,
        )
    _erase(app, worker_app, sql, clerk)

    assert str(clerk) not in everything(sql)
    (request,) = sql("SELECT * FROM order_cancellations")
    assert (request.reason, request.idempotency_key) == ("sold out", str(request.id))
    of_cancellation, first, second = sql("SELECT * FROM refunds ORDER BY id")
    assert of_cancellation.requested_by == request.requested_by
    assert of_cancellation.idempotency_key == f"cancellation {cancellation.id}"
    assert [(row.idempotency_key, row.part) for row in (first, second)] == [(str(first.id), 0), (str(first.id), 1)]
    (fulfilment,) = sql("SELECT * FROM fulfilments")
    assert (fulfilment.tracking, fulfilment.idempotency_key) == (TRACKING, str(fulfilment.id))
    assert {row.buyer["name"] for row in sql("SELECT buyer FROM orders")} == {NAME}, "customers are other people"


def test_parts_of_a_refund_that_somebody_holds_are_left_together(
    sql: Sql, app: Flask, worker_app: Flask, superuser: Engine, make_listing: MakeListing
) -> None:
    clerk = uuid4()
    _, paid = paid_order(sql, (make_listing(), 1))
    for part in (0, 1):
        sql(
            """INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash, part)
            VALUES (:payment, 1, :clerk, 'key', '', :part)""",
            payment=paid,
            clerk=clerk,
            part=part,
        )
    with app.app_context():
        command = erase(clerk, origin=Origin(key=uuid4(), door=Door.CLI, operator="ops", why="asked for in writing"))
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as somebody:
        somebody.execute(text("SELECT FROM refunds WHERE part = 1 FOR UPDATE"))
        _in(worker_app, 0, run_commands)
        assert [row.idempotency_key for row in sql("SELECT idempotency_key FROM refunds")] == ["key", "key"]
        assert sql("SELECT state FROM command_runs")[0].state == "running"
    sql("UPDATE command_runs SET leased_until = now() WHERE id = :id", id=command)
    _in(worker_app, 0, run_commands)

    assert sql("SELECT state FROM command_runs")[0].state == "done"
    assert len({row.idempotency_key for row in sql("SELECT idempotency_key FROM refunds")} - {"key"}) == 1


def test_nobody_but_the_worker_strikes_out(servers: Servers, sql: Sql, person: UUID) -> None:
    engine = create_engine(servers.web_url)
    with engine.connect() as role, pytest.raises(ProgrammingError, match="permission denied for function"):
        role.execute(text("SELECT orders_strike_out(interval '0', 1000)"))
    engine.dispose()
    assert _kept(sql) == [ALL, ALL]


def test_an_export_has_the_orders_and_all_that_hangs_on_them(
    app: Flask, sql: Sql, person: UUID, make_listing: MakeListing
) -> None:
    paid_order(sql, (make_listing(), 1), buyer=BUYER)  # somebody else's
    done = app.test_cli_runner().invoke(args=["privacy", "export", "--user", str(person)])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [row["kind"] for row in rows]

    expected = {"order": 2, "order_line": 2, "fulfilment": 1, "order_cancellation": 1, "refund_line": 2, "hold": 2}
    assert {kind: kinds.count(kind) for kind in expected} == expected
    orders = [row for row in rows if row["kind"] == "order"]
    assert all((row["buyer"], row["delivery_address"]) == ALL for row in orders)
    lines = [row for row in rows if row["kind"] == "order_line"]
    assert all((row["unit_price"], row["line_total"]) == ("40.00", "120.00") for row in lines)
    assert all("request_hash" not in row for row in rows)


@pytest.mark.parametrize("for_good", [False, True])
def test_an_order_that_goes_to_a_duplicate_keeps_what_an_invoice_needs(
    sql: Sql, app: Flask, worker_app: Flask, make_listing: MakeListing, for_good: bool
) -> None:
    """The sessions have forgotten the person by then; the order has not, as long as the law wants it."""
    user, listing = uuid4(), make_listing(stock=10)
    first, second = (open_session(sql, (listing, 1), owner=user, buyer=BUYER, address=ADDRESS) for _ in range(2))
    attempt(sql, first, "authorized", ref="at_1", authorized="40.00")
    fold(sql, first)
    sql("UPDATE orders SET canceled_at = CASE WHEN :for_good THEN now() END", for_good=for_good)
    sql("UPDATE payment_attempts SET status = 'canceled'")
    fold(sql, first)
    bring_to(sql, second, "expired")
    sql("UPDATE cancel_requests SET next_attempt_at = NULL")
    sql("UPDATE payments SET created_at = now() - interval '1 day'")
    _erase(app, worker_app, sql, user, years=10)
    assert _kept(sql) == [ALL]

    attempt(sql, second, "started", presumed="40.00")
    fold(sql, second)

    kept = sql("SELECT * FROM orders ORDER BY id")
    assert [str(row.status) for row in kept] == (["canceled", "placed"] if for_good else ["placed"])
    assert kept[-1].payment_id == second
    assert _kept(sql) == [ALL] * len(kept)
    assert all(row.erased_at is not None and row.user_id != user for row in kept)
    sql("UPDATE orders SET created_at = now() - interval '11 years'")
    _in(worker_app, 10, prune)
    assert _kept(sql) == [NOTHING] * len(kept)
