"""What providers answer about the thin events of a set of webhooks."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Final, TypeVar
from uuid import UUID

import structlog

from checkout_service.database.errors import DatabaseUnavailableError
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
)
from checkout_service.providers.named_objects import SupportsNamedObjects
from checkout_service.telemetry import tracing
from checkout_service.telemetry.tracing import Kind
from worker.backoff import FIRST_DELAY
from worker.context import provider
from worker.references import references
from worker.unanswered import NOT_CALLED, may_call, note_answered, note_unanswered
from worker.webhooks.claims import ClaimedWebhook
from worker.webhooks.named import is_named_here, owners
from worker.webhooks.reading import LookedUp, Reading

NEW_FOR: Final = timedelta(minutes=1)
"""A provider may report on a payment while the answer that opened it is still on its way to us."""

REFUSED_IN_A_ROW: Final = 10
"""Calls for one webhook that may be refused for our credentials one after the other: then the key is no good, and not
only without the right to read some of it. Fewer would keep what stands behind them from being asked about at all."""

LAGS_FOR: Final = timedelta(hours=1)
"""So old is a webhook, at least, before something that a list does not show is taken for another's."""

NOT_SHOWN_YET: Final = "the provider does not show it, and may do so later"

NO_TIME: Final = "no time was left to ask the provider"

_Key = tuple[str, str]
"""A provider, and its name of a payment or of another object."""

_Answer = TypeVar("_Answer")

OF_ANOTHER: Final = "of a payment that another service opened"

_NO_SUCH: Final = "the provider has no such object for this account"

_REASONS: Final = list(IgnoredReason)

log = structlog.get_logger(__name__)


class _Found:
    """What comes of the thin events of one webhook, each of which may lead on to others.

    ``left`` has those that are not answered, each with what of it is not; ``passed_over`` those about which nobody is
    asked, and which may yet become ours.
    """

    def __init__(self, reading: Reading) -> None:
        self.events: list[ProviderEvent | ProviderRefundEvent] = [*reading.events, *reading.refunds]
        self.by_thin_event: dict[ThinEvent, list[ProviderEvent | ProviderRefundEvent]] = {
            thin_event: [] for thin_event in reading.thin_events
        }
        self.left: dict[ThinEvent, ThinEvent] = {}
        self.passed_over: set[ThinEvent] = set()
        self.reasons: dict[IgnoredReason, str | None] = {reading.ignored: None}
        self.waits_for: ThinEvent | None = None
        self.missing: dict[str, None] = {}
        self.unavailable: str | None = None
        self.error: Exception | None = None
        self.wait: timedelta | None = None
        self.refused = 0

    def ignore(self, reason: IgnoredReason, why: str | None = None) -> None:
        """Note why nothing comes of a part; words stay with the reason that they are of."""
        self.reasons[reason] = self.reasons.get(reason) or why

    def add(self, thin_event: ThinEvent, parsed: ParsedWebhook) -> list[ThinEvent]:
        """Note an answer for a thin event of the webhook; the thin events that it leads to."""
        events = [item for item in parsed.events if not isinstance(item, ThinEvent)]
        self.events += events
        self.by_thin_event[thin_event] += events
        if not parsed.events:
            self.ignore(parsed.ignored)
        return [item for item in parsed.events if isinstance(item, ThinEvent)]

    def looked_up(self) -> list[LookedUp]:
        """The thin events of the webhook that are answered, with all that they led to."""
        return [
            LookedUp(thin_event, events)
            for thin_event, events in self.by_thin_event.items()
            if thin_event not in self.left and thin_event not in self.passed_over
        ]


class LookUps:
    """What providers are asked for the thin events of a set.

    All its webhooks came before, so one answer about a payment or an object serves them all, and so does an error.
    """

    def __init__(self, readings: Sequence[Reading], until: float) -> None:
        self._until = until
        thin_events = [thin_event for reading in readings for thin_event in reading.thin_events]
        # A name that we know leads to its payment without a call.
        self._owners = owners((each.provider, name) for each in thin_events for name in each.names if each.verified)
        self._searched = {(each.provider, each.provider_ref) for each in thin_events if each.provider_ref}
        self._searched |= {(provider_name, reference) for (provider_name, _), reference in self._owners.items()}
        self._here = references(self._searched)
        self._news: dict[_Key, list[ThinEvent]] = {}
        for thin_event in thin_events:
            self._news.setdefault((thin_event.provider, thin_event.object_ref), []).append(thin_event)
        self._payments: dict[_Key, Sequence[ProviderEvent | ProviderRefundEvent] | ProviderError] = {}
        self._objects: dict[_Key, ParsedWebhook | ProviderError] = {}
        self._named_here: dict[_Key, bool] = {}

    def of(self, reading: Reading) -> Reading:
        """The reading with what its thin events are about; of payments that are not ours nobody is asked.

        What is answered counts, whatever is wrong with another payment of the webhook: that alone is asked about again.
        """
        webhook, found = reading.webhook, _Found(reading)
        to_look_up = [(self._by_name(thin_event), thin_event) for thin_event in _in_turn(reading)]
        is_over = False
        for thin_event, own in to_look_up:  # which grows by what objects lead to
            if is_over:
                found.left.setdefault(own, thin_event)
                continue
            adapter = provider(thin_event.provider)
            reader = _reader(adapter, thin_event)
            known = self._known(thin_event) if reader is None else None
            if reader is None and known is None and thin_event.foreign and thin_event.verified:
                found.ignore(IgnoredReason.NOT_OURS, OF_ANOTHER)
                found.passed_over.add(own)
                continue
            if adapter is None or (reader is None and known is None):
                found.waits_for = thin_event
                found.missing[thin_event.provider_ref] = None
                found.left.setdefault(own, thin_event)
                continue
            if not self._is_answered(thin_event, reader):
                why = self._why_not_called(thin_event.provider)
                if why is not None:
                    found.unavailable, is_over = why, True
                    # The rest is asked about soon, as long as each attempt comes further.
                    found.wait = FIRST_DELAY if why == NO_TIME else None
                    found.left.setdefault(own, thin_event)
                    continue
            parsed = self._answered(adapter, reader, known, thin_event, webhook, found)
            if parsed is None:
                found.left.setdefault(own, thin_event)
                is_over = found.refused >= REFUSED_IN_A_ROW
                continue
            to_look_up.extend((led, own) for led in found.add(own, parsed))
        return self._done(reading, found)

    def _answered(
        self,
        adapter: Provider,
        reader: SupportsNamedObjects | None,
        known: Reference | None,
        thin_event: ThinEvent,
        webhook: ClaimedWebhook,
        found: _Found,
    ) -> ParsedWebhook | None:
        """What is answered about a thin event; None, and why is in ``found``, where it is to be asked about again."""
        try:
            if reader is not None:
                parsed = self._object(reader, thin_event, webhook)
            else:
                parsed = ParsedWebhook(events=self._payment(adapter, known, webhook) if known else ())
        except ProviderUnavailableError as away:
            found.unavailable = str(away)
            return None
        except DatabaseUnavailableError:  # no fault of the webhook's: as wherever the database goes away
            raise
        except Exception as broken:  # noqa: BLE001 (told apart below)
            if isinstance(broken, ProviderRefusedError) and broken.reason is Decline.CREDENTIALS:
                found.unavailable = str(broken)  # ours to mend, and until then the provider is as good as away
                found.refused += 1
                return None
            found.error = broken
            _log_error(webhook, broken)
            return None
        found.refused = 0
        if parsed is None:
            found.ignore(IgnoredReason.NOT_OURS, _NO_SUCH)
            return ParsedWebhook(ignored=IgnoredReason.NOT_OURS)
        return parsed

    def _done(self, reading: Reading, found: _Found) -> Reading:
        if found.waits_for is not None and not found.waits_for.verified:
            return _unsigned_and_unknown(reading.webhook)
        ignored = min(found.reasons, key=_REASONS.index)
        all_news = [*reading.resumed, *reading.thin_events]
        done = reading._replace(
            events=[item for item in found.events if isinstance(item, ProviderEvent)],
            refunds=[item for item in found.events if isinstance(item, ProviderRefundEvent)],
            thin_events=(),
            waits_for=found.waits_for,
            missing=[name for name in found.missing if name],
            ignored=ignored,
            ignored_why=found.reasons[ignored],
            news=len(all_news),
        )
        if found.unavailable is None and found.error is None:
            return done._replace(delivered=all_news)
        done = done._replace(looked_up=found.looked_up(), left=list(found.left.values()))
        if found.unavailable is None:
            return done._replace(error=found.error)
        unverified = not all(thin_event.verified for thin_event in all_news)
        return done._replace(unavailable=found.unavailable, wait=found.wait, unverified=unverified)

    def _why_not_called(self, name: str) -> str | None:
        if monotonic() > self._until:
            return NO_TIME
        return None if may_call(name) else NOT_CALLED

    def _is_answered(self, thin_event: ThinEvent, reader: SupportsNamedObjects | None) -> bool:
        if reader is None:
            return (thin_event.provider, thin_event.provider_ref) in self._payments
        return (thin_event.provider, thin_event.object_ref) in self._objects

    def _by_name(self, thin_event: ThinEvent) -> ThinEvent:
        """The thin event as one of the payment that has a name in it, where one is here."""
        found = [self._owners.get((thin_event.provider, name)) for name in thin_event.names]
        reference = next(filter(None, found), None) if thin_event.verified and not thin_event.provider_ref else None
        return thin_event if reference is None else replace(thin_event, provider_ref=reference, object_ref="")

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
        """What an object says; None where there is none of that name, unless we have one of that name."""
        key = (thin_event.provider, thin_event.object_ref)
        if key not in self._objects:
            news = [each for each in self._news[key] if each.verified]
            self._objects[key] = self._called(*key, webhook, lambda: adapter.look_up_object(news))
        try:
            return _given(self._objects[key])
        except ProviderRefusedError as error:
            if error.reason is not Decline.UNKNOWN_REFERENCE or self._is_named_here(key):
                raise
            if error.lags and webhook.age < LAGS_FOR and not webhook.is_replay:
                raise ProviderUnavailableError(NOT_SHOWN_YET) from error
            return None

    def _is_named_here(self, key: _Key) -> bool:
        """Whether we have what the provider has not: the key may be that of another account."""
        if key not in self._named_here:
            self._named_here[key] = is_named_here(*key)
        return self._named_here[key]

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


def _in_turn(reading: Reading) -> Sequence[ThinEvent]:
    """What is left of its thin events, begun at another place than by the attempt before.

    An attempt may have the time for a few alone: those that err each time would keep all behind them from being asked
    about. The first attempt keeps the order of the adapter.
    """
    left = reading.thin_events
    place = random.randrange(len(left)) if left and reading.webhook.before.left else 0  # noqa: S311 (guards nothing)
    return [*left[place:], *left[:place]]


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
