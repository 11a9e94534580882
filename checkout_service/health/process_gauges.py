"""What each web process shows of itself once a second: its pool of connections, and the servers that it does not ask.

A scrape is answered by one child for all. So each writes its own into the folder of metrics, and the page adds them up.
"""

from __future__ import annotations

from flask import current_app
from sqlalchemy.pool import QueuePool

from checkout_service.breaker import Breaker
from checkout_service.cache import cache
from checkout_service.database.engine import db
from checkout_service.publishing.publisher import task_queue
from checkout_service.telemetry.metrics import breakers_open, database_pool_connections


def show_process() -> None:
    """Show how it is at this moment. Asks no server, and waits for nothing; needs the app's context."""
    pool = db.engine.pool
    if isinstance(pool, QueuePool):
        database_pool_connections.labels("in_use").set(pool.checkedout())
        database_pool_connections.labels("limit").set(pool.size())
    database: Breaker = current_app.extensions["database_breaker"]
    commits: Breaker = current_app.extensions["commit_breaker"]
    for server, is_open in (
        ("database", database.is_open),
        ("commits", commits.is_open),
        ("broker", task_queue().is_away),
        ("cache", cache().is_away),
    ):
        breakers_open.labels(server).set(is_open)
