"""Checks of the broker: how much of it outlives a crash. A lost message costs time, never a webhook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flask import current_app
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from checkout_service.doctor.findings import Finding, advice, ok, unknown, wrong
from checkout_service.doctor.reasons import reason
from checkout_service.doctor.wire import queues_of_another_kind
from checkout_service.publishing.publisher import QueueUnavailableError
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings

ANSWER_WITHIN: Final = 2.0


def check_broker() -> Iterator[Finding]:
    """Redis and Valkey by their settings, RabbitMQ by its queues."""
    settings: WebSettings = current_app.extensions["settings"]
    url = settings.broker_url.reveal()
    if url.startswith("amqp"):
        yield from _check_quorum(settings.broker_url)
        return
    try:
        with Redis.from_url(url, socket_timeout=ANSWER_WITHIN, socket_connect_timeout=ANSWER_WITHIN) as server:
            yield from _check_redis(server)
    except RedisError as error:
        yield wrong("broker", reason(error), "See CELERY_BROKER_URL.")


def _check_redis(server: Redis) -> Iterator[Finding]:
    info: Any = server.info()
    try:
        configured: dict[str, str] = {}
        for name in ("appendfsync", "maxmemory-policy"):
            configured |= server.config_get(name)  # type: ignore[arg-type]  # the library's type covers its async client too
    except ResponseError:
        yield unknown("broker durability", "CONFIG is refused", "Ask whoever runs it for appendonly and noeviction.")
        configured = {"maxmemory-policy": info.get("maxmemory_policy", "noeviction")}
    if not info.get("aof_enabled"):
        remedy = (
            "Set appendonly yes: without it a restart forgets the wake-ups, and the sweep has to find their webhooks."
        )
        yield advice("broker durability", "appendonly no", remedy)
    elif configured.get("appendfsync", "always") == "no":
        yield advice("broker durability", "appendfsync no", "Set everysec or always, for the same reason.")
    else:
        yield ok("broker durability", f"appendonly yes, appendfsync {configured.get('appendfsync', 'unknown')}")
    policy = configured["maxmemory-policy"]
    if policy != "noeviction":
        yield wrong("broker eviction", f"maxmemory-policy {policy}", "Set noeviction: a full broker may evict a queue.")
    elif info.get("evicted_keys"):
        remedy = "Messages may have been among them; the sweep finds their webhooks. Give it more memory."
        yield advice("broker eviction", f"{info['evicted_keys']} keys were evicted once", remedy)
    else:
        yield ok("broker eviction", "never")


def _check_quorum(url: Secret) -> Iterator[Finding]:
    try:
        others = queues_of_another_kind(url)
    except QueueUnavailableError as error:
        yield wrong("broker", reason(error), "See CELERY_BROKER_URL.")
        return
    if others:
        remedy = (
            "A queue cannot change its kind: stop the workers, delete it (its webhooks are in the database), start."
        )
        yield wrong("broker queues", f"{', '.join(others)} are no quorum queues", remedy)
    else:
        yield ok("broker queues", "quorum queues: replicated if the cluster has three nodes or more")
