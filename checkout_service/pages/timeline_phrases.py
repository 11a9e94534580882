"""A payment's timeline in plain words for its customer: what arrived, when, and what it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from checkout_service.delivery_states import PENDING, DeliveryState
from checkout_service.money import show
from checkout_service.oversight.entries import PaymentEventRecorded, RefundEntered, SessionOpened, WebhookReceived
from checkout_service.oversight.payment_history import PaymentNow
from checkout_service.oversight.timeline import Timeline
from checkout_service.payments.look_up_log import LoggedQuestion, Question
from checkout_service.payments.outcomes import EventOutcome
from checkout_service.payments.status import PaymentStatus, RefundStatus

WITHOUT_EVENTS: Final = {
    DeliveryState.DUPLICATE: "It is verified, but it says what we knew already. It counts once, not twice.",
    DeliveryState.IGNORED: "It is verified, but it says nothing that concerns this payment.",
    DeliveryState.PARKED: "It is verified, but its payment is not here yet. It waits for it.",
    DeliveryState.FAILED: "It could not be processed. Its bytes are kept, and an operator can have it processed again.",
}
"""What became of a webhook in this state, of whose events none was recorded."""

REFUNDED: Final = {
    RefundStatus.REQUESTED: ("requested", "It was requested. A worker asks the provider for it."),
    RefundStatus.PROCESSING: ("processing", "The provider has it under way."),
    RefundStatus.SUCCEEDED: (
        "applied",
        "The provider gave it back. The payment stays paid: a refund is a matter of its own.",
    ),
    RefundStatus.FAILED: ("failed", "It did not go through, so this money stays here."),
}
"""What became of a refund: its badge, and its sentence."""

_Before = Mapping[PaymentStatus, PaymentStatus]
"""By status, the one that the payment had before it moved there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerPhrase:
    """Something that happened, in words. ``key`` names it on the page.

    ``badge`` names a badge, and ``badge_words`` its words where they differ. ``took`` is from the webhook's arrival
    until a worker was done with it.
    """

    at: datetime
    key: str
    badge: str
    title: str
    text: str
    badge_words: str | None = None
    took: timedelta | None = None


def phrases(timeline: Timeline) -> list[CustomerPhrase]:
    """Everything that happened to the payment, oldest first.

    An event is part of the webhook that brought it. Requests to cancel are seen in what the provider was asked, and
    the events of a refund in the refund's own status.
    """
    payment, before = timeline.payment, _before(timeline)
    webhooks = {entry.delivery_id for entry in timeline.entries if isinstance(entry, WebhookReceived)}
    brought: dict[UUID, list[PaymentEventRecorded]] = {}
    for event in timeline.events():
        if event.delivery_id is not None:
            brought.setdefault(event.delivery_id, []).append(event)
    found = [_opened(timeline)]
    for entry in timeline.entries:
        match entry:
            case WebhookReceived():
                found.append(_webhook(payment, entry, brought.get(entry.delivery_id, ()), before))
            case LoggedQuestion():
                found.append(_question(entry))
            case PaymentEventRecorded() if entry.delivery_id not in webhooks:
                found.append(_event(payment, entry, before))
            case RefundEntered():
                found.append(_refund(entry))
    return sorted(found, key=lambda phrase: phrase.at)


def _opened(timeline: Timeline) -> CustomerPhrase:
    payment = timeline.payment
    lines = sum(entry.lines for entry in timeline.entries if isinstance(entry, SessionOpened))
    what = f" for {lines} line{'' if lines == 1 else 's'} of the cart" if lines else ""
    return CustomerPhrase(
        at=payment.created_at,
        key="opened",
        badge="pending",
        badge_words="opened",
        title="You asked to pay",
        text=f"{show(payment.amount)} {payment.currency}{what}. The payment was opened at the provider and is pending.",
    )


def _webhook(
    payment: PaymentNow, webhook: WebhookReceived, events: Sequence[PaymentEventRecorded], before: _Before
) -> CustomerPhrase:
    done = webhook.processed_at if webhook.state not in PENDING else None
    return CustomerPhrase(
        at=webhook.at,
        key=str(webhook.delivery_id),
        badge=_badge(webhook, events),
        title=_title(webhook, events),
        text=" ".join(_about(payment, webhook, events, before)),
        took=done - webhook.at if done else None,
    )


def _title(webhook: WebhookReceived, events: Sequence[PaymentEventRecorded]) -> str:
    if webhook.state is DeliveryState.REJECTED:
        return "An unverified webhook arrived"
    if webhook.state is DeliveryState.DUPLICATE:
        return "The same webhook arrived again"
    return f"A webhook said “{_word(events[0])}”" if events else "A webhook arrived"


def _badge(webhook: WebhookReceived, events: Sequence[PaymentEventRecorded]) -> str:
    """What the webhook did to this payment, which says more than that a worker is done with it."""
    outcomes = {event.outcome for event in events}
    for outcome in (EventOutcome.MISMATCH, EventOutcome.APPLIED, EventOutcome.STALE):
        if webhook.state is DeliveryState.APPLIED and outcome in outcomes:
            return outcome.value
    return webhook.state.value


def _about(
    payment: PaymentNow, webhook: WebhookReceived, events: Sequence[PaymentEventRecorded], before: _Before
) -> Iterator[str]:
    if webhook.state is DeliveryState.RECEIVED:
        yield "It was stored as it came and answered at once. It waits for a worker."
        if webhook.attempts:
            yield f"It was tried {_times(webhook.attempts)} so far."
    elif webhook.state is DeliveryState.REJECTED:
        yield f"It is unverified: {webhook.detail or 'it cannot be verified'}."
        yield "Somebody else may have sent it, or our own secret may be wrong. Nothing in it was believed."
    elif webhook.state is DeliveryState.APPLIED and events:
        yield "It is verified."
        for event in events:
            yield _effect(payment, event, before)
    else:
        yield WITHOUT_EVENTS.get(webhook.state, "It is verified.")


def _question(entry: LoggedQuestion) -> CustomerPhrase:
    cancel = entry.question is Question.CANCEL
    return CustomerPhrase(
        at=entry.at,
        key=f"question-{entry.at.isoformat()}",
        badge="requested",
        badge_words="looked up",
        title="We asked the provider to cancel it" if cancel else "We asked the provider",
        text=f"Nobody had reported to us, so we asked. The answer: {entry.answer}.",
    )


def _event(payment: PaymentNow, event: PaymentEventRecorded, before: _Before) -> CustomerPhrase:
    return CustomerPhrase(
        at=event.at,
        key=f"event-{event.event_id}",
        badge=event.outcome.value,
        title="The provider reported",
        text=_effect(payment, event, before),
    )


def _refund(refund: RefundEntered) -> CustomerPhrase:
    badge, text = REFUNDED[refund.status]
    return CustomerPhrase(
        at=refund.at,
        key=f"refund-{refund.refund_id}",
        badge=badge,
        title=f"{show(refund.amount)} {refund.currency} to be given back",
        text=text,
    )


def _effect(payment: PaymentNow, event: PaymentEventRecorded, before: _Before) -> str:
    status = _word(event)
    if event.outcome is EventOutcome.MISMATCH:
        expected = f"{show(payment.amount)} {payment.currency}"
        money = "no amount" if event.amount is None else f"{show(event.amount)} {event.currency}"
        return f"It says {status} with {money}, not {expected}: it moves nothing, and a person has to look."
    if event.outcome is EventOutcome.STALE:
        return f"It says {status}, but the payment is further already, and its status never moves back."
    money = "" if event.amount is None else f" with {show(event.amount)} {event.currency}"
    came_from = (before.get(event.status, PaymentStatus.PENDING) if event.status else payment.status).value
    return f"It says {status}{money}: the payment moved from {came_from} to {status}."


def _before(timeline: Timeline) -> _Before:
    """The status before each that the payment moved to: the last one proven before, since it moves one way."""
    reached = {event.status for event in timeline.events() if event.status and event.outcome is EventOutcome.APPLIED}
    ordered = [PaymentStatus.PENDING, *(status for status in PaymentStatus if status in reached)]
    return dict(zip(ordered[1:], ordered, strict=False))


def _word(event: PaymentEventRecorded) -> str:
    return event.status.value if event.status else "news"


def _times(number: int) -> str:
    return "once" if number == 1 else "twice" if number == 2 else f"{number} times"
