"""The task ``payments.backfill``: asks providers that keep what they could not deliver for just that.

What they return is recorded with the event ids that the webhooks have, so that a webhook which comes after all is a
duplicate. Where an event is about a refund, or says only that there is news, its payment is looked up.

Providers that list all events alike, delivered or not, are asked for those too: see worker/payments/listed_events.py.

Providers take turns, a page or some look-ups each (worker/payments/undelivered_walks.py), or an object: one that is
away, or has much to tell, takes nobody else's time.
"""

from __future__ import annotations

from collections import deque

import structlog
from celery import shared_task

from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.providers.base import ProviderError
from checkout_service.providers.undelivered import SupportsUndelivered
from checkout_service.tasks import TaskName
from worker.context import providers
from worker.payments.listed_events import ListedEvents, ListsNamedObjects
from worker.payments.status_queries import StatusQueries
from worker.payments.undelivered_walks import LookedUpInRun, UndeliveredWalk, walks_of

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.BACKFILL_PAYMENTS)
def backfill() -> str:
    """Enter what providers could not deliver; bounded in time, and what is left over is for the next run."""
    queries = StatusQueries()
    held = [(name, each) for name, each in providers().items() if isinstance(each, SupportsUndelivered)]
    in_run = LookedUpInRun()
    walks: deque[UndeliveredWalk | ListedEvents] = deque(
        walk for name, provider in held for walk in walks_of(name, provider, in_run)
    )
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
