"""Thin events in a provider's list of all its events, of which those that came as webhooks are passed over.

A list that does not tell what was delivered has everything again: so an event whose webhook came, or that was read
from the list before, is known by its id and costs nothing but its line in the list. Of the others each object is read
once a window, and so many of a rank a run.

The list is walked in windows of time, the oldest first, and where a whole window was entered it is never listed again:
a run that ends early is gone on with by the next one. A walk that lies behind has the last hour first in each run, so
that what is missed now does not wait for all that lies before it. Within a window payments come first, since what is
about them finds them by the names that they bring.

An object that cannot be read keeps no other back. The next runs list its window again and try it MOST_TRIES times in
all, as long as others of its provider are read meanwhile; then it is given up, and the log has its name. What the key
may not read is left for MOST_REFUSED runs: of a kind that is refused a run tries one, and leaves the others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol, runtime_checkable

import structlog

from checkout_service.cache import cache
from checkout_service.database.engine import history, transaction
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.providers.base import (
    Decline,
    ParsedWebhook,
    ProviderError,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    ThinEvent,
)
from checkout_service.providers.named_objects import SupportsNamedObjects
from checkout_service.providers.undelivered import SupportsEventList, UndeliveredEvent, UndeliveredPage
from worker.delivered import REMEMBERED_FOR, marks_of
from worker.payments.status_queries import GIVE_UP_AFTER, Inquiry, StatusQueries
from worker.references import references
from worker.transitions.outcomes import Outcome, received_now
from worker.transitions.recording import record
from worker.unanswered import NOT_CALLED, may_call, note_answered, note_unanswered

FIRST: Final = timedelta(days=3)
"""How far back the first run goes: as long as a provider tries to deliver by itself."""

FARTHEST: Final = timedelta(days=30)
"""As far as such lists go."""

OVERLAP: Final = timedelta(hours=1)
"""What is listed once more: an event may stand in the list later than its time says."""

LITTLE: Final = 2 * OVERLAP
"""By which a walk may lie behind, besides, and is gone on with at once: an hourly run, or two."""

SPAN: Final = timedelta(minutes=10)
"""The first window of a run; the next are twice as long while they hold little."""

SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=1)

MOST_PAGES: Final = 10
"""Of a window: one that holds more is left, and a shorter one is listed in its place."""

MOST_NEW_PAGES: Final = 30
"""Of the last hour where the walk lies behind: the rest of a run's time is for what lies before."""

FEW_PAGES: Final = 2

MOST_READ: Final = 100
"""Objects of each rank that one run reads of one provider."""

MOST_SPARE: Final = 30
"""The same of those that only say what others do."""

MOST_TRIES: Final = 4
"""Runs that try an object in vain while others are answered; after that it is given up."""

MOST_REFUSED: Final = 72
"""The same of what the key may not read: of an hour each, as long as a webhook waits for that right."""

log = structlog.get_logger(__name__)


@runtime_checkable
class ListsNamedObjects(SupportsEventList, SupportsNamedObjects, Protocol):
    """A provider that lists thin events whose objects it can read."""


class _Left(Enum):
    """What is left to do about an object."""

    NOTHING = auto()
    LOOK_AGAIN = auto()
    """Its payment is not here: it is no payment of ours unless the next run, which lists the last hour again, finds
    it."""
    ANOTHER_RUN = auto()
    """It has to wait for something of ours."""
    ANOTHER_TRY = auto()
    """It could not be read or entered, and may never be."""
    REFUSED = auto()
    """The key may not read it, or one of its kind, until somebody gives it that right."""


class _News(NamedTuple):
    """An object that has news."""

    rank: int
    spare: bool
    events: Sequence[ThinEvent]

    @property
    def event_ids(self) -> list[str]:
        return [each.event_id for each in self.events]


class ListedEvents:
    """A walk along all events of one provider since the end of the last window that was entered as a whole."""

    def __init__(self, name: str, provider: ListsNamedObjects) -> None:
        self.name = name
        self.is_over = False
        self._provider = provider
        in_history = history(now=True)  # another one may lack what was entered
        self._mark = f"events listed:{in_history}:{name}" if in_history else ""
        self._begun = datetime.now(UTC)
        self._since = self._last() or self._begun - FIRST
        if self._since < self._begun - FIRST:
            log.warning("listed_events_behind", provider=name, since=self._since.isoformat())
        self._steps: Iterator[int] | None = None
        self._whole = True
        self._read_of_rank: Counter[int] = Counter()
        self._refused_ranks: set[int] = set()
        self._is_answered = False
        self._in_vain_in_a_row = 0
        self._tried: list[str] = []
        self._refused: list[str] = []
        """Marks of the events that were tried in vain, or refused, and are not counted yet."""

    def step(self, queries: StatusQueries) -> int:
        """Enter the next page or object; how many events that were.

        Raises ProviderError, after which the walk is over, and DatabaseUnavailableError.
        """
        if self._steps is None:
            self._steps = self._walk(queries)
        entered = next(self._steps, None)
        self.is_over = entered is None
        return entered or 0

    def _last(self) -> datetime | None:
        """Until when everything was entered."""
        kept = cache().get(self._mark) if self._mark else None
        try:
            return max(datetime.fromisoformat(kept.decode()), self._begun - FARTHEST) if kept else None
        except (ValueError, TypeError):  # another release kept something else there
            return None

    def _walk(self, queries: StatusQueries) -> Iterator[int]:
        """The list since its place; yields how many events were entered, after each page and each object."""
        # The provider's clock may be ahead of ours, and counts whole seconds.
        newest, end = self._begun - OVERLAP, self._begun + SHORTEST
        if self._since >= newest - LITTLE:
            yield from self._windows(queries, self._since, end)
            return
        yield from self._windows(queries, newest, end, most_pages=MOST_NEW_PAGES)
        # What it left is no other run's yet: the place will come to it, and then it counts.
        self._whole, self._tried, self._refused = True, [], []
        yield from self._windows(queries, self._since, newest)

    def _windows(
        self, queries: StatusQueries, begin: datetime, end: datetime, *, most_pages: int | None = None
    ) -> Iterator[int]:
        """Window after window. With ``most_pages`` it ends after so many, keeps no place and counts no tries."""
        span, listed = SPAN, 0
        while begin < end:
            until = min(begin + span, end)
            events: list[UndeliveredEvent] = []
            after, pages = None, 0
            while pages == 0 or after is not None:
                page = self._page(begin, until, after)
                events += page.events
                after, pages = page.after, pages + 1
                yield 0
                if pages >= MOST_PAGES and span > SHORTEST:
                    break
            listed += pages
            if after is not None and (most_pages is None or listed < most_pages):
                span = max(span / 4, SHORTEST)
                continue
            # What is listed again by the next run may have its payment here by then.
            yield from self._enter(queries, events, last=until <= self._begun - OVERLAP)
            begin = until
            if most_pages is None:
                self._conclude(until)
            elif listed >= most_pages:
                return
            if pages <= FEW_PAGES:
                span = min(span * 2, LONGEST)

    def _page(self, since: datetime, until: datetime, after: str | None) -> UndeliveredPage:
        self._check_circuit()
        try:
            page = self._provider.listed(since=since, until=until, after=after)
        except ProviderUnavailableError as error:
            note_unanswered(self.name, "the list of events", error)
            raise
        except ProviderError:
            note_answered(self.name)
            raise
        note_answered(self.name)
        return page

    def _conclude(self, until: datetime) -> None:
        """Count what was tried in vain, and keep the place if nothing up to here is left."""
        if self._is_answered:  # else it is not the objects' own fault, for all that we know
            _count_tries(self.name, "tried in vain", self._tried, most=MOST_TRIES)
            _count_tries(self.name, "refused", self._refused, most=MOST_REFUSED)
            self._tried, self._refused = [], []
        if self._whole and self._mark:
            reached = min(until, self._begun - OVERLAP)
            cache().put(self._mark, reached.isoformat().encode(), seconds=int(FARTHEST.total_seconds()))

    def _enter(self, queries: StatusQueries, events: Sequence[UndeliveredEvent], *, last: bool) -> Iterator[int]:
        """Enter a whole window, an object at a time; ``last`` if it is listed no more once nothing is left."""
        # Of the history before anything is committed: another one may lack it.
        marks = marks_of(self.name, [event.event_id for event in events])
        known = cache().known(list(marks.values()))
        news = _news([event for event in events if marks.get(event.event_id) not in known])
        named = [(self.name, each.events[0].provider_ref) for each in news]
        here = references(key for key in named if key[1])
        for key, each in zip(named, news, strict=True):
            if key[1] and key not in here:
                continue  # a payment of another service
            of_object = [marks[event_id] for event_id in each.event_ids if event_id in marks]
            if each.rank in self._refused_ranks:
                self._leave(each, _Left.REFUSED, of_object)
                continue
            if self._read_of_rank[each.rank] >= (MOST_SPARE if each.spare else MOST_READ):
                self._leave(each, _Left.ANOTHER_RUN, of_object)
                continue
            self._read_of_rank[each.rank] += 1
            entered, left = self._entered(queries, each, is_here=key in here)
            if of_object and (left is _Left.NOTHING or (left is _Left.LOOK_AGAIN and last)):
                # At once: the next one may find the provider away.
                cache().put_many(of_object, b"1", seconds=REMEMBERED_FOR)
            self._leave(each, left, of_object)
            yield entered

    def _leave(self, news: _News, left: _Left, marks: Sequence[str]) -> None:
        """Note what is left. Nothing is kept back by what others say too."""
        if news.spare or left in {_Left.NOTHING, _Left.LOOK_AGAIN}:
            return
        self._whole = False
        if left is _Left.ANOTHER_TRY:
            self._tried += marks
        elif left is _Left.REFUSED:
            self._refused += marks

    def _entered(self, queries: StatusQueries, news: _News, *, is_here: bool) -> tuple[int, _Left]:
        """How many events an object told, and what is left to do. ``is_here`` of a payment that is known.

        Raises ProviderUnavailableError where the provider is away, and DatabaseUnavailableError.
        """
        self._check_circuit()
        ref = news.events[0].object_ref
        try:
            parsed = self._provider.look_up_object(news.events)
        except ProviderUnavailableError as error:
            note_unanswered(self.name, ref, error)
            self._in_vain_in_a_row += 1
            if self._in_vain_in_a_row >= GIVE_UP_AFTER:
                raise
            log.warning("listed_object_not_read", provider=self.name, object_ref=ref, error=str(error))
            return 0, _Left.ANOTHER_TRY
        except ProviderError as error:
            note_answered(self.name)
            self._in_vain_in_a_row = 0
            reason = error.reason if isinstance(error, ProviderRefusedError) else None
            if reason is Decline.UNKNOWN_REFERENCE and not is_here and not references([(self.name, ref)]):
                self._is_answered = True
                return 0, _Left.NOTHING  # there is none for this account, and none here
            log.warning("listed_object_not_read", provider=self.name, object_ref=ref, error=str(error))
            if reason is Decline.CREDENTIALS:
                self._refused_ranks.add(news.rank)
                return 0, _Left.REFUSED
            return 0, _Left.ANOTHER_TRY
        note_answered(self.name)
        self._in_vain_in_a_row = 0
        self._is_answered = True
        return _recorded(queries, parsed)

    def _check_circuit(self) -> None:
        if not may_call(self.name):
            raise ProviderUnavailableError(NOT_CALLED)


def _news(events: Sequence[UndeliveredEvent]) -> list[_News]:
    """The objects that events name, by rank, the oldest first."""
    found: defaultdict[str, list[tuple[UndeliveredEvent, ThinEvent]]] = defaultdict(list)
    for event in reversed(events):
        for item in event.events:
            if isinstance(item, ThinEvent) and item.object_ref:
                found[item.object_ref].append((event, item))
    objects = [
        _News(
            rank=min(event.rank for event, _ in each),
            spare=all(event.spare for event, _ in each),
            events=[item for _, item in each],
        )
        for each in found.values()
    ]
    return sorted(objects, key=lambda each: each.rank)


def _recorded(queries: StatusQueries, parsed: ParsedWebhook) -> tuple[int, _Left]:
    """How many events an object told, and what is left to do. Raises DatabaseUnavailableError."""
    events = [item for item in parsed.events if isinstance(item, ProviderEvent | ProviderRefundEvent)]
    thin_events = [item for item in parsed.events if isinstance(item, ThinEvent)]
    entered, left = 0, _Left.NOTHING
    try:
        if events:
            with transaction() as connection:
                recorded = record(connection, received_now(events))
            recorded.follow_up()
            outcomes = [effect.outcome for effect in recorded.effects]
            left = _left_of(events, outcomes)
            moved = {Outcome.APPLIED, Outcome.MISMATCH}
            entered = sum(
                bool(item.event_id) and outcome in moved for item, outcome in zip(events, outcomes, strict=True)
            )
    except DatabaseLockedError:
        log.warning("payment_held_by_another")
        return 0, _Left.ANOTHER_RUN
    except DatabaseUnavailableError:
        raise
    except Exception:
        log.exception("events_not_recorded")
        return 0, _Left.ANOTHER_TRY
    here = references((item.provider, item.provider_ref) for item in thin_events)
    if len(here) < len({item.provider_ref for item in thin_events}):
        left = _Left.LOOK_AGAIN
    for key in sorted(here):
        queries.ask(Inquiry(payment_id=here[key].payment_id, provider=key[0]))
        if not queries.recorded:
            left = _Left.ANOTHER_TRY
    return entered, left


def _left_of(events: Sequence[ProviderEvent | ProviderRefundEvent], outcomes: Sequence[Outcome]) -> _Left:
    """What is left of events that had these outcomes.

    An event whose payment has a reference, and is not here, is another service's. One without may be of a payment
    whose names are not entered yet.
    """
    if Outcome.WAITING in outcomes:
        return _Left.ANOTHER_RUN
    parked = [event for event, outcome in zip(events, outcomes, strict=True) if outcome is Outcome.PARKED]
    if any(not event.provider_ref for event in parked):
        return _Left.ANOTHER_TRY
    return _Left.LOOK_AGAIN if parked else _Left.NOTHING


def _count_tries(provider: str, how: str, marks: Sequence[str], *, most: int) -> None:
    """Count one more run that ended like this for these events, by their marks, and give up those that had ``most``."""
    counts = {mark: f"{how}:{mark}" for mark in marks}
    before = cache().values(list(counts.values()))
    by_count: defaultdict[int, list[str]] = defaultdict(list)
    for mark, name in counts.items():
        kept = before.get(name, b"")
        by_count[1 + (int(kept) if kept.isdigit() else 0)].append(mark)
    for count, of_count in by_count.items():
        cache().put_many([counts[mark] for mark in of_count], str(count).encode(), seconds=REMEMBERED_FOR)
        if count >= most:
            cache().put_many(of_count, b"1", seconds=REMEMBERED_FOR)
            for mark in of_count:
                log.error("listed_event_given_up", provider=provider, event_id=mark.rpartition(":")[2], tries=count)
