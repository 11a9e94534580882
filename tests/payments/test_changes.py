"""The number that tells of a change: another one after each change of what is shown, of many payments at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.api.callers import Caller
from checkout_service.events import routes as events
from checkout_service.payments import changes, queries
from checkout_service.payments.changes import (
    WAITING_OF_ALL,
    WAITING_OF_CALLER,
    WAITING_OF_STAFF,
    shares_of,
    version_of,
    versions_of,
)
from checkout_service.server.granian_server import LONG_POLLS
from checkout_service.server.long_polls import ENVIRON_KEY
from checkout_service.server.slots import ENVIRON_KEY as SLOTS_KEY
from checkout_service.server.slots import Kind, Slots
from tests.capturing import ask_capture, ask_void
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.money import attempt, bring_to, capture, dispute, fold
from tests.ordering import number_orders, open_session
from tests.purchases import fill_cart, opened
from tests.refunding import ask_refund, open_payment, staff_of

Change = Callable[[Customer, Sql, UUID], object]


def _row(table: str, columns: str, values: str) -> Change:
    def change(_customer: Customer, sql: Sql, payment_id: UUID) -> None:
        sql(f"INSERT INTO {table} (payment_id, {columns}) VALUES (:id, {values})", id=payment_id)

    return change


def _money_of_another(_customer: Customer, sql: Sql, payment_id: UUID) -> None:
    (other,) = sql(
        """SELECT other.payment_id FROM checkout_sessions AS own JOIN checkout_sessions AS other
            ON other.cart_id = own.cart_id AND other.payment_id <> own.payment_id WHERE own.payment_id = :id""",
        id=payment_id,
    )
    bring_to(sql, other.payment_id, "paid")


CHANGES: dict[str, Change] = {
    "its own row": lambda _customer, sql, id_: sql("UPDATE payments SET look_ups = look_ups WHERE id = :id", id=id_),
    "an attempt": lambda _customer, sql, id_: attempt(sql, id_, "failed", ref="at_9"),
    "an attempt that goes on": lambda _customer, sql, id_: sql("UPDATE payment_attempts SET decline = 'lost_card'"),
    "a capture": lambda _customer, sql, id_: capture(sql, id_, "ca_9", "0.10"),
    "a refund": lambda customer, sql, id_: ask_refund(staff_of(customer), id_, amount="1.00"),
    "a dispute": lambda _customer, sql, id_: dispute(sql, id_, "1.00"),
    "an event of the past": _row("payment_events", "provider, event_id, outcome", "'mock', 'evt_1', 'stale'"),
    "a notice": _row("payment_notices", "reason, ref", "'fraud_warning', 'w_1'"),
    "a review": _row("payment_reviews", "reason, amounts", "'fraud_warning', '1'"),
    "an acceptance": _row("payment_acceptances", "amount, operator, why, command_id", "1, 'ops', 'so', uuidv7()"),
    "a request to cancel that goes on": lambda _customer, sql, id_: sql("UPDATE cancel_requests SET attempts = 7"),
    "its order's number": lambda _customer, sql, id_: number_orders(sql),
    "money of the other payment of its cart": _money_of_another,
}


@pytest.fixture
def payment(customer: Customer, make_listing: MakeListing, sql: Sql) -> UUID:
    """A paid one, with an order that has no number yet, beside another of the same cart."""
    cart = fill_cart(customer, (make_listing(unit_price="120.00"), 2))
    ids = [UUID(opened(customer, cart, key)["payment_id"]) for key in ("one", "two")]
    bring_to(sql, ids[0], "paid")
    return ids[0]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_of_what_is_shown_makes_it_another(
    app: Flask, customer: Customer, sql: Sql, payment: UUID, change: Change
) -> None:
    with app.app_context():
        before, again = version_of(payment), version_of(payment)
        assert before == again != 0
        change(customer, sql, payment)
        assert version_of(payment) != before


@pytest.mark.parametrize("request_", [ask_capture, ask_void], ids=["capture", "void"])
def test_so_do_requests_for_what_is_authorized(
    app: Flask, customer: Customer, sql: Sql, make_listing: MakeListing, request_: Callable[..., object]
) -> None:
    payment_id = open_session(sql, (make_listing(), 1))
    attempt(sql, payment_id, "authorized", ref="at", authorized="40")
    fold(sql, payment_id)
    with app.app_context():
        before = version_of(payment_id)
        request_(staff_of(customer), payment_id)
        assert version_of(payment_id) != before


def test_every_table_that_the_api_shows_of_a_payment_is_looked_at() -> None:
    def tables(statement: str) -> set[str]:
        return set(re.findall(r"(?:FROM|JOIN) (\w+) AS", statement))

    shown = set().union(*(tables(each.sql) for each in queries._newest_entries.values()))
    assert len(shown) >= 13
    # Whose guest somebody is decides who may look, and shows nothing.
    assert shown - tables(changes._versions.sql) == {"guests"}


def test_many_are_looked_at_in_one_statement_and_others_change_nothing(
    app: Flask, sql: Sql, statements: Statements
) -> None:
    ids = [open_payment(sql)[0] for _ in range(50)]
    with app.app_context():
        before = versions_of(ids)
        bring_to(sql, ids[7], "paid")
        with statements() as made:
            after = versions_of([*ids, uuid4()])
    assert len(made) == 1
    assert set(after) == set(ids), "none of what there is not"
    assert {id_ for id_ in ids if after[id_] != before[id_]} == {ids[7]}


def test_a_wait_costs_one_statement_more(customer: Customer, payment: UUID, statements: Statements) -> None:
    path = f"/api/payments/{payment}"
    known = {"If-None-Match": customer.get(path).headers["ETag"]}
    for query, headers, count in (("", known, 1), ("?wait=30", {}, 1), ("?wait=0", known, 1), ("?wait=30", known, 2)):
        with statements() as made:
            answer = customer.get(path + query, headers=headers)
        assert (answer.status_code, len(made)) == (304 if headers else 200, count)
        assert "Retry-After" not in answer.headers, "no server is here that could keep it"


@pytest.mark.parametrize("wait", ["-1", "31", "x", "1.5", "", "1&wait=2", "%00"])
def test_what_is_no_number_of_seconds_is_refused(customer: Customer, payment: UUID, wait: str) -> None:
    assert customer.get(f"/api/payments/{payment}?wait={wait}").status_code == 422


def test_guests_leave_room_for_customers(app: Flask) -> None:
    user_id = uuid4()
    with app.app_context():
        assert set(shares_of(Caller(user_id), {})) == {"payments", str(user_id)}
        assert set(shares_of(Caller(user_id, is_guest=True), {})) == {"payments", str(user_id), "guests"}


class _Full:
    """The long polls of a server where no place is free; it keeps whose place was to be taken."""

    def __init__(self) -> None:
        self.shares: list[Mapping[str, int]] = []

    def begin(self, shares: Mapping[str, int]) -> bool:
        self.shares.append(shares)
        return False


def test_who_reads_all_payments_leaves_room_for_customers(app: Flask, customer: Customer, payment: UUID) -> None:
    """A program that waits in its customers' place takes many places, and not all."""
    full = _Full()
    environ = {ENVIRON_KEY: full, SLOTS_KEY: Slots(working=1, waiting=1, queue=1).share(Kind.API)}
    path = f"/api/payments/{payment}"
    for reader in (customer, staff_of(customer, scope="payments:read")):
        known = {"If-None-Match": reader.get(path).headers["ETag"]}
        answer = reader.get(f"{path}?wait=30", headers=known, environ_overrides=environ)
        assert (answer.status_code, answer.headers["Retry-After"]) == (304, "5")
    assert full.shares == [
        {"payments": WAITING_OF_ALL, str(customer.id): WAITING_OF_CALLER},
        {"payments": WAITING_OF_ALL, "staff": WAITING_OF_STAFF},
    ]
    assert WAITING_OF_STAFF <= WAITING_OF_ALL - 500
    assert events.WAITING_OF_ALL <= LONG_POLLS - WAITING_OF_ALL, "and both leave room for who waits for events"
