"""A payment's story in plain words: what arrived, when, and what it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from checkout_service.money import show
from checkout_service.oversight.payment_history import Evidence
from checkout_service.payments.status import PaymentStatus

UNDONE: Final = {
    "duplicate": "It is verified, but it says what we knew already. It counts once, not twice.",
    "ignored": "It is verified, but it says nothing that concerns this payment.",
    "parked": "It is verified, but its payment is not here yet. It waits for it.",
    "failed": "It could not be processed. Its bytes are kept, and an operator can have it processed again.",
}
"""What became of a webhook whose events are not in the transitions."""

GIVEN_BACK: Final = {
    "requested": ("pending", "It was asked for. A worker asks the provider for it."),
    "processing": ("pending", "The provider has it under way."),
    "succeeded": ("applied", "The provider gave it back. The payment stays paid: a refund is a matter of its own."),
    "failed": ("failed", "It did not go through, so this money stays here."),
}
"""What became of a refund: its badge, and its sentence."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Entry:
    """Something that happened. ``state`` names its badge; ``took`` is from its arrival until a worker was done."""

    at: datetime
    rank: int
    key: str
    state: str
    title: str
    said: str
    took: timedelta | None = None


def told(evidence: Evidence) -> list[Entry]:
    """Everything that happened to the payment, oldest first."""
    steps = _steps(evidence.events)
    by_webhook: dict[UUID, list[Any]] = {}
    for event in evidence.events:
        if event.delivery_id is not None:
            by_webhook.setdefault(event.delivery_id, []).append(event)
    known = {webhook.id for webhook in evidence.webhooks}
    entries = [_asked_to_pay(evidence)]
    entries += [_webhook(evidence, row, by_webhook.get(row.id, []), steps) for row in evidence.webhooks]
    entries += [_asked(question) for question in evidence.payment.look_up_log]
    entries += [_learned(evidence, event, steps) for event in evidence.events if event.delivery_id not in known]
    entries += [_given_back(refund) for refund in evidence.refunds]
    return sorted(entries)


def _asked_to_pay(evidence: Evidence) -> Entry:
    payment = evidence.payment
    lines = sum(session.lines for session in evidence.sessions)
    what = f" for {lines} line{'' if lines == 1 else 's'} of the cart" if lines else ""
    said = f"{show(payment.amount)} {payment.currency}{what}. The payment was opened at the provider and is pending."
    return Entry(at=payment.created_at, rank=0, key="opened", state="pending", title="You asked to pay", said=said)


def _webhook(evidence: Evidence, row: Any, events: Sequence[Any], steps: Mapping[str, str]) -> Entry:
    done = row.processed_at if row.state not in {"received", "parked"} else None
    return Entry(
        at=row.received_at,
        rank=1,
        key=str(row.id),
        state=_outcome(row, events),
        title=_title(row, events),
        said=" ".join(_about(evidence, row, events, steps)),
        took=done - row.received_at if done else None,
    )


def _title(row: Any, events: Sequence[Any]) -> str:
    if row.state == "rejected":
        return "An unverified webhook arrived"
    if row.state == "duplicate":
        return "The same webhook arrived again"
    return f"A webhook said “{events[0].status}”" if events else "A webhook arrived"


def _outcome(row: Any, events: Sequence[Any]) -> str:
    """The badge: what the webhook did to this payment, which says more than that a worker is done with it."""
    outcomes = {event.outcome for event in events}
    for outcome in ("mismatch", "applied", "stale"):
        if row.state == "applied" and outcome in outcomes:
            return outcome
    return str(row.state)


def _about(evidence: Evidence, row: Any, events: Sequence[Any], steps: Mapping[str, str]) -> Iterator[str]:
    if row.state == "received":
        yield "It was filed unopened and answered at once. It waits for a worker."
        if row.attempts:
            yield f"It was tried {_times(row.attempts)} so far."
    elif row.state == "rejected":
        yield f"It is not verified: {row.detail or 'it cannot be verified'}. Nothing in it was believed."
    elif row.state == "applied" and events:
        yield "It is verified."
        for event in events:
            yield _did(evidence, event, steps)
    else:
        yield UNDONE.get(row.state, "It is verified.")


def _asked(question: Mapping[str, str]) -> Entry:
    cancel = question["question"] == "cancel"
    return Entry(
        at=datetime.fromisoformat(question["at"]),
        rank=2,
        key=f"asked-{question['at']}",
        state="pending",
        title="We asked the provider to cancel it" if cancel else "We asked the provider",
        said=f"Nobody had told us, so we asked. The answer: {question['answer']}.",
    )


def _learned(evidence: Evidence, event: Any, steps: Mapping[str, str]) -> Entry:
    return Entry(
        at=event.received_at,
        rank=3,
        key=f"event-{event.event_id}",
        state=event.outcome,
        title="We learned of it",
        said=_did(evidence, event, steps),
    )


def _given_back(refund: Any) -> Entry:
    state, said = GIVEN_BACK[refund.status]
    return Entry(
        at=refund.created_at,
        rank=4,
        key=f"refund-{refund.id}",
        state=state,
        title=f"{show(refund.amount)} {refund.currency} to be given back",
        said=said,
    )


def _did(evidence: Evidence, event: Any, steps: Mapping[str, str]) -> str:
    if event.outcome == "mismatch":
        expected = f"{show(evidence.payment.amount)} {evidence.payment.currency}"
        said = "no amount" if event.amount is None else f"{show(event.amount)} {event.currency}"
        return f"It says {event.status} with {said}, not {expected}: it moves nothing, and a person has to look."
    if event.outcome == "stale":
        return f"It says {event.status}, but the payment is further down the street, and nothing drives back."
    money = "" if event.amount is None else f" with {show(event.amount)} {event.currency}"
    return (
        f"It says {event.status}{money}: the payment moved from {steps.get(event.status, 'pending')} to {event.status}."
    )


def _steps(events: Sequence[Any]) -> dict[str, str]:
    """Where the payment came from when it moved to each status: the one proven before, since it moves one way."""
    reached = {event.status for event in events if event.outcome == "applied"}
    ordered = [PaymentStatus.PENDING.value] + [place.value for place in PaymentStatus if place.value in reached]
    return dict(zip(ordered[1:], ordered, strict=False))


def _times(number: int) -> str:
    return "once" if number == 1 else "twice" if number == 2 else f"{number} times"
