"""A payment's current status as its customer reads it: a headline, what it means, and what can be done now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from checkout_service.money import show
from checkout_service.oversight.payment_history import PaymentNow
from checkout_service.payments.outcomes import ReviewReason, read_reasons
from checkout_service.payments.status import PaymentStatus

PATIENCE: Final = timedelta(minutes=1)
"""How long a customer waits before the page says that it is taking long."""

REVIEWED: Final[dict[str, str]] = {
    ReviewReason.MISMATCH: "Another amount came than you were asked for. A person looks at it.",
    ReviewReason.OVERPAID: "More came than you were asked for. A person looks at it, and what is too much goes back.",
    ReviewReason.PAID_AFTER_CLOSE: "Money came although this payment was closed already.",
    ReviewReason.PAID_TWICE: "The same cart was paid for twice.",
}
"""What a customer reads of the reasons for a review. Those about refunds and disputes are for operators alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What the page says above all. ``tone`` is a colour, ``sign`` an icon; neither says anything alone.

    ``waiting`` tells that no news came for a while, ``reviewed`` why a person looks at the payment.
    """

    status: PaymentStatus
    title: str
    meaning: str
    tone: str
    sign: str
    waiting: bool = False
    reviewed: tuple[str, ...] = ()

    @property
    def final(self) -> bool:
        """Whether no news is to be expected, so that nobody need wait here."""
        return not self.status.open

    @property
    def retryable(self) -> bool:
        """Whether the customer may try again with a new session: every attempt failed, and none is under way."""
        return self.status is PaymentStatus.FAILED

    @property
    def payable(self) -> bool:
        """Whether the customer may go (back) to the provider with this same payment."""
        return self.status is PaymentStatus.PENDING and not self.reviewed


def headline(payment: PaymentNow, *, last_moved_at: datetime) -> Headline:
    """The headline of a payment; ``last_moved_at`` is when it was opened, or when its status last moved."""
    status = payment.status
    waiting = status in _IMPATIENT and datetime.now(UTC) - last_moved_at > PATIENCE
    reviewed = tuple(REVIEWED[reason] for reason in sorted(read_reasons(payment.review_reason)) if reason in REVIEWED)
    title, meaning, tone, sign = _STILL_WAITING if waiting else _refunded(payment) or _of_status(payment)
    if reviewed and status.open:
        title, meaning, tone, sign = _IN_REVIEW
    return Headline(
        status=status, title=title, meaning=meaning, tone=tone, sign=sign, waiting=waiting, reviewed=reviewed
    )


_Words = tuple[str, str, str, str]
"""Title, meaning, tone and sign."""

_IMPATIENT: Final = (PaymentStatus.PENDING, PaymentStatus.PROCESSING)


def _refunded(payment: PaymentNow) -> _Words | None:
    """What a payment says of which money was given back: that comes before its status."""
    back = payment.amount_refunded
    if back <= 0 or not payment.status.money_came:
        return None
    given = f"{show(back, payment.currency)} {payment.currency}"
    if back >= payment.amount_captured - payment.amount_lost:
        return "Refunded", f"Your money was given back: {given}. Nothing is left to pay.", "past", "back"
    if payment.status is not PaymentStatus.PAID:
        return None
    return "Paid, and partly refunded", f"{given} of what you paid was given back.", "good", "check"


def _of_status(payment: PaymentNow) -> _Words:
    if payment.status is PaymentStatus.PARTIALLY_PAID:
        came, due = (show(amount, payment.currency) for amount in (payment.amount_captured, payment.amount))
        meaning = f"{came} of {due} {payment.currency} came so far."
        return "A part of the money came", meaning, "busy", "turning"
    return _BY_STATUS[payment.status]


_BY_STATUS: Final[dict[PaymentStatus, _Words]] = {
    PaymentStatus.PENDING: (
        "Waiting for your payment",
        "The provider has not reported anything yet. As soon as it does, you see it here.",
        "calm",
        "dots",
    ),
    PaymentStatus.PROCESSING: (
        "Your bank is working on it",
        "The provider has your payment and is waiting for the money. You can close this page and come back later.",
        "busy",
        "turning",
    ),
    PaymentStatus.FAILED: (
        "The payment did not go through",
        "The provider declined it, and nothing was charged. Your cart is as it was.",
        "bad",
        "cross",
    ),
    PaymentStatus.AUTHORIZED: (
        "Your payment is authorized",
        "The money is reserved for this purchase. It is taken when your order is sent.",
        "busy",
        "lock",
    ),
    PaymentStatus.EXPIRED: (
        "This payment has expired",
        "Its time ran out before any money came, so nothing was charged. Your cart is as it was.",
        "past",
        "clock",
    ),
    PaymentStatus.CANCELED: (
        "This payment was canceled",
        "It was called off before any money came, so nothing was charged. Your cart is as it was.",
        "past",
        "barred",
    ),
    PaymentStatus.PAID: ("Paid. Thank you!", "The money came, and your order is on its way.", "good", "check"),
    PaymentStatus.REVERSED: (
        "The money went back",
        "It had come, and was taken back by the bank, so this order is not paid.",
        "odd",
        "back",
    ),
}

_STILL_WAITING: Final = (
    "Still waiting",
    (
        "More than a minute has passed without news. Nothing is lost: if no word comes, we ask the provider ourselves. "
        "Please do not pay a second time."
    ),
    "past",
    "clock",
)

_IN_REVIEW: Final = (
    "Somebody has to look at this",
    (
        "What the provider reported does not fit, so a person looks at it before anything is decided. "
        "Please do not pay a second time."
    ),
    "odd",
    "flag",
)
