"""Entries go one way, whoever writes them: what a provider reported is never taken back."""

from __future__ import annotations

from itertools import product
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from checkout_service.payments.status import AttemptStatus, CaptureStatus, RequestStatus
from tests.conftest import Sql
from tests.money import attempt, capture, fold
from tests.refunding import paid_payment
from tests.webhook_bodies import insert_payment

ENTRIES = {"payment_attempts": AttemptStatus, "captures": CaptureStatus, "capture_requests": RequestStatus}
STEPS = [
    (table, before.value, after.value)
    for table, statuses in ENTRIES.items()
    for before, after in product(statuses, statuses)
]


@pytest.fixture
def payment(sql: Sql) -> UUID:
    """Of 240.00 USD, with one entry of each kind; capture and attempt count nothing yet."""
    insert_payment(sql)
    payment: UUID = sql("SELECT id FROM payments")[0].id
    attempt(sql, payment, "authorized", ref="open", authorized="100")
    fold(sql, payment)
    sql(
        """INSERT INTO capture_requests (payment_id, attempt_ref, amount, final, requested_by, idempotency_key,
            request_hash) VALUES (:id, 'open', 10, false, uuidv7(), 'key', '')""",
        id=payment,
    )
    sql("DELETE FROM payment_attempts")
    sql(
        """INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at, currency,
            amount_presumed, amount_authorized, expires_at, times_out_at, given_up_at, replaces)
        VALUES (:id, 'mock', 'a_1', 'started', now(), 'USD', 10, 10, now(), now(), now(), 'a_0')""",
        id=payment,
    )
    capture(sql, payment, "c_1", "100", attempt_ref="a_1", status="pending")
    sql(
        """INSERT INTO disputes (payment_id, provider, dispute_ref, capture_ref, stage, status, reported_at, rank,
            event_id, money_step, money_out, amount, currency)
        VALUES (:id, 'mock', 'd_1', 'c_1', 'chargeback', 'lost', now(), 3, 'evt_5', 1, true, 40, 'USD')""",
        id=payment,
    )
    return payment


@pytest.mark.parametrize(("table", "before", "after"), STEPS)
def test_no_status_of_an_entry_goes_back(sql: Sql, payment: UUID, table: str, before: str, after: str) -> None:
    order = [status.value for status in ENTRIES[table]]
    sql(f"UPDATE {table} SET status = '{before}'")
    if order.index(after) >= order.index(before):
        sql(f"UPDATE {table} SET status = '{after}'")
    else:
        with pytest.raises(IntegrityError, match=f"cannot go back from {before} to {after}"):
            sql(f"UPDATE {table} SET status = '{after}'")
    assert sql(f"SELECT status::text FROM {table}")[0].status == max(before, after, key=order.index)


@pytest.mark.parametrize(
    "change",
    [
        *[
            f"payment_attempts SET {change}"
            for change in (
                *("payment_id = uuidv7()", "attempt_ref = 'a_2'", "provider = 'stripe'", "currency = 'EUR'"),
                *("currency = NULL", "amount_presumed = 9", "amount_presumed = NULL", "amount_authorized = 9"),
                *("reported_at = reported_at - interval '1 s'", "expires_at = NULL", "times_out_at = '-infinity'"),
                *("given_up_at = NULL", "replaces = NULL", "version = 0"),
            )
        ],
        *[
            f"captures SET {change}"
            for change in (
                *("payment_id = uuidv7()", "capture_ref = 'c_2'", "provider = 'stripe'", "currency = 'EUR'"),
                *("amount = 99.99", "attempt_ref = ''", "version = 0"),
            )
        ],
        *[
            f"disputes SET {change}"
            for change in (
                *("payment_id = uuidv7()", "dispute_ref = 'd_2'", "currency = 'EUR'", "stage = 'inquiry'"),
                *("reported_at = reported_at - interval '1 s', rank = 9", "rank = 2, event_id = 'evt_9'"),
                *("event_id = 'evt_4'", "money_step = 0", "money_out = false", "amount = 39.99", "amount = NULL"),
                *("capture_ref = ''", "version = 0"),
            )
        ],
        *[
            f"capture_requests SET {change}"
            for change in (
                *("payment_id = uuidv7()", "attempt_ref = 'a_2'", "amount = 11", "currency = 'EUR'", "final = true"),
                *("requested_by = uuidv7()", "idempotency_key = 'another'", "request_hash = 'another'"),
            )
        ],
    ],
)
def test_what_an_entry_holds_is_never_less(sql: Sql, payment: UUID, change: str) -> None:
    table = change.split()[0]
    before = sql(f"SELECT * FROM {table}")

    with pytest.raises(IntegrityError, match=r"keeps its|has newer news|is at step 1 already"):
        sql(f"UPDATE {change}")

    assert sql(f"SELECT * FROM {table}") == before


@pytest.mark.parametrize(
    "change",
    [
        "payment_attempts SET amount_presumed = 11, amount_authorized = 11, reported_at = now(), rest_released = true",
        "captures SET amount = 100.01, version = version + 1",
        "disputes SET stage = 'pre_arbitration', reported_at = '-infinity', rank = 0, event_id = '', status = 'won'",
        "disputes SET money_step = 2, money_out = false, amount = 41",
        "disputes SET rank = 4, event_id = 'a', evidence_due_at = now(), blocks_refund = true",
        "capture_requests SET provider_ref = 'c_1', attempts = 1, detail = 'sent'",
    ],
)
def test_an_entry_goes_forward(sql: Sql, payment: UUID, change: str) -> None:
    assert sql(f"UPDATE {change} RETURNING id")


@pytest.mark.parametrize("table", ["payment_attempts", "captures", "disputes"])
def test_the_currency_of_the_payment_wins_and_else_the_smaller_text(sql: Sql, payment: UUID, table: str) -> None:
    column = "amount_authorized" if table == "payment_attempts" else "amount"
    sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    sql(f"UPDATE {table} SET currency = 'GBP', {column} = 100")
    sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    for currency in ("EUR", "USD"):
        assert sql(f"UPDATE {table} SET currency = '{currency}', {column} = {column} - 1 RETURNING id")
    for currency in ("EUR", "GBP"):
        with pytest.raises(IntegrityError, match="keeps its payment, name and currency"):
            sql(f"UPDATE {table} SET currency = '{currency}'")


@pytest.mark.parametrize("amount", ["NaN", "Infinity"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE payment_attempts SET amount_presumed = {}",
        "UPDATE payment_attempts SET amount_authorized = {}",
        "UPDATE captures SET amount = {}",
        "UPDATE disputes SET amount = {}",
        """INSERT INTO payment_acceptances (payment_id, amount, operator, why, command_id)
            SELECT id, {}, 'ada', '', uuidv7() FROM payments""",
        """INSERT INTO refunds (payment_id, provider_ref, amount, status)
            SELECT id, 're_1', {}, 'succeeded' FROM payments""",
    ],
)
def test_no_amount_is_without_end_or_no_number(sql: Sql, payment: UUID, change: str, amount: str) -> None:
    with pytest.raises(IntegrityError, match=r"_(positive|not_negative)"):
        sql(change.format(f"CAST('{amount}' AS numeric)"))


def test_a_rest_that_was_released_is_never_open_again(sql: Sql, payment: UUID) -> None:
    sql("UPDATE payment_attempts SET rest_released = true")
    with pytest.raises(IntegrityError, match="keeps its greatest"):
        sql("UPDATE payment_attempts SET rest_released = false")


def test_a_void_keeps_what_it_is(sql: Sql) -> None:
    insert_payment(sql)
    payment = sql("SELECT id FROM payments")[0].id
    attempt(sql, payment, "authorized", ref="a_1", authorized="240")
    fold(sql, payment)
    sql(
        """INSERT INTO voids (payment_id, requested_by, idempotency_key, request_hash)
        VALUES (:id, uuidv7(), 'key', '')""",
        id=payment,
    )
    sql("UPDATE voids SET status = 'succeeded'")
    for change in ("status = 'processing'", "requested_by = uuidv7()", "idempotency_key = ''", "request_hash = 'a'"):
        with pytest.raises(IntegrityError, match=r"void .* (cannot go back|keeps its)"):
            sql(f"UPDATE voids SET {change}")


def test_money_ends_what_was_under_way(sql: Sql) -> None:
    """Its status stays where it was: without this, 100 of 240 would be no mismatch."""
    insert_payment(sql)
    payment = sql("SELECT id FROM payments")[0].id
    attempt(sql, payment, "under_way", ref="a_1")
    fold(sql, payment)
    assert sql("SELECT under_way FROM payments")[0].under_way

    capture(sql, payment, "c_1", "100", attempt_ref="a_1")
    fold(sql, payment)

    (row,) = sql("SELECT status::text, under_way, review_reason FROM payments")
    assert tuple(row) == ("partially_paid", False, "mismatch")


def test_presumed_money_ends_it_too(sql: Sql) -> None:
    payment, _ = paid_payment(sql)
    sql("UPDATE payment_attempts SET status = 'under_way'")
    fold(sql, payment)

    assert not sql("SELECT under_way FROM payments")[0].under_way
