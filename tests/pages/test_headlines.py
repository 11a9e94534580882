"""What a payment's headline says, and what can be done below it, by all that is known of the payment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import uuid4

import pytest

from checkout_service.checkout.same_cart import OtherPayment
from checkout_service.orders.status import OrderStatus
from checkout_service.oversight.payment_history import PaymentNow
from checkout_service.pages import payment_words
from checkout_service.pages.amounts import form_of
from checkout_service.pages.order_words import (
    ORDER_WORDS,
    after_payment,
    line_words,
    money_of_canceled,
    order_words,
)
from checkout_service.pages.payment_status import Around, Headline, headline
from checkout_service.payments.status import PaymentStatus

WRITE = form_of("en").write
LONG_AGO = datetime.now(UTC) - timedelta(hours=1)
LINE: dict[str, Any] = {"qty": 3, "qty_fulfilled": 0, "qty_canceled": 0, "qty_refunded": 0, "qty_refunding": 0}
ORDER: dict[str, Any] = {
    "status": "placed", "number": "S-1", "amount": "240.00", "amount_refunded": "0.00", "lines": [LINE],
}  # fmt: skip


def payment(status: PaymentStatus | str, **values: Any) -> PaymentNow:
    status = PaymentStatus(status)
    zero = Decimal(0)
    columns: dict[str, Any] = {
        "id": uuid4(), "user_id": uuid4(), "provider": "mock", "provider_ref": "mock_pi_1", "amount": Decimal(240),
        "currency": "USD", "amount_captured": Decimal(240) if status.money_came else zero,
        "amount_lost": Decimal(240) if status is PaymentStatus.REVERSED else zero, "amount_blocked": zero,
        "amount_authorized": zero, "amount_accepted": None, "amount_refunded": zero, "amount_refunding": zero,
        "under_way": status is PaymentStatus.PROCESSING, "authorization_expires_at": None, "version": 1,
        "review_reason": None, "duplicates": (), "created_at": LONG_AGO, "next_look_up_at": None, "look_ups": 0,
        "order": None, "without_order": None,
    }  # fmt: skip
    return PaymentNow(status=status, **columns | values)


def shown(of: PaymentNow, *, long: bool = False, **known: Any) -> Headline:
    moved = LONG_AGO if long else datetime.now(UTC)
    return headline(of, around=Around(last_moved_at=moved, **known), write=WRITE)


def other(status: str = "pending", **values: Any) -> OtherPayment:
    given = {
        "id": uuid4(), "status": PaymentStatus(status), "promised": False, "money_came": False,
        "amount": Decimal(240), "currency": "USD", "newer": True,
    }  # fmt: skip
    return OtherPayment(**given | values)


EVERYTHING = product(
    PaymentStatus,
    (False, True),
    (None, "mismatch", "paid_twice", "refund_too_large"),
    (False, True),
    (False, True),
    ((), (other(),), (other(newer=False, promised=True),), (other("paid", money_came=True, newer=False),)),
)


def test_whatever_is_known_nothing_that_asks_to_wait_stands_over_a_button_to_pay() -> None:
    for status, long, reason, reported, cancel, others in EVERYTHING:
        found = shown(
            payment(status, review_reason=reason), long=long, reported=reported, cancel_requested=cancel, others=others
        )
        if "do not pay" in found.meaning:
            assert not found.payable
            assert not found.retryable
        if reported:
            assert "not reported anything" not in found.meaning
        if status is PaymentStatus.FAILED:
            assert "reported anything" not in found.meaning
            assert "without news" not in found.meaning
        assert not (found.payable and found.retryable)
        assert not (found.ending and (found.payable or found.retryable or found.cancelable))
        assert found.final == (not status.open)


def test_a_payment_that_waits_may_still_be_paid_and_one_under_way_may_not() -> None:
    pending, under_way = shown(payment("pending"), long=True), shown(payment("processing"), long=True)
    assert pending.waiting
    assert pending.payable
    assert "you can still do it" in pending.meaning
    assert under_way.waiting
    assert not under_way.payable
    assert "do not pay a second time" in under_way.meaning


@pytest.mark.parametrize("status", list(PaymentStatus))
def test_what_is_open_may_be_canceled_once(status: PaymentStatus) -> None:
    may = status in {PaymentStatus.PENDING, PaymentStatus.PROCESSING, PaymentStatus.FAILED}
    assert shown(payment(status)).cancelable == may
    assert not shown(payment(status), cancel_requested=True).cancelable


def test_a_cancellation_is_honest_about_what_is_under_way() -> None:
    calm = shown(payment("pending"), cancel_requested=True, long=True)
    assert calm.title == "This payment is being canceled"
    under_way = shown(payment("processing"), cancel_requested=True, long=True)
    assert under_way.title == "This payment is to be canceled"
    assert "cannot be stopped" in under_way.meaning
    late = shown(payment("paid"), cancel_requested=True, order=ORDER)
    assert late.title == payment_words.PAID
    assert "the money was faster" in late.meaning
    assert "You asked for it" in shown(payment("canceled"), cancel_requested=True).meaning
    assert "You asked" not in shown(payment("canceled")).meaning


def test_a_payment_that_another_one_replaces_says_so() -> None:
    newer, paid = other(), other("paid", money_came=True, newer=False)
    canceled = shown(payment("canceled"), cancel_requested=True, others=[newer])
    assert canceled.instead == newer
    assert "You began to pay for the same cart anew" in canceled.meaning
    canceled = shown(payment("canceled"), cancel_requested=True, others=[newer, paid])
    assert canceled.instead == paid, "the one that counts"
    assert "paid for by another payment" in canceled.meaning
    for status in ("failed", "expired"):
        found = shown(payment(status), others=[paid])
        assert not found.retryable
        assert "cart" not in found.meaning
    assert shown(payment("paid"), order=ORDER, others=[newer]).instead is None
    assert shown(payment("processing"), others=[newer]).instead is None, "it may bring the money yet"
    assert shown(payment("processing"), others=[paid]).instead == paid
    assert shown(payment("pending"), others=[other(newer=False)]).payable, "an older one does not count"


def test_the_order_is_named_with_the_money() -> None:
    for status, words in ORDER_WORDS.items():
        order = ORDER | {"status": status.value}
        if status is OrderStatus.CANCELED:
            continue  # says more
        found = shown(payment("paid"), order=order)
        assert found.meaning == f"The money came{after_payment(order)}"
        assert found.meaning.endswith("order is placed." if status is OrderStatus.PLACED else words.meaning[1:])
    assert list(ORDER_WORDS) == list(OrderStatus)
    assert shown(payment("paid")).meaning == "The money came."


def test_a_canceled_order_is_not_thanked_for() -> None:
    canceled = ORDER | {"status": "canceled"}
    going_back = shown(payment("paid", amount_refunding=Decimal(240)), order=canceled)
    assert going_back.title == "Your order was canceled"
    assert going_back.meaning.startswith("$240.00 is on its way back to you.")
    unpaid = shown(payment("paid"), order=canceled)
    assert "What you paid is not on its way back yet: the shop will see to it." in unpaid.meaning
    partly = {"amount_refunding": Decimal(100), "amount_refunded": Decimal(40)}
    assert "The rest of what you paid is not on its way" in shown(payment("paid", **partly), order=canceled).meaning
    part_came = shown(payment("partially_paid", amount_captured=Decimal(100)), order=canceled)
    assert part_came.title == "Your order was canceled"
    assert "$100.00 of $240.00 came so far." in part_came.meaning
    assert shown(payment("paid", amount_refunded=Decimal(240)), order=canceled).title == "Refunded"


@pytest.mark.parametrize(
    ("pieces", "meaning"),
    [
        ({}, "so nothing is sent until"),
        ({"qty_canceled": 2}, "so nothing is sent until"),
        ({"qty_fulfilled": 1}, "so nothing more is sent until"),
        ({"qty_fulfilled": 3}, "All of it is sent."),
        ({"qty_fulfilled": 1, "qty_canceled": 2}, "All of it is sent."),
    ],
)
def test_an_order_on_hold_says_what_was_sent(pieces: dict[str, int], meaning: str) -> None:
    order = ORDER | {"status": "on_hold", "lines": [LINE | pieces]}
    assert meaning in order_words(order).meaning
    assert meaning[1:] in shown(payment("paid"), order=order).meaning


def test_an_order_that_was_sent_but_for_what_was_given_back_says_so() -> None:
    order = ORDER | {"status": "fulfilled", "lines": [LINE | {"qty_fulfilled": 3}]}
    assert order_words(order).meaning == "All of it is sent."
    order["lines"] = [LINE | {"qty_fulfilled": 2, "qty_canceled": 1}]
    assert order_words(order).meaning == "All that was not given back is sent."


def test_reserved_money_is_not_promised_to_be_taken_for_an_order_that_is_not_sent() -> None:
    assert "taken when your order is sent" in shown(payment("authorized"), order=ORDER).meaning
    canceled = shown(payment("authorized"), order=ORDER | {"status": "canceled"})
    assert canceled.title == "Your order was canceled"
    assert "not taken" in canceled.meaning
    for status in (OrderStatus.SHORT, OrderStatus.ON_HOLD, OrderStatus.FULFILLED):
        found = shown(payment("authorized"), order=ORDER | {"status": status.value})
        assert "taken when your order is sent" not in found.meaning
        assert found.meaning.endswith(ORDER_WORDS[status].meaning[1:])


@pytest.mark.parametrize("status", ["placed", "short", "partially_fulfilled"])
def test_an_order_whose_money_went_back_promises_nothing(status: str) -> None:
    order = ORDER | {"status": status, "amount": "240.00", "amount_refunded": "239.99"}
    assert order_words(order) == ORDER_WORDS[OrderStatus(status)]
    assert order_words(order | {"amount_refunded": "240.00"}).meaning == "All that you paid for it was given back."


def test_a_number_that_is_coming_is_waited_for() -> None:
    assert not shown(payment("paid"), order=ORDER | {"number": None}).final
    assert shown(payment("paid"), order=ORDER).final


def test_what_went_back_stands_in_the_headline() -> None:
    all_back = shown(payment("paid", amount_refunded=Decimal(240)), order=ORDER)
    assert (all_back.title, "$240.00" in all_back.meaning) == ("Refunded", True)
    with_bank = shown(payment("paid", amount_refunded=Decimal(200), amount_lost=Decimal(40)), order=ORDER)
    assert with_bank.title == "Refunded"
    assert "Your bank took $40.00 back." in with_bank.meaning
    part = shown(payment("paid", amount_refunded=Decimal(40)), order=ORDER)
    assert part.title == "Paid, and partly refunded"
    assert part.meaning == "$40.00 of what you paid was given back. The money came, and your order is placed."
    coming = shown(payment("paid", amount_refunding=Decimal(40)), order=ORDER)
    assert coming.meaning.startswith("$40.00 is on its way back to you.")
    reversed_too = shown(payment("reversed", amount_refunded=Decimal(40)))
    assert reversed_too.title == "The money went back"
    assert "We had given back $40.00 before." in reversed_too.meaning


def test_amounts_are_those_of_the_customers_language() -> None:
    found = headline(
        payment("partially_paid", amount_captured=Decimal("1234.5"), currency="EUR", amount=Decimal(2000)),
        around=Around(last_moved_at=LONG_AGO),
        write=form_of("de").write,
    )
    assert found.meaning == "1.234,50\u00a0€ of 2.000,00\u00a0€ came so far."


@pytest.mark.parametrize(
    ("came", "lost", "back", "coming", "words"),
    [
        ("0", "0", "0", "0", "Its money was only reserved, and is not taken."),
        ("240", "0", "0", "240", "$240.00 is on its way back to you."),
        ("240", "0", "240", "0", "$240.00 was given back."),
        ("240", "0", "0", "0", "What you paid is not on its way back yet: the shop will see to it."),
        ("241", "0", "0", "240", "$240.00 is on its way back to you. The rest of what you paid"),
        ("240", "40", "200", "0", "$200.00 was given back. $40.00 was taken back by your bank."),
    ],
)  # fmt: skip
def test_a_canceled_order_tells_of_its_money(came: str, lost: str, back: str, coming: str, words: str) -> None:
    found = {"amount_captured": came, "amount_lost": lost, "amount_refunded": back, "amount_refunding": coming}
    assert money_of_canceled(found | {"currency": "USD"}, WRITE).strip().startswith(words)


def test_the_words_of_a_line() -> None:
    line = {"qty_fulfilled": 2, "qty_refunded": 0, "qty_refunding": 1}
    assert line_words(line) == ["2 sent", "1 on the way back to you"]
    assert line_words(dict.fromkeys(line, 0)) == []
