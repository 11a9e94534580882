"""What each reason for a review means, and what an operator can do about it; docs/operating.md says it at length."""

from __future__ import annotations

import re
from typing import Final

from checkout_service.money import show
from checkout_service.oversight.payment_history import PaymentNow
from checkout_service.payments.outcomes import ReviewReason

_REFUND: Final = "give it back (payments refund {id})"
_SEEN: Final = "leave it (payments review {id} --why …)"

_EXPLAINED: Final[dict[str, str]] = {
    ReviewReason.MISMATCH: (
        "Less came than is due, or another currency: accept it (payments accept {id} --amount {came} --why …), "
        f"{_REFUND}, or {_SEEN}."
    ),
    ReviewReason.OVERPAID: f"More came than is due: {_REFUND}, with --amount for a part, or {_SEEN}.",
    ReviewReason.PAID_AFTER_CLOSE: f"Money came after the provider had closed it: deliver, or {_REFUND}; {_SEEN}.",
    ReviewReason.PAID_TWICE: f"The same things of a cart were paid twice: give one of them back, or {_SEEN}.",
    ReviewReason.REFUND_TOO_LARGE: (
        f"More was given back or lost than came: compare with the provider's dashboard, then {_SEEN}."
    ),
    ReviewReason.ATTEMPT_TIMED_OUT: (
        f"An attempt was under way for longer than its method takes: ask the provider about it, then {_SEEN}."
    ),
    ReviewReason.PAID_WITHOUT_STOCK: (
        "Money came after its pieces had gone to others: get more (flask stock add), cancel the order, which gives the "
        f"money back, or {_SEEN}."
    ),
    ReviewReason.CANCELLATION_UNPAID: (
        f"Its order was canceled, and a refund or a void for that failed: {_REFUND}, release what is authorized in the "
        f"provider's dashboard, or {_SEEN}."
    ),
    ReviewReason.FULFILLED_UNPAID: (
        "Goods were handed over, and what was authorized ended without a capture: have the customer pay in another "
        f"way, get the goods back, or {_SEEN}."
    ),
    ReviewReason.REFUND_MISMATCH: (
        f"The provider speaks of another refund than was requested: compare with its dashboard, then {_SEEN}."
    ),
    ReviewReason.RECAPTURED: (
        "A capture that failed is reported as captured again, by the same signed fields, so it is not counted: see the "
        "provider's dashboard. If the money came, accept it (payments accept {id} --amount {came} --why …), and the "
        f"capture counts again; if not, {_SEEN}."
    ),
    ReviewReason.AUTHORIZATION_ADJUSTED: (
        "What is authorized was changed, and no signed time tells which change is newer: see the provider's dashboard "
        f"before anything is captured, then {_SEEN}."
    ),
    ReviewReason.UNCLEAR_CANCELLATION: (
        f"No signed field says whether the provider canceled or refunded: see its dashboard, then {_SEEN}."
    ),
    ReviewReason.NAME_OF_ANOTHER: (
        f"The provider's name of an entry is known for another payment: see its dashboard, then {_SEEN}."
    ),
    ReviewReason.DISPUTE_MISMATCH: (
        "A dispute is in another currency than the payment, of no amount, or gave back a part of what it took, so what "
        f"it takes is not counted: see the provider's dashboard, book it by hand, then {_SEEN}."
    ),
    ReviewReason.FRAUD_WARNING: f"The card's bank reports fraud, no money moved: {_REFUND}, or {_SEEN}.",
}


_COMMAND: Final = re.compile(r" \(payments [^)]*\)")


def in_short(reason: str) -> str:
    """What the reason means and what can be done about it, of no payment in particular and without commands."""
    words = _EXPLAINED.get(reason)
    return "Somebody wrote it by hand." if words is None else _COMMAND.sub("", words)


def explained(reason: str, payment: PaymentNow, *, commands: bool = True) -> str:
    """The reason in a sentence, with the commands that are ways out of it for this payment.

    Beside forms for the ways out it needs no ``commands``.
    """
    words = _EXPLAINED.get(reason)
    if words is None:
        return f"{reason}: somebody wrote it by hand."
    words = words if commands else _COMMAND.sub("", words)
    return words.format(id=payment.id, came=show(payment.amount_captured, payment.currency))
