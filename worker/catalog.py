"""The task ``catalog.sync``: brings the catalogue to what the tables of ``CATALOG_SOURCE`` have.

It works for some seconds; what it has not reached by then is the next one's, which looks at what differs. A first sync
of very many listings is better made by the command, which has no such bound.
"""

from __future__ import annotations

from typing import Final

import psycopg
import structlog
from celery import shared_task

from checkout_service.catalog.source import SourceError
from checkout_service.catalog.sync_writing import SyncOverError, SyncRunningError
from checkout_service.catalog.syncing import sync_catalog
from checkout_service.tasks import TaskName
from checkout_service.telemetry.metrics import catalog_listings_total, catalog_syncs_total
from worker.context import settings

STATEMENT_SECONDS: Final = 20
"""Of one statement on the source, of which three come before the first batch is written and one follows the last."""

SYNC_FOR: Final = 30.0
"""Seconds after which it begins no further batch; 75 s after its begin its process is killed."""

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.SYNC_CATALOG)
def sync() -> str:
    """Read the source once, and write what differs."""
    source = settings().catalog_source
    if source is None:
        return "CATALOG_SOURCE is not set here"
    try:
        done = sync_catalog(
            source=source,
            database_url=settings().database_url,
            namespace=settings().payment_namespace,
            pooler=settings().database_pooler,
            statement_seconds=STATEMENT_SECONDS,
            within=SYNC_FOR,
        )
    except SyncRunningError:
        return "another sync is at work"
    except (SourceError, SyncOverError, psycopg.Error) as error:
        catalog_syncs_total.labels("failed").inc()
        reason = str(error).partition("\n")[0][:300] or type(error).__name__
        log.warning("catalog_sync_failed", reason=reason)
        return f"failed: {reason}"
    catalog_syncs_total.labels(done.state.value).inc()
    kinds = {"new": done.new, "changed": done.changed, "made_inactive": done.gone}
    for name, keys in kinds.items():
        catalog_listings_total.labels(name).inc(keys.count)
    if done.refusal:
        log.warning("catalog_sync_refused", reason=done.refusal)
    else:
        counts = {name: keys.count for name, keys in kinds.items()}
        note = log.info if done.is_good else log.warning
        note(
            "catalog_synced",
            state=done.state.value,
            rows=done.rows,
            **counts,
            keys=[key for keys in kinds.values() for key in keys.first],
            unusable=done.unusable.first,
            unusable_count=done.unusable.count,
            short=done.short.first,
            short_count=done.short.count,
        )
    return done.in_words
