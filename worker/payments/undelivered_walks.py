"""Walks along what providers could not deliver: a page at a time, and of it a few look-ups at a time.

What a walk is through with is marked: a webhook, and of one with news of many payments each payment that was looked up.
A walk that its run has no time for goes on where it was in the next one; beside it another one begins with what is
new. So a long outage is worked off however many runs that takes, and hides nothing. Marks and places are in the cache:
without it, and in another history of the database, all is asked about once more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final, NamedTuple, Self
from uuid import UUID

import structlog

from checkout_service.cache import cache
from checkout_service.database.engine import history, transaction
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.providers.base import ProviderError, ProviderEvent, ProviderUnavailableError
from checkout_service.providers.undelivered import SupportsUndelivered, UndeliveredEvent
from worker.delivered import REMEMBERED_FOR, marks_of
from worker.payments.status_queries import Inquiry, StatusQueries
from worker.references import references
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record

NEAR: Final = timedelta(days=3)
FAR: Final = timedelta(days=30)
"""How far back a walk goes, and the first of each day: the far one goes as far as Stripe remembers."""

TURN: Final = 20
"""Look-ups after which the other walks have their turn."""

_FAR_MARK: Final = "backfilled far"
_DAY: Final = 86_400

log = structlog.get_logger(__name__)


class LookedUpInRun:
    """The payments that a run looked up: none of them twice."""

    def __init__(self) -> None:
        self._answered_at: dict[UUID, float | None] = {}

    def has(self, payment_id: UUID) -> bool:
        """Whether it was looked up in this run."""
        return payment_id in self._answered_at

    def note(self, payment_id: UUID, *, at: float, recorded: bool) -> None:
        """Note a question that was put at a moment (by ``monotonic``), and whether its answer is recorded."""
        self._answered_at[payment_id] = at if recorded else None

    def since(self, payment_id: UUID, moment: float) -> bool:
        """Whether what it was answered about the payment is recorded, and was asked for after this moment."""
        answered_at = self._answered_at.get(payment_id)
        return answered_at is not None and answered_at >= moment


class _Place(NamedTuple):
    """Where a walk is: since when it lists, and after which page."""

    since: datetime
    after: str | None
    far: bool

    @classmethod
    def kept(cls, name: str) -> Self | None:
        """The place that a walk of another run was left at."""
        try:
            since, after, far = json.loads(cache().get(name) or b"null")
            return cls(datetime.fromisoformat(since), str(after), bool(far))
        except (ValueError, TypeError):  # none, or what another release kept there
            return None

    def keep(self, name: str) -> None:
        """Keep it for the next run."""
        place = json.dumps([self.since.isoformat(), self.after, self.far]).encode()
        cache().put(name, place, seconds=_DAY)


def walks_of(name: str, provider: SupportsUndelivered, in_run: LookedUpInRun) -> list[UndeliveredWalk]:
    """The walks of a run at one provider: that which the run before left, if it did, and one from what is new."""
    in_history = history(now=True)
    place_name = f"backfill at:{in_history}:{name}" if in_history else ""
    far_mark = f"{_FAR_MARK}:{in_history}:{name}"
    left = _Place.kept(place_name) if place_name else None
    far = left is None and not cache().known([far_mark])
    new = _Place(datetime.now(UTC) - (FAR if far else NEAR), None, far)
    begun = [(new, "")] if left is not None else [(new, place_name)]
    return [
        UndeliveredWalk(name, provider, in_run, place=place, kept_as=kept_as, far_mark=far_mark)
        for place, kept_as in ([] if left is None else [(left, place_name)]) + begun
    ]


class UndeliveredWalk:
    """A walk along what one provider could not deliver. One that is not kept begins anew in the next run."""

    def __init__(
        self,
        name: str,
        provider: SupportsUndelivered,
        in_run: LookedUpInRun,
        *,
        place: _Place,
        kept_as: str,
        far_mark: str,
    ) -> None:
        self.name = name
        self.is_over = False
        self._provider = provider
        self._in_run = in_run
        self._place = place
        self._kept_as = kept_as
        self._far_mark = far_mark
        self._page: _Page | None = None
        self._whole = True

    def step(self, queries: StatusQueries) -> int:
        """Enter the next page, or look up further payments of it; how many events were entered.

        Raises ProviderError and DatabaseUnavailableError.
        """
        entered = 0
        if self._page is None:
            self._page = self._turned()
            entered = self._page.entered
            self._whole = self._whole and self._page.is_entered
        for _ in range(TURN):
            if not self._page.has_more(self._in_run):
                self._go_on(self._page.after)
                break
            if not queries.may_go_on():
                break
            if not queries.patience(self.name):
                self.is_over = True  # it is away; the next run goes on with this page
                break
            self._page.look_up_next(queries, self._in_run)
        return entered

    def _turned(self) -> _Page:
        listed_at = monotonic()
        try:
            page = self._provider.undelivered(since=self._place.since, after=self._place.after)
        except ProviderUnavailableError:
            raise
        except ProviderError:
            # Perhaps it is the place that it does not know any more.
            self._forget_place()
            raise
        self._whole = self._whole and page.whole
        return _Page(self.name, page.events, after=page.after, listed_at=listed_at)

    def _go_on(self, after: str | None) -> None:
        self._page = None
        if after is not None:
            self._place = self._place._replace(after=after, far=self._place.far and self._whole)
            if self._kept_as:
                self._place.keep(self._kept_as)
            return
        self.is_over = True
        self._forget_place()
        if self._place.far and self._whole:
            cache().put_many([self._far_mark], b"1", seconds=_DAY)

    def _forget_place(self) -> None:
        if self._kept_as:
            cache().release(self._kept_as)


class _Page:
    """A page of events: entered, and of their payments those that are left to look up.

    Events about payments that are not here are not ours.
    """

    def __init__(self, name: str, events: Sequence[UndeliveredEvent], *, after: str | None, listed_at: float) -> None:
        self.after = after
        self.entered = 0
        """How many events it had."""
        self.is_entered = True
        """False where they could not be entered: another run sees them again."""
        self._name = name
        self._listed_at = listed_at
        self._left: dict[UUID, list[str]] = {}
        """By payment that is left to look up, the marks of the events that have news of it."""
        self._news: dict[str, int] = {}
        """By an event's mark, of how many payments it has news that are left to look up."""
        self._enter(events)

    def has_more(self, in_run: LookedUpInRun) -> bool:
        """Whether a payment is left that this run has not asked about.

        One that it asked about before this page was listed is left to another run: what is new may have come since.
        """
        for payment_id in list(self._left):
            if not in_run.has(payment_id):
                return True
            marks = self._left.pop(payment_id)
            if in_run.since(payment_id, self._listed_at):
                self._mark(payment_id, marks)
        return False

    def look_up_next(self, queries: StatusQueries, in_run: LookedUpInRun) -> None:
        """Ask about the next payment; what is wrong with its answer is its own. Raises DatabaseUnavailableError."""
        payment_id = next(iter(self._left))
        at = monotonic()
        queries.ask(Inquiry(payment_id=payment_id, provider=self._name))
        in_run.note(payment_id, at=at, recorded=queries.recorded)
        marks = self._left.pop(payment_id)
        if queries.recorded:
            # At once: whatever ends the run, the next one goes on behind it.
            self._mark(payment_id, marks)

    def _enter(self, events: Sequence[UndeliveredEvent]) -> None:
        # Of the history before anything is committed: another one may lack it.
        marks = marks_of(self._name, [event.event_id for event in events])
        known = cache().known(list(marks.values()))
        here = references((item.provider, item.provider_ref) for event in events for item in event.events)
        fresh = [event for event in events if marks.get(event.event_id) not in known]
        ours = [event for event in fresh if any((item.provider, item.provider_ref) in here for item in event.events)]
        provider_events = [item for event in ours for item in event.events if isinstance(item, ProviderEvent)]
        self.is_entered = _record(provider_events)
        if not self.is_entered:
            return
        self.entered = len(provider_events)
        news = {
            event.event_id: {
                here[item.provider, item.provider_ref].payment_id: None
                for item in event.events
                if not isinstance(item, ProviderEvent) and (item.provider, item.provider_ref) in here
            }
            for event in ours
        }
        pairs = [(marks.get(event_id, ""), payment_id) for event_id, each in news.items() for payment_id in each]
        looked_up = cache().known([_of_payment(mark, payment_id) for mark, payment_id in pairs if mark])
        for mark, payment_id in pairs:
            if _of_payment(mark, payment_id) not in looked_up:
                self._left.setdefault(payment_id, []).append(mark)
                self._news[mark] = self._news.get(mark, 0) + 1
        through = [marks[each] for each in news if each in marks and marks[each] not in self._news]
        if through:
            cache().put_many(through, b"1", seconds=REMEMBERED_FOR)

    def _mark(self, payment_id: UUID, marks: Sequence[str]) -> None:
        """Mark what is known of a payment, and the events of whose payments none is left."""
        done = []
        for mark in filter(None, marks):
            self._news[mark] -= 1
            done.append(mark if not self._news[mark] else _of_payment(mark, payment_id))
        if done:
            cache().put_many(done, b"1", seconds=REMEMBERED_FOR)


def _of_payment(mark: str, payment_id: UUID) -> str:
    return f"{mark}:{payment_id}"


def _record(events: Sequence[ProviderEvent]) -> bool:
    """Whether they are entered. Raises DatabaseUnavailableError."""
    try:
        if events:
            with transaction() as connection:
                recorded = record(connection, received_now(events))
            recorded.follow_up()
    except DatabaseLockedError:
        log.warning("payment_held_by_another")
        return False
    except DatabaseUnavailableError:
        raise
    except Exception:
        log.exception("events_not_recorded")
        return False
    return True
