"""A payment's current status as its customer reads it: a headline, what it means, and what can be done now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from checkout_service.checkout.same_cart import OtherPayment
from checkout_service.orders.status import OrderStatus
from checkout_service.oversight.entries import AttemptEntered, CancelRequested, PaymentEventRecorded
from checkout_service.oversight.payment_history import PaymentNow
from checkout_service.oversight.timeline import Timeline
from checkout_service.pages import payment_words as words
from checkout_service.pages.amounts import Write
from checkout_service.pages.order_words import after_payment, not_yet_back
from checkout_service.payments.outcomes import EventOutcome, read_reasons
from checkout_service.payments.status import PaymentStatus

PATIENCE: Final = timedelta(minutes=1)
"""How long a customer waits before the page says that it is taking long."""

_IMPATIENT: Final = (PaymentStatus.PENDING, PaymentStatus.PROCESSING)
_CANCELABLE: Final = (PaymentStatus.PENDING, PaymentStatus.PROCESSING, PaymentStatus.FAILED)
_NOT_TO_BE_SENT: Final = (OrderStatus.SHORT, OrderStatus.ON_HOLD, OrderStatus.FULFILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What else is known of a payment.

    ``last_moved_at`` is when it was opened, or when its status last moved; ``reported`` tells that somebody reported
    anything of it, ``cancel_requested`` that somebody asked to cancel it. ``order`` is its order as the API shows it,
    ``others`` the other payments for the same things, the newest first.
    """

    last_moved_at: datetime
    reported: bool = False
    cancel_requested: bool = False
    others: Sequence[OtherPayment] = ()
    order: dict[str, Any] | None = None

    @property
    def instead(self) -> OtherPayment | None:
        """The payment that stands in this one's place: the one that money came for, else the newest begun after it."""
        candidates = [other for other in self.others if other.money_came or other.newer]
        return max(candidates, key=lambda other: other.money_came, default=None)

    @property
    def order_canceled(self) -> bool:
        """Whether it has an order, which was canceled."""
        return self.order is not None and OrderStatus(self.order["status"]) is OrderStatus.CANCELED

    @property
    def under_way(self) -> list[OtherPayment]:
        """Those of the others that may bring money yet."""
        return [other for other in self.others if other.promised]


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What the page says above all. ``tone`` is a colour, ``sign`` an icon; neither says anything alone.

    ``waiting`` tells that no news came for a while, ``reviewed`` why a person looks at the payment, ``instead`` which
    other payment of the cart counts. ``final``: no news is to be expected, so that nobody need wait here.
    ``retryable``: the customer may try again with a new session, ``payable``: they may go (back) to the provider with
    this one, ``cancelable``: they may call it off. ``ending``: somebody asked for that.
    """

    status: PaymentStatus
    title: str
    meaning: str
    tone: str
    sign: str
    final: bool
    retryable: bool
    payable: bool
    cancelable: bool
    ending: bool = False
    waiting: bool = False
    reviewed: tuple[str, ...] = ()
    instead: OtherPayment | None = None


def around(timeline: Timeline, *, others: Sequence[OtherPayment] = (), order: dict[str, Any] | None = None) -> Around:
    """What the timeline tells beside the payment itself."""
    moved = [event.at for event in timeline.events() if event.outcome is EventOutcome.APPLIED]
    return Around(
        last_moved_at=max([timeline.payment.created_at, *moved]),
        reported=any(isinstance(entry, PaymentEventRecorded | AttemptEntered) for entry in timeline.entries),
        cancel_requested=any(isinstance(entry, CancelRequested) for entry in timeline.entries),
        others=others,
        order=order,
    )


def headline(payment: PaymentNow, *, around: Around, write: Write) -> Headline:
    """The headline of a payment; ``write`` writes its amounts."""
    status = payment.status
    ending = around.cancel_requested and status in _CANCELABLE
    waiting = status in _IMPATIENT and not ending and datetime.now(UTC) - around.last_moved_at > PATIENCE
    reasons = sorted(read_reasons(payment.review_reason))
    reviewed = tuple(words.REVIEWED[reason] for reason in reasons if reason in words.REVIEWED)
    free = not reviewed and not ending and around.instead is None
    title, meaning, tone, sign = _words(payment, around, write, waiting=waiting, reviewed=bool(reviewed))
    return Headline(
        status=status,
        title=title,
        meaning=meaning,
        tone=tone,
        sign=sign,
        final=not status.open and not (around.order and around.order["number"] is None),
        retryable=free and status is PaymentStatus.FAILED,
        payable=free and status is PaymentStatus.PENDING,
        cancelable=status in _CANCELABLE and not ending,
        ending=ending,
        waiting=waiting,
        reviewed=reviewed,
        instead=_instead(payment, around),
    )


def _instead(payment: PaymentNow, around: Around) -> OtherPayment | None:
    """The payment that stands in the place of this one: of none that has money, or may yet have it before another."""
    other = around.instead
    if payment.status.money_came or payment.status is PaymentStatus.AUTHORIZED or other is None:
        return None
    return None if payment.under_way and not other.money_came else other


def _words(payment: PaymentNow, around: Around, write: Write, *, waiting: bool, reviewed: bool) -> words.Words:
    status = payment.status
    if reviewed and status.open:
        return words.IN_REVIEW
    if around.instead and status in words.IN_VAIN:
        return words.IN_VAIN[status]
    if around.cancel_requested and status is PaymentStatus.FAILED:
        return words.FAILED_AND_ENDING
    if around.cancel_requested and status in _CANCELABLE:
        return words.ENDING_UNDER_WAY if payment.under_way else words.ENDING
    if waiting:
        return words.STILL_UNDER_WAY if status is PaymentStatus.PROCESSING else words.STILL_WAITING
    if status is PaymentStatus.PENDING and around.reported:
        return words.BEGUN
    if status is PaymentStatus.CANCELED and around.instead:
        return words.CANCELED_FOR_PAID if around.instead.money_came else words.CANCELED_FOR_NEWER
    if status is PaymentStatus.CANCELED and around.cancel_requested:
        return words.CANCELED_ON_REQUEST
    if status is PaymentStatus.AUTHORIZED:
        return _authorized(around)
    if not status.money_came:
        return words.BY_STATUS[status]
    return _with_money(payment, around, write)


def _authorized(around: Around) -> words.Words:
    """What a payment says whose money is only reserved: whether it is taken is told by its order."""
    title, meaning, tone, sign = words.BY_STATUS[PaymentStatus.AUTHORIZED]
    if around.order_canceled:
        return words.RELEASED
    if around.order and OrderStatus(around.order["status"]) in _NOT_TO_BE_SENT:
        meaning = f"The money is reserved, and not taken yet{after_payment(around.order)}"
    return title, meaning, tone, sign


def _with_money(payment: PaymentNow, around: Around, write: Write) -> words.Words:
    """What a payment says that money came for; what went back of it comes before its status."""
    came, lost, back = payment.amount_captured, payment.amount_lost, payment.amount_refunded
    shown = {name: write(amount, payment.currency) for name, amount in (("came", came), ("lost", lost), ("back", back))}
    if payment.status is PaymentStatus.REVERSED:
        title, meaning, tone, sign = words.BY_STATUS[payment.status]
        return title, f"{meaning} We had given back {shown['back']} before." if back > 0 else meaning, tone, sign
    if back > 0 and back >= came - lost:
        bank = f" Your bank took {shown['lost']} back." if lost > 0 else ""
        return "Refunded", f"Your money was given back: {shown['back']}.{bank} Nothing is left to pay.", "past", "back"
    meaning = _kept(payment, around, write)
    if back > 0:
        meaning = f"{shown['back']} of what you paid was given back. {meaning}"
    elif payment.amount_refunding > 0:
        meaning = f"{write(payment.amount_refunding, payment.currency)} is on its way back to you. {meaning}"
    if around.order_canceled:
        left = payment.amount_left - payment.amount_refunding
        return words.ORDER_CANCELED, f"{meaning}{not_yet_back(left, payment.amount_captured)}", "past", "barred"
    if payment.status is PaymentStatus.PARTIALLY_PAID:
        return "A part of the money came", meaning, "busy", "turning"
    title = "Paid, and partly refunded" if back > 0 else words.PAID
    return title, meaning, "good", "check"


def _kept(payment: PaymentNow, around: Around, write: Write) -> str:
    """What becomes of a purchase whose money is here."""
    if payment.status is PaymentStatus.PARTIALLY_PAID:
        came, due = (write(amount, payment.currency) for amount in (payment.amount_captured, payment.amount))
        return f"{came} of {due} came so far."
    meaning = f"The money came{after_payment(around.order)}"
    if around.cancel_requested and around.instead is None:
        meaning += " You asked to cancel this payment, but the money was faster: write to us if you do not want it."
    return meaning
