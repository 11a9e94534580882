"""Checks of clocks: this host's against the database's, the cache's and every worker's."""

from __future__ import annotations

from collections.abc import Iterator
from time import time
from typing import Final

from flask import current_app
from redis import Redis
from redis.exceptions import RedisError

from checkout_service.cache import cache
from checkout_service.database.clock import BEAT_CLOCK, seconds_ahead
from checkout_service.doctor.findings import Finding, advice, ok, unknown, wrong
from checkout_service.doctor.reasons import reason
from checkout_service.doctor.wire import worker_clocks
from checkout_service.publishing.publisher import QueueUnavailableError
from checkout_service.settings.values import WebSettings

TOLERATED: Final = 2.0
"""Seconds. Signatures are judged by the database's clock with minutes to spare, tokens by the web's without any."""

HARMFUL: Final = 30.0


def check_clocks() -> Iterator[Finding]:
    """How far each clock is from this host's. Half of the round trip is allowed for."""
    settings: WebSettings = current_app.extensions["settings"]
    seconds_ahead()  # so that the next is not also the time to connect
    yield _judge("clock of PostgreSQL", -seconds_ahead())
    try:
        with Redis.from_url(settings.redis_url.reveal(), socket_timeout=2, socket_connect_timeout=2) as server:
            server.ping()
            sent_at = time()
            seconds, micros = server.time()
            yield _judge("clock of the cache", seconds + micros / 1e6 - (sent_at + time()) / 2)
    except RedisError as error:
        yield unknown("clock of the cache", reason(error), "See REDIS_URL.")


def check_workers() -> Iterator[Finding]:
    """Which workers send heartbeats, and how far their clocks are from this host's."""
    settings: WebSettings = current_app.extensions["settings"]
    try:
        ahead = worker_clocks(settings.broker_url, listen_for=3.0)
    except QueueUnavailableError as error:
        yield unknown("workers", reason(error), "The broker has to answer first.")
        return
    names = {
        "worker": "webhooks wait",
        "housekeeping": "payments are not looked up, and nothing is pruned",
        "sender": "events wait",
    }
    for kind, otherwise in names.items():
        count = sum(name.startswith(f"{kind}@") for name in ahead)
        if count:
            yield ok(kind, f"{count} answer{'s' if count == 1 else ''}")
        else:
            yield wrong(kind, "none answers", f"Start one: {otherwise} meanwhile.")
    for name, seconds in sorted(ahead.items()):
        yield _judge(f"clock of {name}", seconds)
    if beat := cache().get(BEAT_CLOCK):
        # It was compared with the database's.
        yield _judge("clock of beat", float(beat) - seconds_ahead())


def _judge(about: str, ahead: float) -> Finding:
    result = f"{abs(ahead):.2f} s {'ahead' if ahead > 0 else 'behind'}"
    remedy = "Run NTP on both hosts: tokens, the age of signatures and leases go by these clocks."
    if abs(ahead) < TOLERATED:
        return ok(about, result)
    return (wrong if abs(ahead) > HARMFUL else advice)(about, result, remedy)
