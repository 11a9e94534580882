"""Verifies and parses webhooks, and asks the provider what thin events are about. No transaction is open meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Final, TypeVar
from uuid import UUID

import structlog

from checkout_service.providers.base import (
    Decline,
    IgnoredReason,
    ParsedWebhook,
    Provider,
    ProviderError,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    ThinEvent,
    UnreadableError,
    UnverifiedError,
)
from checkout_service.providers.named_objects import SupportsNamedObjects
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
    if not any(reading.thin_events for reading in readings):
        return readings
    readings = resume(readings)
    look_ups = _LookUps(readings, look_up_until)
    return [look_ups.of(reading) if reading.thin_events else reading for reading in readings]


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


_Key = tuple[str, str]
"""A provider, and its name of a payment or of another object."""

_Answer = TypeVar("_Answer")

_NO_SUCH: Final = "the provider has no such object for this account"


class _LookUps:
    """What providers are asked for the thin events of a set.

    All its webhooks came before, so one answer about a payment or an object serves them all, and so does an error.
    """

    def __init__(self, readings: Sequence[Reading], until: float) -> None:
        self._until = until
        thin_events = [thin_event for reading in readings for thin_event in reading.thin_events]
        self._searched = {(each.provider, each.provider_ref) for each in thin_events if each.provider_ref}
        self._here = references(self._searched)
        self._news: dict[_Key, list[ThinEvent]] = {}
        for thin_event in thin_events:
            self._news.setdefault((thin_event.provider, thin_event.object_ref), []).append(thin_event)
        self._payments: dict[_Key, Sequence[ProviderEvent | ProviderRefundEvent] | ProviderError] = {}
        self._objects: dict[_Key, ParsedWebhook | ProviderError] = {}

    def of(self, reading: Reading) -> Reading:
        """The reading with what its thin events are about; of payments that are not ours nobody is asked.

        What is answered counts, whatever is wrong with another payment of the webhook: that alone is asked about again.
        """
        webhook = reading.webhook
        found: list[ProviderEvent | ProviderRefundEvent] = [*reading.events, *reading.refunds]
        looked_up: list[ThinEvent] = []
        waits_for, unavailable, wait, error = None, None, None, None
        ignored, why = reading.ignored, None
        to_look_up = list(reading.thin_events)
        for thin_event in to_look_up:  # which grows by what objects lead to
            adapter = provider(thin_event.provider)
            reader = _reader(adapter, thin_event)
            known = self._known(thin_event) if reader is None else None
            if adapter is None or (reader is None and known is None):
                waits_for = thin_event
                continue
            if not self._is_answered(thin_event, reader):
                if monotonic() > self._until:
                    # The rest is asked about soon, as long as each attempt comes further.
                    unavailable = "no time was left to ask the provider"
                    wait = FIRST_DELAY if looked_up else None
                    break
                if not may_call(thin_event.provider):
                    unavailable = NOT_CALLED
                    break
            try:
                if reader is not None:
                    parsed = self._object(reader, thin_event, webhook)
                else:
                    parsed = ParsedWebhook(events=self._payment(adapter, known, webhook) if known else ())
            except ProviderUnavailableError as away:
                unavailable = str(away)
            except Exception as broken:  # noqa: BLE001 (told apart below)
                if isinstance(broken, ProviderRefusedError) and broken.reason is Decline.CREDENTIALS:
                    unavailable = str(broken)  # ours to mend, and until then the provider is as good as away
                    break
                error = broken
                _log_error(webhook, broken)
            else:
                if parsed is None:
                    ignored, why = IgnoredReason.NOT_OURS, _NO_SUCH
                    continue
                ignored = parsed.ignored
                led = [item for item in parsed.events if isinstance(item, ThinEvent)]
                found.extend(item for item in parsed.events if not isinstance(item, ThinEvent))
                to_look_up.extend(led)
                looked_up += [] if led else [thin_event]
        if waits_for is not None and not waits_for.verified:
            return _unsigned_and_unknown(webhook)
        done = replace(
            reading,
            events=[item for item in found if isinstance(item, ProviderEvent)],
            refunds=[item for item in found if isinstance(item, ProviderRefundEvent)],
            thin_events=(),
            waits_for=waits_for,
            ignored=ignored,
            ignored_why=why,
        )
        if unavailable is not None:
            unverified = not all(thin_event.verified for thin_event in reading.thin_events)
            return replace(done, unavailable=unavailable, wait=wait, unverified=unverified, looked_up=looked_up)
        if error is not None:
            return replace(done, error=error, looked_up=looked_up)
        return replace(done, delivered=reading.thin_events)

    def _is_answered(self, thin_event: ThinEvent, reader: SupportsNamedObjects | None) -> bool:
        if reader is None:
            return (thin_event.provider, thin_event.provider_ref) in self._payments
        return (thin_event.provider, thin_event.object_ref) in self._objects

    def _known(self, thin_event: ThinEvent) -> Reference | None:
        """What we know of its payment; of one that an object has just led to, that is read now."""
        key = (thin_event.provider, thin_event.provider_ref)
        if key not in self._searched and thin_event.provider_ref:
            self._searched.add(key)
            self._here |= references([key])
        return self._here.get(key)

    def _payment(
        self, adapter: Provider, known: Reference, webhook: ClaimedWebhook
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        key = (adapter.name, known.provider_ref)
        if key not in self._payments:
            self._payments[key] = self._called(adapter.name, known.payment_id, webhook, lambda: adapter.look_up(known))
        return _given(self._payments[key])

    def _object(
        self, adapter: SupportsNamedObjects, thin_event: ThinEvent, webhook: ClaimedWebhook
    ) -> ParsedWebhook | None:
        """What an object says; None where there is none of that name, unless it is that of a payment of ours."""
        key = (thin_event.provider, thin_event.object_ref)
        if key not in self._objects:
            news = [each for each in self._news[key] if each.verified]
            self._objects[key] = self._called(*key, webhook, lambda: adapter.look_up_object(news))
        try:
            return _given(self._objects[key])
        except ProviderRefusedError as error:
            if error.reason is not Decline.UNKNOWN_REFERENCE or self._known(thin_event) is not None:
                raise
            return None

    def _called(
        self, name: str, about: UUID | str, webhook: ClaimedWebhook, call: Callable[[], _Answer]
    ) -> _Answer | ProviderError:
        """What a provider answers to a call about a thing, or its error."""
        try:
            with (
                tracing.of_row("webhook look-up", Kind.INTERNAL, {}, context=webhook.trace_context),
                tracing.calling(name, tracing.Call.LOOK_UP),
            ):
                answer = call()
        except ProviderUnavailableError as error:
            note_unanswered(name, about, error)
            return error
        except (ProviderRefusedError, UnreadableError) as error:
            note_answered(name)
            return error
        note_answered(name)
        return answer


def _reader(adapter: object, thin_event: ThinEvent) -> SupportsNamedObjects | None:
    """Who reads the object that a thin event names; None where its payment is to be looked up."""
    named = thin_event.object_ref and thin_event.verified
    return adapter if named and isinstance(adapter, SupportsNamedObjects) else None


def _given(answer: _Answer | ProviderError) -> _Answer:
    if isinstance(answer, ProviderError):
        raise answer
    return answer


def _log_error(webhook: ClaimedWebhook, error: Exception) -> None:
    if isinstance(error, ProviderRefusedError):
        log.warning("look_up_refused", delivery_id=str(webhook.id), reason=error.reason.value)
    elif isinstance(error, UnreadableError):  # its cause may quote what the provider sent
        log.warning("look_up_not_understood", delivery_id=str(webhook.id), error=str(error))
    else:
        log.error("look_up_failed", delivery_id=str(webhook.id), exc_info=error)


def _unsigned_and_unknown(webhook: ClaimedWebhook) -> Reading:
    """Anybody can write such a webhook: it waits a moment for the payment's row and is then rejected."""
    if webhook.age < NEW_FOR and not webhook.is_replay:
        return Reading(webhook=webhook, unavailable="its payment is not here yet", wait=NEW_FOR - webhook.age)
    return Reading(webhook=webhook, rejected="an unsigned webhook about a payment that is not ours")
