"""Opens webhooks: verified, parsed and, for thin events, looked up at the provider.

No transaction is open meanwhile.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final

import structlog

from checkout_service.cache import cache
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
)
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.telemetry.metrics import count_secret
from worker.context import provider, providers
from worker.references import references
from worker.webhooks.claims import ClaimedWebhook

REMEMBER_FOR: Final = 600

NEW_FOR: Final = timedelta(minutes=1)
"""A provider may report on a payment while the answer that opened it is still on its way to us."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a webhook says, or why it says nothing. ``memory`` is its name in the cache if its own bytes said it all.

    ``thin events`` are to be looked up; of those about a payment that is not here one is left in ``waits_for``.
    ``wait`` is how long an unavailable one is put off, where that is known.
    """

    webhook: ClaimedWebhook
    events: Sequence[ProviderEvent] = ()
    refunds: Sequence[ProviderRefundEvent] = ()
    thin_events: Sequence[ThinEvent] = ()
    waits_for: ThinEvent | None = None
    seen_before: bool = False
    rejected: str | None = None
    unavailable: str | None = None
    wait: timedelta | None = None
    error: Exception | None = None
    memory: str = ""


def read_webhooks(webhooks: Sequence[ClaimedWebhook], *, look_up_until: float) -> list[Reading]:
    """Read each webhook, which holds its body; whatever is in one of them stays with it.

    After ``look_up_until`` (by ``monotonic``) no further look-up begins: its webhook is put off.
    """
    names = ["" if webhook.large else _memory(webhook.raw) for webhook in webhooks]
    known = cache().known([name for name in set(names) if name])
    held, matches = providers(), Counter[tuple[str, int]]()
    readings = [
        _read(webhook, held.get(webhook.raw.provider), name, known, matches)
        for webhook, name in zip(webhooks, names, strict=True)
    ]
    for (name, place), count in matches.items():
        count_secret(name, place, count)
    thin = [thin_event.provider_ref for reading in readings for thin_event in reading.thin_events]
    if not thin:
        return readings
    here = references(thin)
    asked: _Asked = {}
    return [_look_up(reading, here, asked, look_up_until) if reading.thin_events else reading for reading in readings]


def remember(readings: Sequence[Reading]) -> None:
    """Know these webhooks again, in a moment: the same bytes once more are a duplicate without another look."""
    names = [reading.memory for reading in readings if reading.memory and not reading.seen_before]
    if names:
        cache().put_later(names, b"1", seconds=REMEMBER_FOR)


def _read(
    webhook: ClaimedWebhook, adapter: Provider | None, memory: str, known: set[str], matches: Counter[tuple[str, int]]
) -> Reading:
    if memory in known and not webhook.by_hand:
        return Reading(webhook=webhook, seen_before=True, memory=memory)
    if adapter is None:
        return Reading(webhook=webhook, rejected="no account at this provider is set up")
    try:
        contents = adapter.read(webhook.raw)
    except UnreadableError as error:
        return Reading(webhook=webhook, rejected=str(error))
    except ProviderUnavailableError as error:
        return Reading(webhook=webhook, unavailable=str(error))
    except Exception as error:  # a webhook that breaks its reader must not take the others along
        log.exception("webhook_broke_its_reader", delivery_id=str(webhook.id))
        return Reading(webhook=webhook, error=error)
    if contents.secret is not None:
        matches[webhook.raw.provider, contents.secret] += 1
    thin_events = [item for item in contents.said if isinstance(item, ThinEvent)]
    return Reading(
        webhook=webhook,
        events=[item for item in contents.said if isinstance(item, ProviderEvent)],
        refunds=[item for item in contents.said if isinstance(item, ProviderRefundEvent)],
        thin_events=thin_events,
        # With a thin event never: its bytes are the same for all news.
        memory="" if thin_events else memory,
    )


_Asked = dict[tuple[str, str], Sequence[ProviderEvent | ProviderRefundEvent]]
"""What was answered about payments of this set: all its webhooks came before, so one answer serves them all."""


def _look_up(reading: Reading, here: Mapping[tuple[str, str], Reference], asked: _Asked, until: float) -> Reading:
    """Ask the provider what the thin events are about; of payments that are not ours nobody is asked."""
    webhook = reading.webhook
    found: list[ProviderEvent | ProviderRefundEvent] = [*reading.events, *reading.refunds]
    waits_for = None
    try:
        for thin_event in reading.thin_events:
            key = (thin_event.provider, thin_event.provider_ref)
            known, adapter = here.get(key), provider(thin_event.provider)
            if known is None or adapter is None:
                waits_for = thin_event
                continue
            if key not in asked and monotonic() > until:
                return Reading(webhook=webhook, unavailable="no time was left to ask the provider")
            if key not in asked:
                asked[key] = adapter.look_up(known)
            found.extend(asked[key])
    except ProviderUnavailableError as error:
        return Reading(webhook=webhook, unavailable=str(error))
    except ProviderRefusedError as error:
        if error.reason is Decline.CREDENTIALS:  # ours to mend, and until then the provider is as good as away
            return Reading(webhook=webhook, unavailable=str(error))
        log.warning("look_up_refused", delivery_id=str(webhook.id), reason=error.reason.value)
        return Reading(webhook=webhook, error=error)
    except UnreadableError as error:  # its cause may quote what the provider sent
        log.warning("look_up_not_understood", delivery_id=str(webhook.id), error=str(error))
        return Reading(webhook=webhook, error=error)
    except Exception as error:
        log.exception("look_up_failed", delivery_id=str(webhook.id))
        return Reading(webhook=webhook, error=error)
    if waits_for is not None and not waits_for.verified:
        return _unsigned_and_unknown(webhook)
    return Reading(
        webhook=webhook,
        events=[item for item in found if isinstance(item, ProviderEvent)],
        refunds=[item for item in found if isinstance(item, ProviderRefundEvent)],
        waits_for=waits_for,
    )


def _unsigned_and_unknown(webhook: ClaimedWebhook) -> Reading:
    """Anybody can write such a webhook, so it waits a moment for the payment's row, and is then kept like an unverified
    webhook.
    """
    if webhook.age < NEW_FOR and not webhook.by_hand:
        return Reading(webhook=webhook, unavailable="its payment is not here yet", wait=NEW_FOR - webhook.age)
    return Reading(webhook=webhook, rejected="an unsigned webhook about a payment that is not ours")


def _memory(raw_webhook: RawWebhook) -> str:
    return f"webhook:{raw_webhook.provider}:{hashlib.sha256(raw_webhook.body).hexdigest()}"
