"""Verifies and parses webhooks, and has their thin events looked up. No transaction is open meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog

from checkout_service.providers.base import (
    Provider,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderUnavailableError,
    ThinEvent,
    UnreadableError,
    UnverifiedError,
)
from checkout_service.telemetry.metrics import count_secret
from worker.context import providers
from worker.webhooks.claims import ClaimedWebhook
from worker.webhooks.look_ups import LookUps
from worker.webhooks.memory import name_of, recall
from worker.webhooks.progress import resume
from worker.webhooks.reading import Reading

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
    if not any(reading.thin_events for reading in readings):
        return readings
    readings = resume(readings)
    look_ups = LookUps(readings, look_up_until)
    return [look_ups.of(reading) if reading.thin_events or reading.resumed else reading for reading in readings]


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
    events: list[ProviderEvent] = []
    refunds: list[ProviderRefundEvent] = []
    thin_events: list[ThinEvent] = []
    for item in parsed.events:
        if isinstance(item, ProviderEvent):
            events.append(item)
        elif isinstance(item, ProviderRefundEvent):
            refunds.append(item)
        else:
            thin_events.append(item)
    return Reading(
        webhook=webhook,
        events=events,
        refunds=refunds,
        thin_events=thin_events,
        unreadable=parsed.unreadable,
        ignored=parsed.ignored,
        # Never with a thin event: its bytes are the same for all news.
        memory="" if thin_events else memory,
    )
