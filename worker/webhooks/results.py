"""The result of a webhook, from what was parsed in it and what its events did."""

from __future__ import annotations

from collections.abc import Sequence

from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent
from worker.backoff import FIRST_DELAY, LONGEST_DELAY, jittered
from worker.context import settings
from worker.transitions.outcomes import Effect, Outcome
from worker.webhooks.claims import PARKED_FOR, Result
from worker.webhooks.parsing import Reading


def result_of(reading: Reading, effects: Sequence[Effect] = ()) -> Result:
    """The result of a webhook that was parsed, by precedence.

    waiting, parked, failed (some of it could not be understood), applied, duplicate, ignored
    """
    webhook = reading.webhook
    events: list[ProviderEvent | ProviderRefundEvent] = [*reading.events, *reading.refunds]
    reference = events[0].provider_ref if events else None
    outcomes = [effect.outcome for effect in effects]
    waits = reading.waits_for is not None or Outcome.WAITING in outcomes or Outcome.PARKED in outcomes
    # What waits is read again, and what could not be understood is met then, too.
    if reading.unreadable is not None and not (waits and webhook.age < PARKED_FOR):
        return _not_understood(reading, reference)
    # Before what is parked, which is for days: what waits may be entered soon.
    if Outcome.WAITING in outcomes and (webhook.age < PARKED_FOR or Outcome.PARKED not in outcomes):
        return put_off(reading, next(effect.waits_for for effect in effects if effect.waits_for))
    if reading.waits_for is not None or Outcome.PARKED in outcomes:
        return _parked(reading, outcomes)
    if Outcome.MISMATCH in outcomes:
        detail = "mismatch: amount or currency are not the payment's"
        return Result(webhook=webhook, state="applied", provider_ref=reference, detail=detail)
    if Outcome.APPLIED in outcomes:
        return Result(webhook=webhook, state="applied", provider_ref=reference)
    if Outcome.STALE in outcomes:
        return Result(webhook=webhook, state="applied", provider_ref=reference, detail="stale: the payment is further")
    if Outcome.DUPLICATE in outcomes:
        return Result(webhook=webhook, state="duplicate", provider_ref=reference)
    if reading.seen_before:
        return Result(webhook=webhook, state="duplicate", detail="the same bytes came before")
    return Result(webhook=webhook, state="ignored", detail="says nothing that we keep")


def put_off(reading: Reading, why: str | None = None) -> Result:
    """The result of a webhook that must wait, most often for its provider: for 72 hours without using up an attempt.

    The delay doubles by itself, being as long as the webhook is old. An operator's run gets one attempt here too.
    """
    webhook = reading.webhook
    why = why or reading.unavailable or "the provider is unavailable"
    if webhook.age > PARKED_FOR or webhook.by_hand:
        return failed_attempt(reading, why)
    delay = reading.wait or min(max(webhook.age, FIRST_DELAY), LONGEST_DELAY)
    return Result(webhook=webhook, state="received", detail=why, delay=jittered(delay), returned=True)


def failed_attempt(reading: Reading, detail: str) -> Result:
    """The result of a webhook whose processing failed: later, or never again without an operator.

    Never at its first attempt, made in a set: only a task of its own can fail for all to see.
    """
    webhook = reading.webhook
    used_up = webhook.attempts >= settings().webhook_max_attempts
    if webhook.by_hand or (used_up and webhook.tried_before):
        return Result(webhook=webhook, state="failed", detail=detail)
    if used_up:
        return Result(webhook=webhook, state="received", detail=detail)
    delay = min(FIRST_DELAY * 2 ** min(webhook.attempts - 1, 20), LONGEST_DELAY)
    return Result(webhook=webhook, state="received", detail=detail, delay=jittered(delay))


def _not_understood(reading: Reading, reference: str | None) -> Result:
    """Failed at once: nothing changes by itself, and an operator should know.

    Only a task of its own fails for all to see, so a webhook that was claimed in a set is due again now, for such a
    task, and fails there.
    """
    webhook, detail = reading.webhook, f"verified, but not understood: {reading.unreadable}"
    state = "failed" if webhook.tried_before or webhook.by_hand else "received"
    return Result(webhook=webhook, state=state, provider_ref=reference, detail=detail)


def _parked(reading: Reading, outcomes: Sequence[Outcome]) -> Result:
    webhook = reading.webhook
    events: list[ProviderEvent | ProviderRefundEvent] = [*reading.events, *reading.refunds]
    unknown = [event for event, outcome in zip(events, outcomes, strict=True) if outcome is Outcome.PARKED]
    ours = next((event for event in unknown if event.payment_id is not None), None)
    waiting = ours or reading.waits_for or unknown[0]
    if webhook.age < PARKED_FOR:
        return Result(
            webhook=webhook,
            state="parked",
            provider_ref=waiting.provider_ref,
            detail="its payment is not here yet",
            returned=True,
        )
    if ours is not None:
        detail = f"its payment {ours.payment_id} never came"
        return Result(webhook=webhook, state="failed", provider_ref=ours.provider_ref, detail=detail)
    detail = "of a payment that another service opened"
    return Result(webhook=webhook, state="ignored", provider_ref=waiting.provider_ref, detail=detail)
