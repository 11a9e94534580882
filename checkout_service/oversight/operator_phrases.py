"""A timeline in the words for operators, the same on the command line and in the console."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.delivery_states import PENDING
from checkout_service.money import show
from checkout_service.oversight.entries import (
    CancelRequested,
    Entry,
    PaymentEventRecorded,
    RefundEntered,
    RefundEventRecorded,
    SessionOpened,
    WebhookReceived,
)
from checkout_service.payments.look_up_log import LoggedQuestion
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
        case LoggedQuestion():
            return OperatorPhrase(at=entry.at, kind=entry.question.value, text=printable(entry.answer))
        case PaymentEventRecorded():
            text = f"{entry.status.value}{_event(entry)}"
            return OperatorPhrase(at=entry.at, kind="event", text=text, delivery_id=entry.delivery_id)
        case RefundEventRecorded():
            text = f"refund {entry.status.value}{_event(entry)}"
            return OperatorPhrase(at=entry.at, kind="event", text=text, delivery_id=entry.delivery_id)
        case _:
            assert_never(entry)


def _session(entry: SessionOpened) -> str:
    return (
        f"{show(entry.amount)} {entry.currency} for {entry.lines} line{'' if entry.lines == 1 else 's'} "
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
    decline = f": {entry.decline}" if entry.decline else ""
    money = f"{show(entry.amount)} {entry.currency}"
    now = f"now {entry.status.value}{decline}{named}"
    return f"{entry.refund_id} of {money} {source}{reason}, {now}{_attempts(entry)}"


def _attempts(entry: RefundEntered | CancelRequested) -> str:
    detail = f" ({printable(entry.detail)})" if entry.detail else ""
    ahead = f", next attempt {show_time(entry.next_attempt_at)}" if entry.next_attempt_at else ""
    return f", tried {entry.attempts}{detail}{ahead}"


def _event(entry: PaymentEventRecorded | RefundEventRecorded) -> str:
    money = "" if entry.amount is None else f" {show(entry.amount)} {entry.currency}"
    source = f", from webhook {entry.delivery_id}" if entry.delivery_id else ""
    happened = f", happened {show_time(entry.occurred_at)}" if entry.occurred_at else ""
    return f"{money}: {entry.outcome.value}, event {printable(entry.event_id)}{source}{happened}"
