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
    "duplicate": "It is genuine, but it says what we knew already. It counts once, not twice.",
    "ignored": "It is genuine, but it says nothing that concerns this payment.",
    "parked": "It is genuine, but its payment is not here yet. It waits for it.",
    "failed": "It could not be processed. Its bytes are kept, and an operator can have it processed again.",
}
"""What became of a letter whose facts are not in the ledger."""

GIVEN_BACK: Final = {
    "requested": ("owed", "It was asked for. A worker asks the provider for it."),
    "processing": ("owed", "The provider has it under way."),
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
    steps = _steps(evidence.facts)
    by_letter: dict[UUID, list[Any]] = {}
    for fact in evidence.facts:
        if fact.delivery_id is not None:
            by_letter.setdefault(fact.delivery_id, []).append(fact)
    known = {letter.id for letter in evidence.letters}
    entries = [_asked_to_pay(evidence)]
    entries += [_letter(evidence, row, by_letter.get(row.id, []), steps) for row in evidence.letters]
    entries += [_asked(question) for question in evidence.payment.look_up_log]
    entries += [_learned(evidence, fact, steps) for fact in evidence.facts if fact.delivery_id not in known]
    entries += [_given_back(refund) for refund in evidence.refunds]
    return sorted(entries)


def _asked_to_pay(evidence: Evidence) -> Entry:
    payment = evidence.payment
    lines = sum(session.lines for session in evidence.sessions)
    what = f" for {lines} line{'' if lines == 1 else 's'} of the cart" if lines else ""
    said = f"{show(payment.amount)} {payment.currency}{what}. The payment was opened at the provider and is pending."
    return Entry(at=payment.created_at, rank=0, key="opened", state="pending", title="You asked to pay", said=said)


def _letter(evidence: Evidence, row: Any, facts: Sequence[Any], steps: Mapping[str, str]) -> Entry:
    done = row.processed_at if row.state not in {"received", "parked"} else None
    return Entry(
        at=row.received_at,
        rank=1,
        key=str(row.id),
        state=_outcome(row, facts),
        title=_title(row, facts),
        said=" ".join(_about(evidence, row, facts, steps)),
        took=done - row.received_at if done else None,
    )


def _title(row: Any, facts: Sequence[Any]) -> str:
    if row.state == "rejected":
        return "A forged webhook arrived"
    if row.state == "duplicate":
        return "The same webhook arrived again"
    return f"A webhook said “{facts[0].status}”" if facts else "A webhook arrived"


def _outcome(row: Any, facts: Sequence[Any]) -> str:
    """The badge: what the letter did to this payment, which says more than that a worker is done with it."""
    outcomes = {fact.outcome for fact in facts}
    for outcome in ("mismatch", "applied", "stale"):
        if row.state == "applied" and outcome in outcomes:
            return outcome
    return str(row.state)


def _about(evidence: Evidence, row: Any, facts: Sequence[Any], steps: Mapping[str, str]) -> Iterator[str]:
    if row.state == "received":
        yield "It was filed unopened and answered at once. It waits for a worker."
        if row.attempts:
            yield f"It was tried {_times(row.attempts)} so far."
    elif row.state == "rejected":
        yield f"It is not genuine: {row.detail or 'it cannot be verified'}. Nothing in it was believed."
    elif row.state == "applied" and facts:
        yield "It is genuine."
        for fact in facts:
            yield _did(evidence, fact, steps)
    else:
        yield UNDONE.get(row.state, "It is genuine.")


def _asked(question: Mapping[str, str]) -> Entry:
    cancel = question["asked"] == "cancel"
    return Entry(
        at=datetime.fromisoformat(question["at"]),
        rank=2,
        key=f"asked-{question['at']}",
        state="owed",
        title="We asked the provider to cancel it" if cancel else "We asked the provider",
        said=f"Nobody had told us, so we asked. The answer: {question['said']}.",
    )


def _learned(evidence: Evidence, fact: Any, steps: Mapping[str, str]) -> Entry:
    return Entry(
        at=fact.received_at,
        rank=3,
        key=f"fact-{fact.event_id}",
        state=fact.outcome,
        title="We learned of it",
        said=_did(evidence, fact, steps),
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


def _did(evidence: Evidence, fact: Any, steps: Mapping[str, str]) -> str:
    if fact.outcome == "mismatch":
        expected = f"{show(evidence.payment.amount)} {evidence.payment.currency}"
        said = "no amount" if fact.amount is None else f"{show(fact.amount)} {fact.currency}"
        return f"It says {fact.status} with {said}, not {expected}: it moves nothing, and a person has to look."
    if fact.outcome == "stale":
        return f"It says {fact.status}, but the payment is further down the street, and nothing drives back."
    money = "" if fact.amount is None else f" with {show(fact.amount)} {fact.currency}"
    return f"It says {fact.status}{money}: the payment moved from {steps.get(fact.status, 'pending')} to {fact.status}."


def _steps(facts: Sequence[Any]) -> dict[str, str]:
    """Where the payment came from when it moved to each status: the one proven before, since it moves one way."""
    reached = {fact.status for fact in facts if fact.outcome == "applied"}
    ordered = [PaymentStatus.PENDING.value] + [place.value for place in PaymentStatus if place.value in reached]
    return dict(zip(ordered[1:], ordered, strict=False))


def _times(number: int) -> str:
    return "once" if number == 1 else "twice" if number == 2 else f"{number} times"
