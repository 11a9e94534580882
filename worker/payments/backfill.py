"""The task ``payments.backfill``: asks providers that keep what they could not deliver for just that.

What they return is recorded with the event ids that the webhooks have, so that a webhook which comes after all is a
duplicate. Where an event is about a refund, or says only that there is news, its payment is looked up.

Providers that list all events alike, delivered or not, are asked for those too: see worker/payments/listed_events.py.

Providers take turns, a page or an object each: one that is away, or has much to tell, takes nobody else's time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from celery import shared_task

from checkout_service.cache import cache
from checkout_service.database.engine import history, transaction
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.providers.base import ProviderError, ProviderEvent, Reference
from checkout_service.providers.undelivered import SupportsUndelivered, UndeliveredEvent
from checkout_service.tasks import TaskName
from worker.context import providers
from worker.delivered import REMEMBERED_FOR, marks_of
from worker.payments.listed_events import ListedEvents, ListsNamedObjects
from worker.payments.status_queries import Inquiry, StatusQueries
from worker.references import references
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record

NEAR: Final = timedelta(days=3)
FAR: Final = timedelta(days=30)
"""How far back each run asks, and the first of each day: the far one goes as far as Stripe remembers."""

_FAR_MARK: Final = "backfilled far"
_DAY: Final = 86_400

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.BACKFILL_PAYMENTS)
def backfill() -> str:
    """Enter what providers could not deliver; bounded in time, and what is left over is for the next run."""
    queries = StatusQueries()
    held = [(name, each) for name, each in providers().items() if isinstance(each, SupportsUndelivered)]
    walks: deque[_Walk | ListedEvents] = deque(_Walk(name, provider) for name, provider in held)
    listing = [(name, each) for name, each in providers().items() if isinstance(each, ListsNamedObjects)]
    walks.extend(ListedEvents(name, each) for name, each in listing if each.lists_events)
    learned = 0
    try:
        while walks and queries.may_go_on():
            walk = walks.popleft()
            try:
                learned += walk.step(queries)
            except ProviderError as error:
                log.warning("backfill_ended_early", provider=walk.name, error=str(error))
                continue
            if not walk.is_over:
                walks.append(walk)
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
    return f"{learned} events that were not delivered; {queries.summary()}"


class _Walk:
    """A walk along what one provider could not deliver: the first of a day goes far back."""

    def __init__(self, name: str, provider: SupportsUndelivered) -> None:
        self.name = name
        self.is_over = False
        self._provider = provider
        self._mark = f"{_FAR_MARK}:{history(now=True)}:{name}"
        self._far = not cache().known([self._mark])
        self._since = datetime.now(UTC) - (FAR if self._far else NEAR)
        self._after: str | None = None
        self._whole = True

    def step(self, queries: StatusQueries) -> int:
        """Enter the next page; how many events that were. Raises ProviderError and DatabaseUnavailableError."""
        page = self._provider.undelivered(since=self._since, after=self._after)
        entered = _enter(queries, self.name, page.events)
        self._whole = self._whole and entered is not None
        self._after, self.is_over = page.after, page.after is None
        if self.is_over and self._far and self._whole:
            cache().put_many([self._mark], b"1", seconds=_DAY)
        return entered or 0


def _enter(queries: StatusQueries, provider: str, events: Sequence[UndeliveredEvent]) -> int | None:
    """Enter a page of events; how many events that were, or None if it could not be. The next run sees them again.

    Events about payments that are not here are not ours.
    """
    # Of the history before anything is committed: another one may lack it.
    marks = marks_of(provider, [event.event_id for event in events])
    known = cache().known(list(marks.values()))
    here = references((item.provider, item.provider_ref) for event in events for item in event.events)
    fresh = [event for event in events if marks.get(event.event_id) not in known]
    ours = [event for event in fresh if any((item.provider, item.provider_ref) in here for item in event.events)]
    provider_events = [item for event in ours for item in event.events if isinstance(item, ProviderEvent)]
    try:
        if provider_events:
            with transaction() as connection:
                recorded = record(connection, received_now(provider_events))
            recorded.follow_up()
    except DatabaseLockedError:
        log.warning("payment_held_by_another")
        return None
    except DatabaseUnavailableError:
        raise
    except Exception:
        log.exception("events_not_recorded")
        return None
    done = [event for event in ours if _looked_up(queries, event, here)]
    if done:
        cache().put_many([marks[event.event_id] for event in done if marks], b"1", seconds=REMEMBERED_FOR)
    return len(provider_events)


def _looked_up(queries: StatusQueries, event: UndeliveredEvent, here: Mapping[tuple[str, str], Reference]) -> bool:
    """Whether nothing is left to ask about the event's payments."""
    to_look_up = {(item.provider, item.provider_ref) for item in event.events if not isinstance(item, ProviderEvent)}
    for key in sorted(to_look_up & here.keys()):
        if not queries.may_go_on() or not queries.patience(key[0]):
            return False
        queries.ask(Inquiry(payment_id=here[key].payment_id, provider=key[0]))
        if not queries.recorded:
            return False
    return True
