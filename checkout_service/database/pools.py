"""How many connections to PostgreSQL each process may have. See docs/availability.md for what follows from it."""

from __future__ import annotations

from typing import Final

WEB_BESIDE: Final = 4
"""Connections of a web process's pool beside those of its threads that serve.

For who looks whether the database is ready, who makes the management port's metrics, who looks for what long polls
wait for, and who commits webhooks. If one of them finds no connection, every request takes the database for one that is
away.
"""

WEB_BACKGROUND: Final = 1
"""A web process's own one outside of its pool, which counts webhooks that wait."""

WORKER_POOL: Final = 2
"""A worker's child's: one at work, and one for a task that ends while the next begins."""

WORKER_MAIN: Final = 1
"""A worker's main process's, which waits for the schema."""

SENDER_CHILDREN: Final = 2
"""As the Procfile and deploy/ start the sender: -c 2."""

WORKERS: Final = 3
"""Worker, housekeeping and sender."""


def web_connections(*, children: int, threads: int) -> int:
    """How many connections the web of one host has at most."""
    return children * (threads + WEB_BESIDE + WEB_BACKGROUND)


def worker_connections(*, worker: int, housekeeping: int) -> int:
    """How many worker, housekeeping and sender of one host have at most, by the children of the first two."""
    return (worker + housekeeping + SENDER_CHILDREN) * WORKER_POOL + WORKERS * WORKER_MAIN
