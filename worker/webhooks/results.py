"""Decides what becomes of a letter, from what was read in it and what its facts did."""

from __future__ import annotations

from collections.abc import Sequence

from checkout_service.providers.base import Fact, RefundFact
from worker.backoff import FIRST_DELAY, LONGEST_DELAY, jittered
from worker.context import settings
from worker.transitions.outcomes import Outcome
from worker.transitions.rules import Entered
from worker.webhooks.claims import PARKED_FOR, Result
from worker.webhooks.parsing import Reading


def verdict(reading: Reading, of_facts: Sequence[Outcome], of_refunds: Sequence[Entered] = ()) -> Result:
    """The result of a letter that was read, by precedence: parked, waiting, applied, duplicate, ignored."""
    letter = reading.letter
    facts: list[Fact | RefundFact] = [*reading.facts, *reading.refunds]
    reference = facts[0].provider_ref if facts else None
    outcomes = [*of_facts, *(entered.outcome for entered in of_refunds)]
    # Before what is parked, which is for days: what waits may be entered soon.
    if Outcome.WAITING in outcomes and (letter.age < PARKED_FOR or Outcome.PARKED not in outcomes):
        return put_off(reading, next(entered.why for entered in of_refunds if entered.why))
    if reading.waits_for is not None or Outcome.PARKED in outcomes:
        return _parked(reading, outcomes)
    if Outcome.MISMATCH in outcomes:
        detail = "mismatch: amount or currency are not the payment's"
        return Result(letter=letter, state="applied", provider_ref=reference, detail=detail)
    if Outcome.APPLIED in outcomes:
        return Result(letter=letter, state="applied", provider_ref=reference)
    if Outcome.STALE in outcomes:
        return Result(letter=letter, state="applied", provider_ref=reference, detail="stale: the payment is further")
    if Outcome.DUPLICATE in outcomes:
        return Result(letter=letter, state="duplicate", provider_ref=reference)
    if reading.seen_before:
        return Result(letter=letter, state="duplicate", detail="the same bytes came before")
    return Result(letter=letter, state="ignored", detail="says nothing that we keep")


def put_off(reading: Reading, why: str | None = None) -> Result:
    """The result of a letter that must wait, most often for its provider: for 72 hours without using up an attempt.

    The delay doubles by itself, being as long as the letter is old. An operator's run gets one attempt here too.
    """
    letter = reading.letter
    why = why or reading.unavailable or "the provider is unavailable"
    if letter.age > PARKED_FOR or letter.by_hand:
        return failed_attempt(reading, why)
    delay = reading.wait or min(max(letter.age, FIRST_DELAY), LONGEST_DELAY)
    return Result(letter=letter, state="received", detail=why, delay=jittered(delay), returned=True)


def failed_attempt(reading: Reading, detail: str) -> Result:
    """The result of a letter whose processing failed: later, or never again without an operator.

    Never at its first attempt, made in a set: only a task of its own can fail for all to see.
    """
    letter = reading.letter
    used_up = letter.attempts >= settings().webhook_max_attempts
    if letter.by_hand or (used_up and letter.tried_before):
        return Result(letter=letter, state="failed", detail=detail)
    if used_up:
        return Result(letter=letter, state="received", detail=detail)
    delay = min(FIRST_DELAY * 2 ** min(letter.attempts - 1, 20), LONGEST_DELAY)
    return Result(letter=letter, state="received", detail=detail, delay=jittered(delay))


def _parked(reading: Reading, outcomes: Sequence[Outcome]) -> Result:
    letter = reading.letter
    facts: list[Fact | RefundFact] = [*reading.facts, *reading.refunds]
    unknown = [fact for fact, outcome in zip(facts, outcomes, strict=True) if outcome is Outcome.PARKED]
    ours = next((fact for fact in unknown if fact.payment_id is not None), None)
    waiting = ours or reading.waits_for or unknown[0]
    if letter.age < PARKED_FOR:
        return Result(
            letter=letter,
            state="parked",
            provider_ref=waiting.provider_ref,
            detail="its payment is not here yet",
            returned=True,
        )
    if ours is not None:
        detail = f"its payment {ours.payment_id} never came"
        return Result(letter=letter, state="failed", provider_ref=ours.provider_ref, detail=detail)
    detail = "of a payment that another service opened"
    return Result(letter=letter, state="ignored", provider_ref=waiting.provider_ref, detail=detail)
