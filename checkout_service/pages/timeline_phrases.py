"""A payment's timeline in plain words for its customer: what arrived, when, and what it did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from checkout_service.delivery_states import PENDING, DeliveryState
from checkout_service.money import show_with_currency
from checkout_service.oversight.entries import (
    AmountAccepted,
    AttemptEntered,
    CancelRequested,
    CaptureEntered,
    DisputeEntered,
    PaymentEventRecorded,
    RefundEntered,
    SessionOpened,
    WebhookReceived,
)
from checkout_service.oversight.payment_history import PaymentNow
from checkout_service.oversight.timeline import Timeline
from checkout_service.pages.amounts import Write
from checkout_service.payments.look_up_log import LoggedQuestion, Question
from checkout_service.payments.outcomes import EventOutcome
from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus, RefundStatus

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
        "The provider gave it back.",
    ),
    RefundStatus.FAILED: ("failed", "It did not go through, so this money stays here."),
}
"""What became of a refund: its badge, and its sentence."""

TRIED: Final = {
    AttemptStatus.STARTED: ("pending", "It was begun."),
    AttemptStatus.UNDER_WAY: ("processing", "It is under way."),
    AttemptStatus.FAILED: ("failed", "It did not go through, and nothing was charged by it."),
    AttemptStatus.AUTHORIZED: ("authorized", "Its money is promised."),
    AttemptStatus.EXPIRED: ("expired", "Its time ran out."),
    AttemptStatus.CANCELED: ("canceled", "It was called off."),
}
"""What became of an attempt to pay: its badge, and its sentence."""

_ENDED: Final = (AttemptStatus.EXPIRED, AttemptStatus.CANCELED)

CAPTURED: Final = {
    CaptureStatus.PENDING: ("processing", "The provider has it under way."),
    CaptureStatus.REFUSED: ("failed", "The provider could not collect it."),
    CaptureStatus.SUCCEEDED: ("applied", "It is here."),
    CaptureStatus.UNDONE: ("reversed", "It had come, and the provider took it back."),
}
"""What became of money that was collected: its badge, and its sentence."""


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


def phrases(timeline: Timeline, *, write: Write) -> list[CustomerPhrase]:
    """Everything that happened to the payment, oldest first; ``write`` writes its amounts.

    An event is part of the webhook that brought it. Requests to capture and to void are seen in what the provider did,
    and the events of a refund or a dispute in its own status.
    """
    payment = timeline.payment
    webhooks = {entry.delivery_id for entry in timeline.entries if isinstance(entry, WebhookReceived)}
    brought: dict[UUID, list[PaymentEventRecorded]] = {}
    for event in timeline.events():
        if event.delivery_id is not None:
            brought.setdefault(event.delivery_id, []).append(event)
    collected = {
        entry.of
        for entry in timeline.entries
        if isinstance(entry, CaptureEntered) and entry.status is CaptureStatus.SUCCEEDED
    }
    found = [_opened(timeline, write)]
    reported = False
    for entry in timeline.entries:
        match entry:
            case WebhookReceived():
                found.append(_webhook(payment, entry, brought.get(entry.delivery_id, ()), write))
            case LoggedQuestion():
                found.append(_question(entry, reported=reported))
            case PaymentEventRecorded() if entry.delivery_id not in webhooks:
                found.append(_event(payment, entry, write))
            case AttemptEntered() if entry.presumed is None:
                found.append(_attempt(entry, collected=entry.name in collected))
            case CaptureEntered():
                found.append(_capture(entry, write))
            case RefundEntered():
                found.append(_refund(entry, write))
            case DisputeEntered():
                found.append(_dispute(entry, write))
            case AmountAccepted():
                found.append(_accepted(entry, write))
            case CancelRequested():
                found.append(_cancel_request(entry))
        reported = reported or isinstance(entry, PaymentEventRecorded | AttemptEntered)
    return sorted(found, key=lambda phrase: phrase.at)


def _opened(timeline: Timeline, write: Write) -> CustomerPhrase:
    payment = timeline.payment
    lines = sum(entry.lines for entry in timeline.entries if isinstance(entry, SessionOpened))
    what = f" for {lines} line{'' if lines == 1 else 's'} of the cart" if lines else ""
    return CustomerPhrase(
        at=payment.created_at,
        key="opened",
        badge="pending",
        badge_words="opened",
        title="You asked to pay",
        text=f"{write(payment.amount, payment.currency)}{what}. The payment was opened at the provider and is pending.",
    )


def _webhook(
    payment: PaymentNow, webhook: WebhookReceived, events: Sequence[PaymentEventRecorded], write: Write
) -> CustomerPhrase:
    done = webhook.processed_at if webhook.state not in PENDING else None
    return CustomerPhrase(
        at=webhook.at,
        key=str(webhook.delivery_id),
        badge=_badge(webhook, events),
        title=_title(webhook, events),
        text=" ".join(_about(payment, webhook, events, write)),
        took=done - webhook.at if done else None,
    )


def _title(webhook: WebhookReceived, events: Sequence[PaymentEventRecorded]) -> str:
    if webhook.state is DeliveryState.REJECTED:
        return "An unverified webhook arrived"
    if webhook.state is DeliveryState.DUPLICATE:
        return "The same webhook arrived again"
    status = events[0].status if events else None
    return f"A webhook said “{_words(status)}”" if status else "A webhook arrived"


def _badge(webhook: WebhookReceived, events: Sequence[PaymentEventRecorded]) -> str:
    """What the webhook did to this payment, which says more than that a worker is done with it."""
    outcomes = {event.outcome for event in events}
    for outcome in (EventOutcome.MISMATCH, EventOutcome.APPLIED, EventOutcome.STALE):
        if webhook.state is DeliveryState.APPLIED and outcome in outcomes:
            return outcome.value
    return webhook.state.value


def _about(
    payment: PaymentNow, webhook: WebhookReceived, events: Sequence[PaymentEventRecorded], write: Write
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
            yield _effect(payment, event, write)
    else:
        yield WITHOUT_EVENTS.get(webhook.state, "It is verified.")


def _question(entry: LoggedQuestion, *, reported: bool) -> CustomerPhrase:
    """``reported``: whether there was any news before."""
    cancel = entry.question is Question.CANCEL
    why = "We asked whether there is news." if reported else "Nobody had reported to us, so we asked."
    if cancel:
        why = "It was to be canceled, so we asked for that."
    return CustomerPhrase(
        at=entry.at,
        key=f"question-{entry.at.isoformat()}",
        badge="requested",
        badge_words="looked up",
        title="We asked the provider to cancel it" if cancel else "We asked the provider",
        text=f"{why} The answer: {entry.answer}.",
    )


def _cancel_request(request: CancelRequested) -> CustomerPhrase:
    return CustomerPhrase(
        at=request.at,
        key="cancel-request",
        badge="requested",
        title="It is to be canceled",
        text="A worker asks the provider to call it off, unless money is under way.",
    )


def _event(payment: PaymentNow, event: PaymentEventRecorded, write: Write) -> CustomerPhrase:
    return CustomerPhrase(
        at=event.at,
        key=f"event-{event.event_id}",
        badge=event.outcome.value,
        title="The provider reported",
        text=_effect(payment, event, write),
    )


def _refund(refund: RefundEntered, write: Write) -> CustomerPhrase:
    badge, text = REFUNDED[refund.status]
    return CustomerPhrase(
        at=refund.at,
        key=f"refund-{refund.refund_id}",
        badge=badge,
        title=f"{write(refund.amount, refund.currency)} to be given back",
        text=text,
    )


def _attempt(attempt: AttemptEntered, *, collected: bool) -> CustomerPhrase:
    """How it went. Where a part was collected, its end is only that of the rest."""
    badge, text = TRIED[attempt.status]
    if collected and attempt.status in _ENDED:
        badge, text = "applied", "Money was collected of it. What was left is not held back any more."
    return CustomerPhrase(
        at=attempt.at, key=f"attempt-{attempt.name}", badge=badge, title="An attempt to pay", text=text
    )


def _capture(capture: CaptureEntered, write: Write) -> CustomerPhrase:
    badge, text = CAPTURED[capture.status]
    return CustomerPhrase(
        at=capture.at,
        key=f"capture-{capture.capture_id}",
        badge=badge,
        title=f"{write(capture.amount, capture.currency)} collected",
        text=text,
    )


def _dispute(dispute: DisputeEntered, write: Write) -> CustomerPhrase:
    """Only what it did to the money: how a dispute goes on is between the bank and the shop."""
    if dispute.amount_lost > 0:
        badge, text = "reversed", f"Your bank took {write(dispute.amount_lost, dispute.currency)} back."
    else:
        badge, text = "review", "No money went back by it."
    return CustomerPhrase(
        at=dispute.at, key=f"dispute-{dispute.name}", badge=badge, title="The payment was disputed", text=text
    )


def _accepted(accepted: AmountAccepted, write: Write) -> CustomerPhrase:
    return CustomerPhrase(
        at=accepted.at,
        key=f"accepted-{accepted.at.isoformat()}",
        badge="applied",
        badge_words="accepted",
        title="What came was accepted",
        text=f"We take {write(accepted.amount, accepted.currency)} as the whole price.",
    )


def _effect(payment: PaymentNow, event: PaymentEventRecorded, write: Write) -> str:
    amount = ""
    if event.amount is not None:
        # An amount without a currency is nobody's; it is shown as it came.
        amount = write(event.amount, event.currency) if event.currency else show_with_currency(event.amount, None)
    if event.status is None:
        says = f"It tells of {amount or 'this payment'}"
    else:
        says = f"It says {_words(event.status)}{f' with {amount}' if amount else ''}"
    if event.outcome is EventOutcome.MISMATCH:
        expected = write(payment.amount, payment.currency)
        return f"{says}{'' if amount else ' with no amount'}, not {expected}: a person has to look."
    if event.outcome is EventOutcome.STALE:
        return f"{says}, which we knew already or which came too late to change anything."
    return f"{says}, and that was written down."


def _words(status: PaymentStatus) -> str:
    return status.value.replace("_", " ")


def _times(number: int) -> str:
    return "once" if number == 1 else "twice" if number == 2 else f"{number} times"
