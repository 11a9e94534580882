"""The result of a webhook, from what was parsed in it and what its events did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from checkout_service.delivery_states import DeliveryState
from checkout_service.providers.base import IgnoredReason, ProviderEvent, ProviderRefundEvent
from worker.backoff import FIRST_DELAY, LONGEST_DELAY, describe, jittered
from worker.context import settings
from worker.transitions.matching import names_of
from worker.transitions.outcomes import Effect, Outcome
from worker.webhooks.attempts import NOTHING_BEFORE, progress_of
from worker.webhooks.claims import PARKED_FOR, ClaimedWebhook, Result
from worker.webhooks.look_ups import OF_ANOTHER
from worker.webhooks.reading import Reading

_APPLIED: Final = DeliveryState.APPLIED

_WORDS: Final = {
    IgnoredReason.UNKNOWN_TYPE: "of a kind that we do not know",
    IgnoredReason.NOT_OURS: "of another shop, account or mode",
    IgnoredReason.NOTHING_TO_RECORD: "says nothing that we keep",
}


_NOTHING_WRONG: Final = (None, None, None, None)

_OPEN: Final = (DeliveryState.RECEIVED, DeliveryState.PARKED, DeliveryState.FAILED)
"""States after which there may be another attempt, which is to know what this one came to."""


def result_after(reading: Reading, effects: Sequence[Effect], found: str | None = None) -> Result:
    """The result of a webhook whose events, as far as there are any, are recorded; ``found`` is as in ``result_of``."""
    if is_plain(reading, effects):
        reference = found or reading.events[0].provider_ref or None
        return Result(webhook=reading.webhook, state=_APPLIED, provider_ref=reference)
    if reading.error is not None:
        result = failed_attempt(reading, describe(reading.error))
    elif reading.unavailable is not None:
        result = reschedule(reading)
    else:
        result = result_of(reading, effects, found)
    if result.state not in _OPEN:
        return result
    left = len(reading.left) if reading.news > 1 else None
    return result._replace(progress=progress_of(reading.webhook.before, _outcomes(reading, effects), left))


def is_plain(reading: Reading, effects: Sequence[Effect]) -> bool:
    """Whether all there is to a webhook, as to nearly every one, is one event that was applied at the first attempt.

    Then ``result_of`` has nothing else to weigh, and is not asked: it costs more than to look.
    """
    return (
        len(effects) == len(reading.events) == 1
        and effects[0].outcome is Outcome.APPLIED
        and reading.webhook.before is NOTHING_BEFORE
        and (reading.waits_for, reading.error, reading.unavailable, reading.unreadable) == _NOTHING_WRONG
    )


def not_recorded(reading: Reading, why: str, *, held: bool) -> Result:
    """The result of a webhook whose events could not be recorded: nothing of it was entered.

    ``held`` tells that another held a payment of it. No attempt is used up by that where the provider is away.
    """
    nothing = reading._replace(looked_up=(), left=[*reading.left, *(each.thin_event for each in reading.looked_up)])
    result = reschedule(nothing) if held and reading.unavailable is not None else failed_attempt(nothing, why)
    left = len(nothing.left) if reading.news > 1 else None
    return result._replace(progress=progress_of(reading.webhook.before, (), left))


def _outcomes(reading: Reading, effects: Sequence[Effect]) -> list[Outcome]:
    """What its events did.

    An answer that is not recorded counts where there is no other, and where it moved something.
    """
    events: list[ProviderEvent | ProviderRefundEvent] = [*reading.events, *reading.refunds]
    outcomes = [effect.outcome for effect in effects]
    recorded = [outcome for event, outcome in zip(events, outcomes, strict=False) if event.event_id]
    return recorded or [outcome for outcome in outcomes if outcome is not Outcome.DUPLICATE]


def result_of(reading: Reading, effects: Sequence[Effect] = (), found: str | None = None) -> Result:
    """The result of a webhook that was parsed, by precedence.

    waiting, parked, failed (some of it could not be understood), applied, duplicate, ignored

    ``found`` is the reference of a payment that was found by another name.
    """
    webhook = reading.webhook
    events: list[ProviderEvent | ProviderRefundEvent] = [*reading.events, *reading.refunds]
    reference = next((event.provider_ref for event in events if event.provider_ref), None)
    reference = found or reference
    outcomes = [effect.outcome for effect in effects]
    waits = reading.waits_for is not None or Outcome.WAITING in outcomes or Outcome.PARKED in outcomes
    # What waits is read again, and what could not be understood is met then, too.
    if reading.unreadable is not None and not (waits and webhook.age < PARKED_FOR):
        return _not_understood(reading, reference)
    # Before what is parked, which is for days: what waits may be entered soon.
    if Outcome.WAITING in outcomes and (webhook.age < PARKED_FOR or Outcome.PARKED not in outcomes):
        why = next(effect.waits_for for effect in effects if effect.waits_for)
        # By its payment operators find what waits for a refund that is in doubt.
        return reschedule(reading, why)._replace(provider_ref=reference)
    if reading.waits_for is not None or Outcome.PARKED in outcomes:
        return _parked(reading, outcomes)
    outcomes = [*_outcomes(reading, effects), *webhook.before.did]
    entered = _entered(webhook, outcomes, reference)
    if entered is not None:
        return entered
    if Outcome.FOREIGN in outcomes:
        return _ignored(reading, IgnoredReason.NOT_OURS, "of another shop", reference)
    if reading.came_with:
        detail = f"the same bytes came before, settled with {reading.came_with}"
        return Result(webhook=webhook, state=DeliveryState.DUPLICATE, detail=detail)
    # With its payment where one was looked up: whoever erases a person finds what its body may say of them.
    return _ignored(reading, reading.ignored, reading.ignored_why or _WORDS[reading.ignored], reference)


def _entered(webhook: ClaimedWebhook, outcomes: Sequence[Outcome], reference: str | None) -> Result | None:
    """The result of a webhook of which something is entered, by this attempt or one before; None of another."""
    if Outcome.MISMATCH in outcomes:
        detail = "mismatch: money, or a name, that is not the payment's"
        return Result(webhook=webhook, state=_APPLIED, provider_ref=reference, detail=detail, mismatch=True)
    if Outcome.APPLIED in outcomes:
        return Result(webhook=webhook, state=_APPLIED, provider_ref=reference)
    if Outcome.STALE in outcomes:
        return Result(webhook=webhook, state=_APPLIED, provider_ref=reference, detail="stale: the payment is further")
    if Outcome.DUPLICATE in outcomes:
        return Result(webhook=webhook, state=DeliveryState.DUPLICATE, provider_ref=reference)
    return None


def _ignored(reading: Reading, reason: IgnoredReason, words: str, reference: str | None = None) -> Result:
    detail = f"{reason.detail_prefix}{words}"
    return Result(
        webhook=reading.webhook, state=DeliveryState.IGNORED, provider_ref=reference, detail=detail, ignored=reason
    )


def reschedule(reading: Reading, why: str | None = None) -> Result:
    """The result of a webhook that must wait, most often for its provider: for 72 hours without using up an attempt.

    The delay doubles by itself, being as long as the webhook is old. A replay gets one attempt here too. One that came
    further with its thin events goes on with the rest, a replay or however old: as often as it has thin events at most.
    """
    webhook = reading.webhook
    why = why or reading.unavailable or "the provider is unavailable"
    goes_on = _came_further(reading) and not (webhook.is_replay and webhook.in_set)
    if not goes_on and (webhook.age > PARKED_FOR or webhook.is_replay):
        return failed_attempt(reading, why)
    wait = FIRST_DELAY if webhook.is_replay else reading.wait if goes_on else None
    # The attempts before a replay count no more: the next one is not to be taken for one too many.
    returned = webhook.attempts - 1 if webhook.is_replay else 1
    return Result(
        webhook=webhook,
        state=DeliveryState.RECEIVED,
        provider_ref=_reference_of(reading),
        detail=_of_how_many(reading, why),
        delay=jittered(wait or _by_age(webhook)),
        returned=returned,
    )


def rejected_result(reading: Reading) -> Result:
    """The result of a webhook that nobody vouches for.

    Where what it takes to verify it could not be had, it is tried again by itself, for 72 hours: kept among the
    rejected, whose number is bounded. Anybody can send such webhooks, and must not fill what is pending.
    """
    webhook = reading.webhook
    if reading.rejected is not None or webhook.age > PARKED_FOR:
        return Result(webhook=webhook, state=DeliveryState.REJECTED, detail=reading.rejected or reading.unavailable)
    delay = jittered(reading.wait or _by_age(webhook))
    return Result(webhook=webhook, state=DeliveryState.REJECTED, detail=reading.unavailable, delay=delay)


def _by_age(webhook: ClaimedWebhook) -> timedelta:
    """For as long as the webhook is old, so that the delay doubles by itself."""
    return min(max(webhook.age, FIRST_DELAY), LONGEST_DELAY)


def _came_further(reading: Reading) -> bool:
    """Whether fewer thin events are left than after the attempt before, as the database has it and not the cache."""
    before = reading.webhook.before.left
    return bool(reading.looked_up) and (before is None or len(reading.left) < before)


def _reference_of(reading: Reading) -> str | None:
    """By what operators find a webhook that is not through: what is left of it, else what is entered."""
    events: list[ProviderEvent | ProviderRefundEvent] = [*reading.events, *reading.refunds]
    names = [each.provider_ref or each.object_ref for each in reading.left] + [each.provider_ref for each in events]
    return next(filter(None, names), None)


def _of_how_many(reading: Reading, detail: str) -> str:
    """The detail, with how many thin events are left, where there are several."""
    return f"{detail} ({len(reading.left)} of {reading.news} are left)" if reading.left and reading.news > 1 else detail


def failed_attempt(reading: Reading, detail: str) -> Result:
    """The result of a webhook whose processing failed: later, or never again without an operator."""
    webhook, reference, detail = reading.webhook, _reference_of(reading), _of_how_many(reading, detail)
    if webhook.is_replay or webhook.attempts >= settings().webhook_max_attempts:
        return failed(webhook, detail, provider_ref=reference)
    delay = min(FIRST_DELAY * 2 ** min(webhook.attempts - 1, 20), LONGEST_DELAY)
    state = DeliveryState.RECEIVED
    return Result(webhook=webhook, state=state, provider_ref=reference, detail=detail, delay=jittered(delay))


def failed(webhook: ClaimedWebhook, detail: str, *, provider_ref: str | None = None) -> Result:
    """The result of a webhook that failed for good.

    One that was claimed in a set is due at once instead, for a task of its own: it may have failed by its neighbours,
    and only that task can fail in Flower with its id.
    """
    if webhook.in_set:
        # Earlier replays count no more: the next attempt is not to be taken for one too many.
        spent = webhook.attempts - 1
        return Result(
            webhook=webhook, state=DeliveryState.RECEIVED, provider_ref=provider_ref, detail=detail, returned=spent
        )
    return Result(webhook=webhook, state=DeliveryState.FAILED, provider_ref=provider_ref, detail=detail)


def _not_understood(reading: Reading, reference: str | None) -> Result:
    """Failed at once: nothing changes by itself, and an operator should know."""
    detail = f"verified, but not understood: {reading.unreadable}"
    return failed(reading.webhook, detail, provider_ref=reference)


def _parked(reading: Reading, outcomes: Sequence[Outcome]) -> Result:
    webhook = reading.webhook
    events: list[ProviderEvent | ProviderRefundEvent] = [*reading.events, *reading.refunds]
    unknown = [event for event, outcome in zip(events, outcomes, strict=True) if outcome is Outcome.PARKED]
    ours = next((event for event in unknown if event.payment_id is not None), None)
    waiting = ours or reading.waits_for or unknown[0]
    names = list(dict.fromkeys(name for event in unknown for name in names_of(event)))
    if reading.waits_for is not None and not reading.waits_for.provider_ref:
        names += [name for name in reading.waits_for.names if name not in names]
    own_id = ours.payment_id if ours else reading.waits_for.payment_id if reading.waits_for else None
    # What no reference leads to stands under its first name, so that the walk through what is parked comes by.
    reference = waiting.provider_ref or next(iter(names), None)
    # Whichever of its payments comes first brings it forward.
    names = list(dict.fromkeys([*names, *(name for name in reading.missing if name != reference)]))
    if webhook.age < PARKED_FOR:
        return Result(
            webhook=webhook,
            state=DeliveryState.PARKED,
            provider_ref=reference,
            detail="its payment is not here yet",
            returned=1,
            names=names,
        )
    if own_id is not None:
        detail = f"its payment {own_id} never came under this reference"
        return failed(webhook, detail, provider_ref=reference)
    entered = _entered(webhook, [*outcomes, *webhook.before.did], reference)
    if entered is not None:
        return entered._replace(detail=entered.detail or f"the rest is {OF_ANOTHER}")
    return _ignored(reading, IgnoredReason.NOT_OURS, OF_ANOTHER, reference)
