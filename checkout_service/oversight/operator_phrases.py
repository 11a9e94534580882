"""A timeline in the words for operators, the same on the command line and in the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, assert_never
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.delivery_states import PENDING
from checkout_service.money import show, show_with_currency
from checkout_service.orders.status import NoOrder
from checkout_service.oversight.entries import (
    AmountAccepted,
    AttemptEntered,
    CancelRequested,
    CaptureEntered,
    CaptureRequested,
    DisputeEntered,
    Entry,
    NoOrderMade,
    NoticeEntered,
    OrderCanceled,
    OrderFulfilled,
    OrderPlaced,
    PaymentClosed,
    PaymentEventRecorded,
    ReasonSeen,
    RefundEntered,
    RefundEventRecorded,
    SessionOpened,
    VoidRequested,
    WebhookReceived,
)
from checkout_service.oversight.order_entries import WithoutOrder
from checkout_service.oversight.payment_history import Duplicate, PaymentNow
from checkout_service.oversight.reasons import explained
from checkout_service.payments.look_up_log import LoggedQuestion
from checkout_service.payments.outcomes import read_reasons
from checkout_service.payments.status import AttemptStatus, DisputeStatus
from checkout_service.terminal import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPhrase:
    """One entry in words. ``delivery_id`` is the webhook that it is, or that brought it.

    What others wrote has no control characters in it any more.
    """

    at: datetime
    kind: str
    text: str
    delivery_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryLine:
    """One line of what a payment is now: a short label, and what there is to know."""

    label: str
    text: str


def summary(payment: PaymentNow) -> list[SummaryLine]:
    """What the payment is now, its sums, what is wrong with it, and the commands that are a way out."""
    lines = [
        ("payment", str(payment.id)),
        ("status", payment.status.value + (", an attempt is under way" if payment.under_way else "")),
        ("amount", _money(payment.amount, payment.currency) + _accepted(payment)),
        (
            "captured",
            (
                f"{_money(payment.amount_captured, payment.currency)}, "
                f"{show(payment.amount_lost, payment.currency)} lost{_blocked(payment)}"
            ),
        ),
    ]
    if payment.amount_authorized:
        end = payment.authorization_expires_at
        until = f", until {show_time(end)}" if end else ""
        lines.append(
            ("promised", f"{_money(payment.amount_authorized, payment.currency)} authorized and not captured{until}")
        )
    lines += [
        (
            "refunded",
            (
                f"{show(payment.amount_refunded, payment.currency)}, and "
                f"{show(payment.amount_refunding, payment.currency)} on the way"
            ),
        ),
        ("left", f"{_money(payment.amount_refundable, payment.currency)} may be given back"),
        ("provider", f"{payment.provider} {payment.provider_ref}"),
        ("user", str(payment.user_id)),
        ("review", payment.review_reason or "-"),
    ]
    lines += [("", explained(reason, payment)) for reason in sorted(read_reasons(payment.review_reason))]
    if payment.order is not None:
        lines.append(("order", f"{payment.order.number or payment.order.id} is {payment.order.status}"))
    if payment.without_order is not None:
        lines.append(("order", f"none: {without_order_because(payment.without_order)}"))
    lines += [("duplicate", _duplicate(mate)) for mate in payment.duplicates]
    ahead = show_time(payment.next_look_up_at) if payment.next_look_up_at else "none ahead"
    lines.append(("look-ups", f"{payment.look_ups} so far, next {ahead}"))
    return [SummaryLine(label=label, text=text) for label, text in lines]


def phrase(entry: Entry) -> OperatorPhrase:
    """The entry in one line, with every id and the next attempt."""
    match entry:
        case SessionOpened():
            return OperatorPhrase(at=entry.at, kind="session", text=_session(entry))
        case CancelRequested():
            text = f"requested by {entry.requested_by}{_attempts(entry)}"
            return OperatorPhrase(at=entry.at, kind="cancel", text=text)
        case WebhookReceived():
            return OperatorPhrase(at=entry.at, kind="webhook", text=_webhook(entry), delivery_id=entry.delivery_id)
        case RefundEntered():
            return OperatorPhrase(at=entry.at, kind="refund", text=_refund(entry))
        case AttemptEntered():
            return OperatorPhrase(at=entry.at, kind="attempt", text=_attempt(entry))
        case CaptureEntered():
            return OperatorPhrase(at=entry.at, kind="captured", text=_capture(entry))
        case DisputeEntered():
            return OperatorPhrase(at=entry.at, kind="dispute", text=_dispute(entry))
        case CaptureRequested():
            return OperatorPhrase(at=entry.at, kind="capture", text=_capture_request(entry))
        case VoidRequested():
            text = f"{entry.request_id} requested by {entry.requested_by}, {_now(entry)}{_attempts(entry)}"
            return OperatorPhrase(at=entry.at, kind="void", text=text)
        case PaymentClosed():
            text = f"{entry.status.value}: the provider closed it unpaid"
            return OperatorPhrase(at=entry.at, kind="closed", text=text)
        case AmountAccepted():
            worth = _money(entry.amount, entry.currency)
            text = f"{worth} in place of the amount, by {printable(entry.operator)}: {printable(entry.why)}"
            return OperatorPhrase(at=entry.at, kind="accepted", text=text)
        case NoticeEntered():
            detail = f": {printable(entry.detail)}" if entry.detail else ""
            text = f"{entry.reason} about {printable(entry.ref)}{detail}"
            return OperatorPhrase(at=entry.at, kind="notice", text=text)
        case ReasonSeen():
            text = f"{entry.reason}, with the amounts {entry.amounts}"
            return OperatorPhrase(at=entry.at, kind="seen", text=text)
        case OrderPlaced() | OrderFulfilled() | OrderCanceled() | NoOrderMade():
            return OperatorPhrase(at=entry.at, kind="order", text=_order(entry))
        case LoggedQuestion():
            return OperatorPhrase(at=entry.at, kind=entry.question.value, text=printable(entry.answer))
        case PaymentEventRecorded():
            about = "; ".join(map(_about, entry.about))
            named = f" ({printable(about)})" if about else ""
            text = f"{entry.status.value if entry.status else 'news'}{_event(entry)}{named}"
            return OperatorPhrase(at=entry.at, kind="event", text=text, delivery_id=entry.delivery_id)
        case RefundEventRecorded():
            text = f"refund {entry.status.value if entry.status else 'news'}{_event(entry)}"
            return OperatorPhrase(at=entry.at, kind="event", text=text, delivery_id=entry.delivery_id)
        case _:
            assert_never(entry)


_FIRST: Final = ("dispute", "capture", "attempt", "notice", "stage", "status", "amount", "currency")


def _about(entry: Mapping[str, str]) -> str:
    """What an event says of one entry. The database keeps the members in no order of ours."""
    known = [name for name in _FIRST if name in entry]
    return " ".join(f"{name} {entry[name]}" for name in [*known, *(name for name in entry if name not in known)])


def _session(entry: SessionOpened) -> str:
    return (
        f"{show(entry.amount, entry.currency)} {entry.currency} for {entry.lines} "
        f"line{'' if entry.lines == 1 else 's'} "
        f"of cart {entry.cart_id}, key {printable(entry.idempotency_key)}, until {show_time(entry.expires_at)}"
    )


def _webhook(entry: WebhookReceived) -> str:
    detail = f" ({printable(entry.detail)})" if entry.detail else ""
    pending = entry.next_attempt_at is not None and entry.state in PENDING
    ahead = f", next attempt {show_time(entry.next_attempt_at)}" if pending and entry.next_attempt_at else ""
    return f"{entry.delivery_id} {entry.state.value}{detail}, tried {entry.attempts}{ahead}"


def _refund(entry: RefundEntered) -> str:
    source = f"requested by {entry.requested_by}" if entry.requested_by else "made by the provider"
    reason = f" ({printable(entry.reason)})" if entry.reason else ""
    named = f", there {printable(entry.provider_ref)}" if entry.provider_ref else ""
    money = _money(entry.amount, entry.currency)
    return f"{entry.refund_id} of {money}{_of(entry.of)} {source}{reason}, {_now(entry)}{named}{_attempts(entry)}"


def _attempt(entry: AttemptEntered) -> str:
    name = _named(entry.name)
    parts = [f"{name} is {entry.status.value}{f': {entry.decline}' if entry.decline else ''}"]
    if entry.presumed is not None:
        came = f"{_money(entry.presumed, entry.currency)} came, where no capture is named"
        # Money that came by one that had failed once is what counts.
        parts = [f"{name}: {came}"] if entry.status < AttemptStatus.AUTHORIZED else [*parts, came]
    if entry.authorized is not None:
        end = f" until {show_time(entry.expires_at)}" if entry.expires_at else ""
        parts.append(f"{show(entry.authorized, entry.currency)} {entry.currency} authorized{end}")
    if entry.rest_released:
        parts.append("the rest released")
    if entry.replaces:
        parts.append(f"in place of {printable(entry.replaces)}")
    if entry.given_up_at:
        parts.append(f"given up {show_time(entry.given_up_at)}")
    elif entry.status is AttemptStatus.UNDER_WAY and entry.times_out_at:
        parts.append(f"counts until {show_time(entry.times_out_at)}")
    return f"{', '.join(parts)}, newest news {show_time(entry.reported_at)}"


def _capture(entry: CaptureEntered) -> str:
    money = _money(entry.amount, entry.currency)
    return f"{_named(entry.name)}{_of(entry.of)}, {money}, {entry.status.value}, id {entry.capture_id}"


def _dispute(entry: DisputeEntered) -> str:
    money = "" if entry.amount is None else f" over {show(entry.amount, entry.currency)} {entry.currency}"
    reason = f" ({printable(entry.reason)})" if entry.reason else ""
    blocked = ", holds its amount back" if entry.blocks_refund else ""
    due = f", evidence until {show_time(entry.evidence_due_at)}" if entry.evidence_due_at else ""
    sent = f" at {entry.evidence_at}" if entry.status is DisputeStatus.NEEDS_RESPONSE else ""
    return (
        f"{_named(entry.name)}{_of(entry.of)}{money}{reason}, {entry.stage.value} {entry.status.value}, "
        f"{show(entry.amount_lost, entry.currency)} taken{blocked}{due}{sent}"
    )


def _capture_request(entry: CaptureRequested) -> str:
    money = _money(entry.amount, entry.currency)
    rest = ", the rest released" if entry.final else ""
    named = f", there {printable(entry.name)}" if entry.name else ""
    source = f"requested by {entry.requested_by}"
    return f"{entry.request_id} of {money}{_of(entry.of)}{rest} {source}, {_now(entry)}{named}{_attempts(entry)}"


def _order(entry: OrderPlaced | OrderFulfilled | OrderCanceled | NoOrderMade) -> str:
    match entry:
        case OrderPlaced():
            return f"{entry.order_id} placed, number {entry.number or 'to come'}"
        case OrderFulfilled():
            by = f" by {printable(entry.carrier)}" if entry.carrier else ""
            tracking = f", tracking {printable(entry.tracking)}" if entry.tracking else ""
            pieces = f"{entry.pieces} piece{'' if entry.pieces == 1 else 's'}"
            return f"{pieces} handed over{by}{tracking}, requested by {entry.requested_by}"
        case OrderCanceled():
            reason = f" ({printable(entry.reason)})" if entry.reason else ""
            return f"canceled, requested by {entry.requested_by}{reason}"
        case NoOrderMade():
            return f"none: {without_order_because(WithoutOrder(entry.reason, entry.other))}"


_WITHOUT: Final = {
    NoOrder.DUPLICATE_OF: "payment {other} of the same filling of the cart has it",
    NoOrder.MISMATCH: "less came than is due",
    NoOrder.NO_SESSION: "the payment has no session that says what was bought",
    NoOrder.BEFORE_ORDERS: "it was paid before there were orders",
}


def without_order_because(why: WithoutOrder) -> str:
    """Why a payment with money has no order, in words."""
    return _WITHOUT[NoOrder(why.reason)].format(other=why.other)


def _now(entry: RefundEntered | CaptureRequested | VoidRequested) -> str:
    return f"now {entry.status.value}{f': {entry.decline}' if entry.decline else ''}"


def _named(name: str) -> str:
    return printable(name) if name else "one without a name"


def _of(name: str | None) -> str:
    return f" of {printable(name)}" if name else ""


def _duplicate(mate: Duplicate) -> str:
    came = _money(mate.amount_captured, mate.currency)
    offer = f"to give that back: payments refund {mate.id}" if mate.amount_left > 0 else "it went back"
    return f"{mate.id} for the same things is {mate.status.value}, {came} came; {offer}"


def _accepted(payment: PaymentNow) -> str:
    return (
        f", and {_money(payment.amount_accepted, payment.currency)} accepted"
        if payment.amount_accepted is not None
        else ""
    )


def _blocked(payment: PaymentNow) -> str:
    return (
        f", {show(payment.amount_blocked, payment.currency)} held back by open disputes"
        if payment.amount_blocked
        else ""
    )


def _money(amount: Decimal, currency: str) -> str:
    return f"{show(amount, currency)} {currency}"


def _attempts(entry: RefundEntered | CancelRequested | CaptureRequested | VoidRequested) -> str:
    detail = f" ({printable(entry.detail)})" if entry.detail else ""
    ahead = f", next attempt {show_time(entry.next_attempt_at)}" if entry.next_attempt_at else ""
    return f", tried {entry.attempts}{detail}{ahead}"


def _event(entry: PaymentEventRecorded | RefundEventRecorded) -> str:
    money = "" if entry.amount is None else f" {show_with_currency(entry.amount, entry.currency)}"
    source = f", from webhook {entry.delivery_id}" if entry.delivery_id else ""
    happened = f", happened {show_time(entry.occurred_at)}" if entry.occurred_at else ""
    return f"{money}: {entry.outcome.value}, event {printable(entry.event_id)}{source}{happened}"
