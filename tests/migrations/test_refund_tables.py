"""What the tables of refunds see to, whoever writes to them: cover for what we ask for, and no way back."""

from __future__ import annotations

from itertools import product
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from checkout_service.payments.status import PaymentStatus, RefundStatus
from tests.conftest import Sql
from tests.money import bring_to, fold
from tests.refunding import insert_refund, paid_payment, sums
from tests.webhook_bodies import insert_payment

STATUSES = [status.value for status in RefundStatus]


@pytest.fixture
def payment(sql: Sql) -> UUID:
    """Of 100.00 USD, paid."""
    return paid_payment(sql)[0]


def by_dashboard(sql: Sql, payment_id: UUID, amount: str, status: str = "succeeded", ref: str = "re_1") -> None:
    sql(
        """INSERT INTO refunds (payment_id, amount, status, provider_ref)
        VALUES (:payment_id, CAST(:amount AS numeric), CAST(:status AS refund_status), :ref)""",
        payment_id=payment_id,
        amount=amount,
        status=status,
        ref=ref,
    )


def test_enum_stands_in_the_order_in_which_a_refund_may_move(sql: Sql) -> None:
    rows = sql("SELECT unnest(enum_range(NULL::refund_status))::text AS status")
    assert [row.status for row in rows] == STATUSES


def test_a_refund_takes_provider_currency_and_what_is_left_from_its_payment(sql: Sql, payment: UUID) -> None:
    insert_refund(sql, payment, "30.00")
    insert_refund(sql, payment, None)

    rows = sql("SELECT provider, currency, amount::text, status::text FROM refunds ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("mock", "USD", "30.00", "requested"),
        ("mock", "USD", "70.00", "requested"),
    ]
    assert sums(sql, payment) == ("0.00", "100.00")


@pytest.mark.parametrize("amount", ["100.01", "60.01"])
def test_nobody_may_ask_for_more_than_is_left(sql: Sql, payment: UUID, amount: str) -> None:
    if amount == "60.01":
        insert_refund(sql, payment, "40.00")
    before = sums(sql, payment)

    with pytest.raises(IntegrityError, match="left to give back"):
        insert_refund(sql, payment, amount)

    assert sums(sql, payment) == before


def test_what_a_provider_gave_back_is_never_refused(sql: Sql, payment: UUID) -> None:
    by_dashboard(sql, payment, "60.00")
    by_dashboard(sql, payment, "60.00", ref="re_2")
    fold(sql, payment)

    assert sums(sql, payment) == ("120.00", "0.00")
    assert sql("SELECT review_reason FROM payments")[0].review_reason == "refund_too_large"


def test_a_refund_of_nothing_is_none(sql: Sql, payment: UUID) -> None:
    insert_refund(sql, payment, "100.00")
    for amount in ("0", "-1", None):
        with pytest.raises(IntegrityError, match="refunds_amount_positive"):
            insert_refund(sql, payment, amount)
    assert sums(sql, payment) == ("0.00", "100.00")


@pytest.mark.parametrize(("currency", "least", "less"), [("KWD", "0.001", "0.0001"), ("JPY", "1", "0.5")])
def test_the_least_refund_is_the_smallest_unit_of_its_currency(sql: Sql, currency: str, least: str, less: str) -> None:
    payment, _ = paid_payment(sql, currency=currency)
    insert_refund(sql, payment, least)
    with pytest.raises(IntegrityError, match="refunds_amount_of_currency"):
        insert_refund(sql, payment, less)


@pytest.mark.parametrize("status", [each.value for each in PaymentStatus])
def test_only_money_that_is_here_can_be_requested(sql: Sql, status: str) -> None:
    """What a dashboard gave back is entered whenever it is reported."""
    reference = insert_payment(sql)
    payment = sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)[0].id
    bring_to(sql, payment, status, amount="100" if status == "partially_paid" else None)

    if status in {"partially_paid", "paid"}:
        insert_refund(sql, payment, "1.00")
    else:
        with pytest.raises(IntegrityError, match="nothing to give back"):
            insert_refund(sql, payment, "1.00")
    by_dashboard(sql, payment, "1.00")


def test_a_refund_in_another_currency_or_at_another_provider_is_none(sql: Sql, payment: UUID) -> None:
    for columns in ({"currency": "'EUR'"}, {"provider": "'another'"}):
        with pytest.raises(IntegrityError, match="provider and currency of its payment"):
            insert_refund(sql, payment, "1.00", **columns)
    with pytest.raises(IntegrityError, match="there is no payment"):
        insert_refund(sql, UUID(int=1))
    assert sql("SELECT * FROM refunds") == []


@pytest.mark.parametrize(("before", "after"), list(product(STATUSES, STATUSES)))
def test_no_status_goes_back_and_the_sums_go_along(sql: Sql, payment: UUID, before: str, after: str) -> None:
    insert_refund(sql, payment, "40.00", status=f"'{before}'")
    fold(sql, payment)
    forth = STATUSES.index(after) >= STATUSES.index(before)
    move = f"UPDATE refunds SET status = '{after}'"

    if forth:
        sql(move)
        fold(sql, payment)
    else:
        with pytest.raises(IntegrityError, match=f"cannot go back from {before} to {after}"):
            sql(move)

    expected = {"requested": ("0.00", "40.00"), "succeeded": ("40.00", "0.00"), "failed": ("0.00", "0.00")}
    expected["processing"] = expected["requested"]
    assert sums(sql, payment) == expected[after if forth else before]


def test_a_refund_that_failed_gives_its_room_back_once(sql: Sql, payment: UUID) -> None:
    first = insert_refund(sql, payment, "100.00", status="'succeeded'")
    sql("UPDATE refunds SET status = 'failed' WHERE id = :id", id=first)
    sql("UPDATE refunds SET status = 'failed', detail = 'again' WHERE id = :id", id=first)
    fold(sql, payment)
    insert_refund(sql, payment, "100.00")

    assert sums(sql, payment) == ("0.00", "100.00")


def test_a_refund_that_is_gone_leaves_no_sum_behind(sql: Sql, payment: UUID) -> None:
    """Nobody may delete one but the owner of the tables."""
    insert_refund(sql, payment, "10.00")
    by_dashboard(sql, payment, "20.00")
    sql("DELETE FROM refunds")
    fold(sql, payment)

    assert sums(sql, payment) == ("0.00", "0.00")


@pytest.mark.parametrize(
    "change",
    [
        "amount = 1",
        "currency = 'EUR'",
        "provider = 'another'",
        "payment_id = uuidv7()",
        "id = uuidv7()",
        "idempotency_key = 'another'",
        "requested_by = uuidv7()",
        "provider_ref = 'another'",
        "provider_ref = NULL",
        "part = 1",
        "request_hash = 'another'",
        "capture_ref = 'another'",
        "attempt_ref = 'another'",
        "attempt_ref = NULL",
    ],
)
def test_what_a_refund_is_never_changes(sql: Sql, payment: UUID, change: str) -> None:
    refund = insert_refund(sql, payment)
    sql("UPDATE refunds SET provider_ref = 're_1', capture_ref = 'c_1', attempt_ref = 'a_1'")

    with pytest.raises(IntegrityError, match="keeps its payment"):
        sql(f"UPDATE refunds SET {change}")

    assert sql("SELECT provider_ref FROM refunds WHERE id = :id", id=refund)[0].provider_ref == "re_1"


def test_the_name_of_the_money_is_set_once(sql: Sql, payment: UUID) -> None:
    sql("UPDATE payments SET capture_ref = 'ch_1'")
    for change in ("'ch_2'", "NULL"):
        with pytest.raises(IntegrityError, match="keeps the name of its money"):
            sql(f"UPDATE payments SET capture_ref = {change}")
    assert sql("SELECT capture_ref FROM payments WHERE id = :id", id=payment)[0].capture_ref == "ch_1"


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("INSERT INTO refunds (payment_id, amount) SELECT id, 1 FROM payments", "refunds_requested_or_reported"),
        (
            "INSERT INTO refunds (payment_id, amount, requested_by) SELECT id, 1, id FROM payments",
            "refunds_requested_or_reported",
        ),
        ("UPDATE refunds SET next_attempt_at = NULL", "refunds_outstanding_has_next_attempt"),
        (
            (
                "INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash) "
                "SELECT payment_id, 1, requested_by, idempotency_key, 'other' FROM refunds"
            ),
            "refunds_requested_by_idempotency_key_part",
        ),
        (
            (
                "INSERT INTO refunds (payment_id, amount, status, provider_ref) "
                "SELECT payment_id, 1, 'failed', 're_' || number FROM refunds, unnest(ARRAY[1, 1]) AS number"
            ),
            "refunds_provider_provider_ref",
        ),
        (
            (
                "INSERT INTO refund_events (provider, event_id, refund_id, status, outcome) "
                "SELECT 'mock', 'evt_1', id, 'failed', 'applied' FROM refunds, generate_series(1, 2)"
            ),
            "refund_events_provider_event_id_refund_id",
        ),
        (
            "INSERT INTO cancel_requests (payment_id, requested_by) SELECT id, id FROM payments, generate_series(1, 2)",
            "cancel_requests_payment_id",
        ),
        ("DELETE FROM payments", "refunds_payment_id_fkey"),
    ],
)
def test_constraints_refuse_what_must_not_be(sql: Sql, payment: UUID, statement: str, constraint: str) -> None:
    insert_refund(sql, payment)

    with pytest.raises(IntegrityError, match=constraint):
        sql(statement)


def test_two_transactions_that_ask_for_the_same_room_follow_each_other(
    sql: Sql, payment: UUID, superuser: Engine
) -> None:
    """In READ COMMITTED: the second waits for the first, and then sees what it took."""
    ask = text("""INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash)
        VALUES (:payment, :amount, uuidv7(), 'key', '') RETURNING amount""")
    committed = superuser.execution_options(isolation_level="READ COMMITTED")
    with committed.connect() as first, committed.connect() as second:
        second.execute(text("SET lock_timeout = '200ms'"))
        second.commit()
        first.execute(ask, {"payment": payment, "amount": 60})
        with pytest.raises(OperationalError, match="lock timeout"):
            second.execute(ask, {"payment": payment, "amount": 60})
        second.rollback()
        first.commit()

        with pytest.raises(IntegrityError, match="left to give back"):
            second.execute(ask, {"payment": payment, "amount": 60})
        second.rollback()
        assert second.execute(ask, {"payment": payment, "amount": None}).scalar_one() == 40
        second.commit()

    assert sums(sql, payment) == ("0.00", "100.00")
