"""Verifies and parses webhooks, and asks the provider what thin events are about. No transaction is open meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Final
from uuid import UUID

import structlog

from checkout_service.providers.base import (
    Decline,
    Provider,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    ThinEvent,
    UnreadableError,
    UnverifiedError,
)
from checkout_service.telemetry import tracing
from checkout_service.telemetry.metrics import count_secret
from checkout_service.telemetry.tracing import Kind
from worker.backoff import FIRST_DELAY
from worker.context import provider, providers
from worker.references import references
from worker.unanswered import NOT_CALLED, may_call, note_answered, note_unanswered
from worker.webhooks.claims import ClaimedWebhook
from worker.webhooks.memory import name_of, recall
from worker.webhooks.progress import resume
from worker.webhooks.reading import Reading

NEW_FOR: Final = timedelta(minutes=1)
"""A provider may report on a payment while the answer that opened it is still on its way to us."""

log = structlog.get_logger(__name__)


def read_webhooks(
    webhooks: Sequence[ClaimedWebhook], *, look_up_until: float, believe_cache: bool = True
) -> list[Reading]:
    """Read each webhook, which holds its body; what is wrong with one of them does not touch the others.

    After ``look_up_until`` (by ``monotonic``) no further look-up begins: its webhook is put off. Unless the cache is
    believed, none is taken for one that came before.
    """
    names = ["" if webhook.large else name_of(webhook.raw) for webhook in webhooks]
    known = recall([name for name in set(names) if name]) if believe_cache else {}
    held, matches = providers(), Counter[tuple[str, int]]()
    readings = [
        _read(webhook, held.get(webhook.raw.provider), name, known, matches)
        for webhook, name in zip(webhooks, names, strict=True)
    ]
    for (name, place), count in matches.items():
        count_secret(name, place, count)
    thin = [(event.provider, event.provider_ref) for reading in readings for event in reading.thin_events]
    if not thin:
        return readings
    readings = resume(readings)
    here = references(thin)
    answers: _Answers = {}
    return [_look_up(reading, here, answers, look_up_until) if reading.thin_events else reading for reading in readings]


def _read(
    webhook: ClaimedWebhook,
    adapter: Provider | None,
    memory: str,
    known: Mapping[str, UUID],
    matches: Counter[tuple[str, int]],
) -> Reading:
    if memory in known and not webhook.is_replay:
        return Reading(webhook=webhook, came_with=known[memory], memory=memory)
    if adapter is None:
        return Reading(webhook=webhook, rejected="no account at this provider is set up")
    try:
        parsed = adapter.verify_and_parse(webhook.raw)
    except UnverifiedError as error:
        return Reading(webhook=webhook, rejected=str(error))
    except UnreadableError as error:
        return Reading(webhook=webhook, unreadable=str(error))
    except ProviderUnavailableError as error:
        return Reading(webhook=webhook, unavailable=str(error), unverified=True)
    except Exception as error:  # a webhook that breaks its adapter must not take the others along
        log.exception("webhook_broke_its_adapter", delivery_id=str(webhook.id))
        return Reading(webhook=webhook, error=error)
    if parsed.secret is not None:
        matches[webhook.raw.provider, parsed.secret] += 1
    thin_events = [item for item in parsed.events if isinstance(item, ThinEvent)]
    return Reading(
        webhook=webhook,
        events=[item for item in parsed.events if isinstance(item, ProviderEvent)],
        refunds=[item for item in parsed.events if isinstance(item, ProviderRefundEvent)],
        thin_events=thin_events,
        unreadable=parsed.unreadable,
        ignored=parsed.ignored,
        # Never with a thin event: its bytes are the same for all news.
        memory="" if thin_events else memory,
    )


_Answers = dict[tuple[str, str], Sequence[ProviderEvent | ProviderRefundEvent]]
"""What providers answered about payments of this set: all its webhooks came before, so one answer serves them all."""


def _look_up(reading: Reading, here: Mapping[tuple[str, str], Reference], answers: _Answers, until: float) -> Reading:
    """Ask the provider what the thin events are about; of payments that are not ours nobody is asked.

    What is answered counts, whatever is wrong with another payment of the webhook: that alone is asked about again.
    """
    webhook = reading.webhook
    found: list[ProviderEvent | ProviderRefundEvent] = [*reading.events, *reading.refunds]
    looked_up: list[ThinEvent] = []
    waits_for, unavailable, wait, error = None, None, None, None
    for thin_event in reading.thin_events:
        key = (thin_event.provider, thin_event.provider_ref)
        known, adapter = here.get(key), provider(thin_event.provider)
        if known is None or adapter is None:
            waits_for = thin_event
            continue
        if key not in answers and monotonic() > until:
            # The rest is asked about soon, as long as each attempt comes further.
            unavailable = "no time was left to ask the provider"
            wait = FIRST_DELAY if looked_up else None
            break
        if key not in answers and not may_call(thin_event.provider):
            unavailable = NOT_CALLED
            break
        try:
            if key not in answers:
                answers[key] = _answer(adapter, known, webhook)
        except ProviderUnavailableError as away:
            unavailable = str(away)
        except Exception as broken:  # noqa: BLE001 (told apart below)
            if isinstance(broken, ProviderRefusedError) and broken.reason is Decline.CREDENTIALS:
                unavailable = str(broken)  # ours to mend, and until then the provider is as good as away
                break
            error = broken
            _log_error(webhook, broken)
        else:
            found.extend(answers[key])
            looked_up.append(thin_event)
    if waits_for is not None and not waits_for.verified:
        return _unsigned_and_unknown(webhook)
    done = replace(
        reading,
        events=[item for item in found if isinstance(item, ProviderEvent)],
        refunds=[item for item in found if isinstance(item, ProviderRefundEvent)],
        thin_events=(),
        waits_for=waits_for,
    )
    if unavailable is not None:
        unverified = not all(thin_event.verified for thin_event in reading.thin_events)
        return replace(done, unavailable=unavailable, wait=wait, unverified=unverified, looked_up=looked_up)
    return done if error is None else replace(done, error=error, looked_up=looked_up)


def _log_error(webhook: ClaimedWebhook, error: Exception) -> None:
    if isinstance(error, ProviderRefusedError):
        log.warning("look_up_refused", delivery_id=str(webhook.id), reason=error.reason.value)
    elif isinstance(error, UnreadableError):  # its cause may quote what the provider sent
        log.warning("look_up_not_understood", delivery_id=str(webhook.id), error=str(error))
    else:
        log.error("look_up_failed", delivery_id=str(webhook.id), exc_info=error)


def _answer(
    adapter: Provider, known: Reference, webhook: ClaimedWebhook
) -> Sequence[ProviderEvent | ProviderRefundEvent]:
    try:
        with (
            tracing.of_row("webhook look-up", Kind.INTERNAL, {}, context=webhook.trace_context),
            tracing.calling(adapter.name, tracing.Call.LOOK_UP),
        ):
            answer = adapter.look_up(known)
    except ProviderUnavailableError as error:
        note_unanswered(adapter.name, known.payment_id, error)
        raise
    except (ProviderRefusedError, UnreadableError):
        note_answered(adapter.name)
        raise
    note_answered(adapter.name)
    return answer


def _unsigned_and_unknown(webhook: ClaimedWebhook) -> Reading:
    """Anybody can write such a webhook: it waits a moment for the payment's row and is then rejected."""
    if webhook.age < NEW_FOR and not webhook.is_replay:
        return Reading(webhook=webhook, unavailable="its payment is not here yet", wait=NEW_FOR - webhook.age)
    return Reading(webhook=webhook, rejected="an unsigned webhook about a payment that is not ours")
