"""Verifies and parses webhooks, and asks the provider what thin events are about. No transaction is open meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
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
from worker.context import provider, providers
from worker.references import references
from worker.unanswered import NOT_CALLED, may_call, note_answered, note_unanswered
from worker.webhooks.claims import ClaimedWebhook
from worker.webhooks.memory import name_of, recall

NEW_FOR: Final = timedelta(minutes=1)
"""A provider may report on a payment while the answer that opened it is still on its way to us."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a webhook says, or why it says nothing.

    ``thin_events`` are to be looked up; of those about a payment that is not here one is left in ``waits_for``.
    ``rejected`` is why it could not be verified, ``unreadable`` why it was verified and could not be understood (the
    events are then those of its other parts), ``unavailable`` what could not be had now, and ``wait`` how long such a
    webhook is put off, where that is known; ``unverified`` says that without it nobody vouches for the webhook.
    ``error`` is for everything else. ``memory`` is its name in the cache if its own bytes say it all. ``came_with`` is
    a delivery that was settled when the same bytes came before, as the cache has it: the database must have it too.
    ``ignored`` is why it is, if nothing comes of it, and ``ignored_why`` the same in words, where there are any.
    ``looked_up`` are the thin events whose look-ups are made.
    """

    webhook: ClaimedWebhook
    events: Sequence[ProviderEvent] = ()
    refunds: Sequence[ProviderRefundEvent] = ()
    thin_events: Sequence[ThinEvent] = ()
    waits_for: ThinEvent | None = None
    came_with: UUID | None = None
    rejected: str | None = None
    unreadable: str | None = None
    unavailable: str | None = None
    wait: timedelta | None = None
    unverified: bool = False
    error: Exception | None = None
    memory: str = ""
    ignored: IgnoredReason = IgnoredReason.NOTHING_TO_RECORD
    ignored_why: str | None = None
    looked_up: Sequence[ThinEvent] = ()


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

_OF_ANOTHER: Final = "of a payment that another service opened"

_NO_SUCH: Final = "the provider has no such object for this account"


class _LookUps:
    """What providers are asked for the thin events of a set.

    All its webhooks came before, so one answer about a payment or an object serves them all, and so does an error.
    """

    def __init__(self, readings: Sequence[Reading], until: float) -> None:
        self._until = until
        thin_events = [thin_event for reading in readings for thin_event in reading.thin_events]
        self._searched = {thin_event.provider_ref for thin_event in thin_events if thin_event.provider_ref}
        self._here = references(self._searched)
        self._news: dict[_Key, list[ThinEvent]] = {}
        for thin_event in thin_events:
            self._news.setdefault((thin_event.provider, thin_event.object_ref), []).append(thin_event)
        self._payments: dict[_Key, Sequence[ProviderEvent | ProviderRefundEvent] | ProviderError] = {}
        self._objects: dict[_Key, ParsedWebhook | ProviderError] = {}

    def of(self, reading: Reading) -> Reading:
        """The reading with what its thin events are about; of payments that are not ours nobody is asked."""
        webhook = reading.webhook
        unverified = not all(thin_event.verified for thin_event in reading.thin_events)
        put_off = partial(Reading, webhook=webhook, unverified=unverified)
        try:
            found = self._found(reading)
        except ProviderUnavailableError as error:
            return put_off(unavailable=str(error))
        except ProviderRefusedError as error:
            if error.reason is Decline.CREDENTIALS:  # ours to mend, and until then the provider is as good as away
                return put_off(unavailable=str(error))
            log.warning("look_up_refused", delivery_id=str(webhook.id), reason=error.reason.value)
            return Reading(webhook=webhook, error=error)
        except UnreadableError as error:  # its cause may quote what the provider sent
            log.warning("look_up_not_understood", delivery_id=str(webhook.id), error=str(error))
            return Reading(webhook=webhook, error=error)
        except Exception as error:
            log.exception("look_up_failed", delivery_id=str(webhook.id))
            return Reading(webhook=webhook, error=error)
        if found.waits_for is not None and not found.waits_for.verified:
            return _unsigned_and_unknown(webhook)
        return found

    def _found(self, reading: Reading) -> Reading:
        """Raises what a provider answered, or ProviderUnavailableError where it is not asked now."""
        found: list[ProviderEvent | ProviderRefundEvent] = [*reading.events, *reading.refunds]
        waits_for, ignored, why = None, reading.ignored, None
        to_look_up = list(reading.thin_events)
        for thin_event in to_look_up:  # which grows by what objects lead to
            adapter = provider(thin_event.provider)
            reader = _reader(adapter, thin_event)
            if reader is not None:
                parsed = self._object(reader, thin_event, reading.webhook)
                if parsed is None:
                    ignored, why = IgnoredReason.NOT_OURS, _NO_SUCH
                    continue
                ignored = parsed.ignored
                found.extend(item for item in parsed.events if not isinstance(item, ThinEvent))
                to_look_up.extend(item for item in parsed.events if isinstance(item, ThinEvent))
                continue
            known = self._known(thin_event)
            if known is None and thin_event.foreign and thin_event.verified:
                ignored, why = IgnoredReason.NOT_OURS, _OF_ANOTHER
                continue
            if known is None or adapter is None:
                waits_for = thin_event
                continue
            found.extend(self._payment(adapter, known, reading.webhook))
        return replace(
            reading,
            events=[item for item in found if isinstance(item, ProviderEvent)],
            refunds=[item for item in found if isinstance(item, ProviderRefundEvent)],
            thin_events=(),
            looked_up=reading.thin_events,
            waits_for=waits_for,
            ignored=ignored,
            ignored_why=why,
        )

    def _known(self, thin_event: ThinEvent) -> Reference | None:
        """What we know of its payment; of one that an object has just led to, that is read now."""
        if thin_event.provider_ref not in self._searched:
            self._searched.add(thin_event.provider_ref)
            self._here |= references([thin_event.provider_ref])
        return self._here.get((thin_event.provider, thin_event.provider_ref))

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
        """What a provider answers to a call about a thing, or its error.

        Raises ProviderUnavailableError where it is not called now.
        """
        if monotonic() > self._until:
            raise ProviderUnavailableError("no time was left to ask the provider")
        if not may_call(name):
            raise ProviderUnavailableError(NOT_CALLED)
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


def _unsigned_and_unknown(webhook: ClaimedWebhook) -> Reading:
    """Anybody can write such a webhook: it waits a moment for the payment's row and is then rejected."""
    if webhook.age < NEW_FOR and not webhook.is_replay:
        return Reading(webhook=webhook, unavailable="its payment is not here yet", wait=NEW_FOR - webhook.age)
    return Reading(webhook=webhook, rejected="an unsigned webhook about a payment that is not ours")
