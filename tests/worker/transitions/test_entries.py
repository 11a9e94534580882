"""Events that name attempts, captures and disputes: each is a row of its own, and the payment is computed of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.entries import ClosedEntry, DisputeReason, NoneUnderWayEntry, NoticeEntry
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment
from tests.worker.transitions.entered import (
    attempt,
    capture,
    dispute,
    enter,
    enter_webhook,
    folded,
    news,
    payment_id,
    recorded,
)
from worker.transitions.outcomes import ObjectKind, Outcome

pytestmark = pytest.mark.usefixtures("worker")


def name() -> str:
    return uuid4().hex


def test_two_charges_of_one_payment_are_both_kept_and_flagged(sql: Sql) -> None:
    reference, one, other = insert_payment(sql), name(), name()

    enter(news(reference, capture(one, "240.00")))
    assert (folded(sql, reference).status, folded(sql, reference).reasons) == ("paid", None)
    enter(news(reference, capture(other, "240.00")))

    now = folded(sql, reference)
    assert (now.status, now.captured, now.reasons) == ("paid", "480", "overpaid")


def test_a_presumed_amount_gives_way_to_the_capture_that_names_its_attempt(sql: Sql) -> None:
    reference, tried, ref = insert_payment(sql), name(), name()
    events = [
        news(reference, attempt(tried, presumed=Decimal("240.00"))),
        news(reference, capture(ref, "240.00", attempt_ref=tried)),
    ]

    assert enter(*events) == [Outcome.APPLIED, Outcome.APPLIED]

    now = folded(sql, reference)
    assert (now.status, now.captured, now.reasons) == ("paid", "240", None)


def test_a_cumulative_capture_keeps_the_greatest_amount(sql: Sql) -> None:
    reference, ref = insert_payment(sql), name()

    for amount in ("100.00", "240.00", "100.00"):
        enter(news(reference, capture(ref, amount)))

    (row,) = sql("SELECT trim_scale(amount)::text AS amount, version FROM captures WHERE capture_ref = :ref", ref=ref)
    assert (row.amount, row.version) == ("240", 2)
    assert folded(sql, reference).status == "paid"


def test_less_than_is_due_is_partially_paid_and_a_mismatch_once_nothing_more_comes(sql: Sql) -> None:
    reference, ref, tried = insert_payment(sql), name(), name()

    enter(news(reference, attempt(tried, "authorized", authorized=Decimal("240.00"))))
    assert (folded(sql, reference).status, folded(sql, reference).authorized) == ("authorized", "240")
    enter(news(reference, capture(ref, "200.00", attempt_ref=tried)))
    now = folded(sql, reference)
    assert (now.status, now.authorized, now.reasons) == ("partially_paid", "40", None)
    enter(news(reference, attempt(tried, rest_released=True)))

    now = folded(sql, reference)
    assert (now.status, now.authorized, now.reasons) == ("partially_paid", "0", "mismatch")


def test_an_answer_that_was_recorded_before_tells_that_an_attempt_is_under_way_again(sql: Sql) -> None:
    """A direct debit without a charge's name, a look-up that names none, and another try whose webhook was lost."""
    reference = insert_payment(sql)
    seen: dict[str, Any] = {"event_id": f"lookup:{reference}:processing:240.00:::", "occurred_at": None}
    begun = datetime.now(UTC) - timedelta(hours=2)
    assert enter(news(reference, attempt("", "under_way", at=begun), **seen)) == [Outcome.APPLIED]
    assert folded(sql, reference).status == "processing"
    query = news(reference, NoneUnderWayEntry(at=begun + timedelta(hours=1)), event_id="", occurred_at=None)
    assert enter(query) == [Outcome.APPLIED]
    assert (folded(sql, reference).status, folded(sql, reference).under_way) == ("pending", False)

    again = news(reference, attempt("", "under_way", at=datetime.now(UTC)), **seen)
    assert enter(again) == [Outcome.DUPLICATE]

    assert (folded(sql, reference).status, folded(sql, reference).under_way) == ("processing", True)
    assert len(sql("SELECT FROM payment_events WHERE event_id = :id", id=seen["event_id"])) == 1
    assert enter(again) == [Outcome.DUPLICATE]


def test_a_webhook_that_comes_again_tells_nothing_of_now(sql: Sql) -> None:
    reference = insert_payment(sql)
    begun = datetime.now(UTC) - timedelta(hours=2)
    heard = news(reference, attempt("", "under_way"), occurred_at=None)
    enter_webhook(heard, received_at=begun)
    enter(news(reference, NoneUnderWayEntry(at=begun + timedelta(hours=1)), event_id="", occurred_at=None))

    assert enter_webhook(heard, received_at=datetime.now(UTC)) == [Outcome.DUPLICATE]

    assert folded(sql, reference).status == "pending"


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("currencies", [*permutations(("USD", "EUR", "GBP")), ("GBP", "EUR", "GBP")])
def test_one_name_in_several_currencies_ends_alike_in_any_order(
    sql: Sql, currencies: tuple[str, ...], together: bool
) -> None:
    """The payment's own currency wins, else the smaller text; a person has to look either way."""
    reference, tried, ref, disputed = insert_payment(sql), name(), name(), name()
    amounts = {"USD": "200.00", "EUR": "210.00", "GBP": "190.00"}
    events = [
        news(
            reference,
            attempt(tried, "authorized", authorized=Decimal(amounts[currency]), currency=currency),
            capture(ref, amounts[currency], currency=currency),
            dispute(disputed, "lost", amounts[currency], step=1, money_out=True, currency=currency),
            event_id=f"{reference}:{currency}",
        )
        for currency in currencies
    ]

    for each in [events] if together else [[event] for event in events]:
        enter(*each)

    wins = "USD" if "USD" in currencies else "EUR"
    rows = [
        *sql("SELECT currency, amount_authorized AS amount FROM payment_attempts WHERE attempt_ref = :a", a=tried),
        *sql("SELECT currency, amount FROM captures WHERE capture_ref = :c", c=ref),
        *sql("SELECT currency, amount FROM disputes WHERE dispute_ref = :d", d=disputed),
    ]
    assert [tuple(row) for row in rows] == [(wins, Decimal(amounts[wins]))] * 3
    now = folded(sql, reference)
    assert now.reasons == "dispute_mismatch, mismatch"
    assert (now.status, now.captured, now.lost) == (
        ("reversed", "200", "200") if wins == "USD" else ("pending", "0", "0")
    )


@pytest.mark.parametrize(("behind", "status"), [(50, "processing"), (70, "pending")])
def test_a_provider_whose_clock_is_behind_ours_is_believed(sql: Sql, behind: int, status: str) -> None:
    """The attempt began after the look-up, and the provider's clock has an earlier time for it."""
    reference, queried_at = insert_payment(sql), datetime.now(UTC)
    enter(news(reference, NoneUnderWayEntry(at=queried_at), event_id="", occurred_at=None))

    enter(news(reference, attempt(name(), "under_way", at=queried_at - timedelta(seconds=behind))))

    assert folded(sql, reference).status == status


def test_a_part_that_was_lost_leaves_the_payment_paid(sql: Sql) -> None:
    reference, ref = insert_payment(sql), name()
    enter(news(reference, capture(ref, "240.00")))

    enter(news(reference, dispute(name(), "lost", "40.00", step=1, money_out=True, capture_ref=ref)))

    now = folded(sql, reference)
    assert (now.status, now.lost, now.reasons) == ("paid", "40", None)


@pytest.mark.parametrize("turn", [1, -1])
def test_a_dispute_that_was_lost_and_won_gives_all_back(sql: Sql, turn: int) -> None:
    reference, ref, disputed = insert_payment(sql), name(), name()
    enter(news(reference, capture(ref, "240.00")))
    at = datetime.now(UTC)
    heard = [
        news(reference, dispute(disputed, "lost", "240.00", at=at, step=1, money_out=True)),
        news(reference, dispute(disputed, "won", "240.00", at=at + timedelta(days=1), step=2)),
    ]

    for each in heard[::turn]:
        enter(each)

    now = folded(sql, reference)
    assert (now.status, now.lost) == ("paid", "0")
    assert [row.now for row in sql("SELECT status::text AS now FROM disputes WHERE dispute_ref = :d", d=disputed)] == [
        "won"
    ]


def test_the_word_lost_moves_no_money_and_an_open_dispute_holds_it_back(sql: Sql) -> None:
    reference, ref = insert_payment(sql), name()
    enter(news(reference, capture(ref, "240.00")))

    enter(news(reference, dispute(name(), "lost", "40.00")))
    enter(
        news(reference, dispute(name(), "needs_response", "60.00", blocks_refund=True, reason=DisputeReason.FRAUDULENT))
    )

    now = folded(sql, reference)
    assert (now.status, now.lost, now.blocked) == ("paid", "0", "60")


def test_a_failed_attempt_does_not_hide_the_next_that_is_under_way(sql: Sql) -> None:
    reference, card, debit = insert_payment(sql), name(), name()

    enter(news(reference, attempt(card, "failed", decline="declined")), news(reference, attempt(debit, "under_way")))

    now = folded(sql, reference)
    assert (now.status, now.under_way) == ("processing", True)


def test_a_later_look_up_that_names_none_ends_what_is_under_way(sql: Sql) -> None:
    reference = insert_payment(sql)
    at = datetime.now(UTC)
    enter(news(reference, attempt(name(), "under_way", at=at - timedelta(minutes=2))))
    before = recorded(news(reference, NoneUnderWayEntry(at=at - timedelta(minutes=3)), event_id=""))
    assert (before.effects[0].outcome, folded(sql, reference).status) == (Outcome.DUPLICATE, "processing")

    enter(news(reference, NoneUnderWayEntry(at=at), event_id=""))

    now = folded(sql, reference)
    assert (now.status, now.under_way) == ("pending", False)
    assert sql("SELECT count(*) FROM payment_events WHERE event_id = ''")[0].count == 0


@pytest.mark.parametrize("turn", [1, -1])
def test_the_whole_payment_closed_and_paid_is_flagged(sql: Sql, turn: int) -> None:
    reference = insert_payment(sql)
    both = [
        news(reference, ClosedEntry(status=PaymentStatus.CANCELED)),
        news(reference, capture(name(), "240.00")),
    ]

    for each in both[::turn]:
        enter(each)

    now = folded(sql, reference)
    assert (now.status, now.reasons) == ("paid", "paid_after_close")


def test_what_signed_data_cannot_decide_is_a_notice_and_an_echo_is_none(sql: Sql) -> None:
    reference = insert_payment(sql)
    notice = NoticeEntry(reason=ReviewReason.RECAPTURED, ref="cap_1")

    assert enter(news(reference, notice)) == [Outcome.APPLIED]
    assert enter(news(reference, notice)) == [Outcome.STALE]

    assert folded(sql, reference).reasons == "recaptured"


def test_money_in_another_currency_is_kept_and_counts_nowhere(sql: Sql) -> None:
    reference, ref = insert_payment(sql), name()

    assert enter(news(reference, capture(ref, "240.00", currency="EUR"))) == [Outcome.MISMATCH]

    now = folded(sql, reference)
    assert (now.status, now.captured, now.reasons) == ("pending", "0", "mismatch")
    assert [row.currency for row in sql("SELECT currency FROM captures WHERE capture_ref = :ref", ref=ref)] == ["EUR"]


def test_a_dispute_in_another_currency_is_kept_and_flagged(sql: Sql) -> None:
    reference = insert_payment(sql)
    enter(news(reference, capture(name(), "240.00")))

    enter(news(reference, dispute(name(), "lost", "40.00", step=1, money_out=True, currency="EUR")))

    now = folded(sql, reference)
    assert (now.status, now.lost, now.reasons) == ("paid", "0", "dispute_mismatch")


def test_every_new_version_of_an_object_comes_back(sql: Sql) -> None:
    reference, tried, ref = insert_payment(sql), name(), name()
    payment = payment_id(sql, reference)

    first = recorded(news(reference, attempt(tried, "authorized", authorized=Decimal("240.00"))))
    second = recorded(news(reference, capture(ref, "240.00", attempt_ref=tried)))
    echo = recorded(news(reference, capture(ref, "240.00", attempt_ref=tried)))

    def shown(changes: Any) -> list[tuple[Any, ...]]:
        assert {change.payment_id for change in changes} <= {payment}
        return sorted((each.kind.value, each.version, each.status_from, each.status_to) for each in changes)

    assert shown(first.changes) == [("attempt", 1, None, "authorized"), ("payment", 1, "pending", "authorized")]
    assert shown(second.changes) == [("capture", 1, None, "succeeded"), ("payment", 2, "authorized", "paid")]
    assert shown(echo.changes) == []
    assert [each.id for each in second.changes if each.kind is ObjectKind.PAYMENT] == [payment]


def test_what_an_event_was_about_is_kept_in_words(sql: Sql) -> None:
    reference, tried = insert_payment(sql), name()

    enter(news(reference, attempt(tried, "failed", decline="declined"), event_id="evt_words"))

    (row,) = sql("SELECT status, entries FROM payment_events WHERE event_id = 'evt_words'")
    assert (row.status, row.entries) == (
        None,
        [{"attempt": tried, "status": "failed", "currency": "USD", "decline": "declined"}],
    )


def test_a_capture_of_ours_moves_its_request(sql: Sql) -> None:
    reference, tried, ref = insert_payment(sql), name(), name()
    payment = payment_id(sql, reference)
    enter(news(reference, attempt(tried, "authorized", authorized=Decimal("240.00"))))
    request = insert_capture_request(sql, payment, tried, "200.00")

    enter(news(reference, capture(ref, "200.00", "pending", attempt_ref=tried, request_id=str(request))))
    assert request_row(sql, request) == ("processing", ref)
    enter(news(reference, capture(ref, "200.00", attempt_ref=tried)))

    assert request_row(sql, request) == ("succeeded", ref)


def insert_capture_request(sql: Sql, payment: UUID, tried: str, amount: str) -> UUID:
    return sql(
        """INSERT INTO capture_requests (payment_id, attempt_ref, amount, requested_by, idempotency_key, request_hash)
        VALUES (:payment, :tried, CAST(:amount AS numeric), uuidv7(), :key, '') RETURNING id""",
        payment=payment,
        tried=tried,
        amount=amount,
        key=uuid4().hex,
    )[0].id


def request_row(sql: Sql, request: UUID) -> tuple[str, str | None]:
    (row,) = sql("SELECT status::text, provider_ref FROM capture_requests WHERE id = :id", id=request)
    return row.status, row.provider_ref
