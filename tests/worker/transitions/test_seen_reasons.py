"""A reason that a person has seen stays hidden only while nothing more comes to it; and of what refunds are left."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import ProviderRefundEvent
from checkout_service.providers.entries import ClosedEntry, NoticeEntry
from tests.conftest import Sql
from tests.money import fold
from tests.webhook_bodies import insert_payment
from tests.worker.promises import insert_cart, insert_promise
from tests.worker.transitions.entered import attempt, capture, dispute, enter, folded, news, payment_id, see_all_reasons

pytestmark = pytest.mark.usefixtures("worker")


def give_up(sql: Sql, payment: UUID, ref: str) -> None:
    sql("UPDATE payment_attempts SET given_up_at = now() WHERE attempt_ref = :ref", ref=ref)
    fold(sql, payment)


def test_a_second_capture_that_came_again_is_no_echo_of_the_first(sql: Sql) -> None:
    reference, first, second = insert_payment(sql), uuid4().hex, uuid4().hex
    payment = payment_id(sql, reference)

    def came_again(ref: str) -> None:
        notice = NoticeEntry(reason=ReviewReason.RECAPTURED, ref=ref)
        enter(news(reference, capture(ref, "240.00", "undone"), notice))

    came_again(first)
    see_all_reasons(sql)
    assert folded(sql, reference).reasons is None
    sql(
        """INSERT INTO payment_acceptances (payment_id, amount, operator, why, command_id)
        VALUES (:id, 240, 'eve', 'it came', uuidv7())""",
        id=payment,
    )
    fold(sql, payment)

    came_again(second)

    assert "recaptured" in (folded(sql, reference).reasons or "")


def test_a_second_attempt_that_times_out_is_no_echo_of_the_first(sql: Sql) -> None:
    reference, first, second = insert_payment(sql), uuid4().hex, uuid4().hex
    payment = payment_id(sql, reference)
    enter(news(reference, attempt(first, "under_way")))
    give_up(sql, payment, first)
    see_all_reasons(sql)
    assert folded(sql, reference).reasons is None

    enter(news(reference, attempt(first, "failed")), news(reference, attempt(second, "under_way")))
    give_up(sql, payment, second)

    assert folded(sql, reference).reasons == "attempt_timed_out"


def test_a_duplicate_that_was_seen_stays_seen_whatever_zeros_an_amount_has(sql: Sql) -> None:
    cart = insert_cart(sql)
    one, other = insert_promise(sql, cart=cart), insert_promise(sql, cart=cart)
    tried = uuid4().hex
    enter(news(one, attempt(tried, presumed=Decimal("240.00"))), news(other, capture(uuid4().hex, "240.00")))
    assert folded(sql, other).reasons == "paid_twice"
    see_all_reasons(sql)

    enter(news(one, capture(uuid4().hex, "240", attempt_ref=tried)), news(other, attempt(uuid4().hex, "failed")))

    assert (folded(sql, one).reasons, folded(sql, other).reasons) == (None, None)


def test_a_promise_of_a_closed_payment_hides_no_mismatch(sql: Sql) -> None:
    reference, promised = insert_payment(sql), uuid4().hex
    enter(
        news(reference, attempt(promised, "authorized", authorized=Decimal(240))),
        news(reference, capture(uuid4().hex, "100.00", attempt_ref=promised)),
        news(reference, ClosedEntry(status=PaymentStatus.FAILED)),
    )

    assert (folded(sql, reference).status, folded(sql, reference).reasons) == ("partially_paid", "mismatch")


@pytest.mark.parametrize("gone", ["refunded", "charged back"])
def test_what_names_an_attempt_alone_leaves_less_of_its_captures(sql: Sql, gone: str) -> None:
    """As Adyen's refunds and chargebacks do: a refund of ours is of the capture that still has money."""
    reference = insert_payment(sql)
    first, second = uuid4().hex, uuid4().hex
    enter(
        *(news(reference, attempt(each, "authorized", presumed=Decimal(240))) for each in (first, second)),
        *(news(reference, capture(f"of {each}", "240.00", attempt_ref=each)) for each in (first, second)),
    )
    if gone == "refunded":
        enter(
            ProviderRefundEvent(
                provider="mock",
                provider_ref=reference,
                refund_ref=uuid4().hex,
                event_id=uuid4().hex,
                status=RefundStatus.SUCCEEDED,
                amount=Decimal("240.00"),
                currency="USD",
                attempt_ref=first,
            )
        )
    else:
        enter(news(reference, dispute(uuid4().hex, "lost", "240.00", step=1, money_out=True, attempt_ref=first)))

    rooms = sql("SELECT capture_ref, trim_scale(room) FROM payment_sources(:id)", id=payment_id(sql, reference))

    assert dict(rooms) == {f"of {first}": 0, f"of {second}": 240}


def test_several_captures_of_an_attempt_have_what_is_left_of_it_together(sql: Sql) -> None:
    reference, promised = insert_payment(sql), uuid4().hex
    enter(
        news(reference, attempt(promised, "authorized", authorized=Decimal(240))),
        news(reference, capture(f"{promised} 1", "100.00", attempt_ref=promised)),
        news(reference, capture(f"{promised} 2", "140.00", attempt_ref=promised)),
        news(reference, dispute(uuid4().hex, "lost", "150.00", step=1, money_out=True, attempt_ref=promised)),
    )

    rooms = sql("SELECT capture_ref, trim_scale(room) FROM payment_sources(:id)", id=payment_id(sql, reference))

    assert dict(rooms) == {f"{promised} 1": 90, f"{promised} 2": 90}
