"""Every Prometheus series of the service, for both tiers.

With PROMETHEUS_MULTIPROC_DIR set before this is imported, all processes of one master count into shared files and any
of them can answer for the others.
"""

from __future__ import annotations

import collections
import os
import struct
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from checkout_service.delivery_states import RejectedClass

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# The library chose how to count when it was first imported. In a worker Flower's plug-in of the celery command imports
# it, before worker/app.py has named the folder.
FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
"""The folder whose files the series below count into; None if each process counts for itself. What is named later comes
too late for them, but for ``count_in``."""

_TRIES: Final = 3

values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]  # prometheus-client is partly untyped

requests_total = Counter("http_requests_total", "Answers by method, route and status.", ["method", "route", "status"])
request_seconds = Histogram(
    "http_request_duration_seconds",
    "Time from the first look at a request to its answer.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
long_polls = Gauge(
    "http_long_polls_waiting",
    "Requests that are kept waiting for a change, those of clients that have hung up included.",
    multiprocess_mode="livesum",
)
long_polls_total = Counter(
    "http_long_polls_total",
    "Requests that offered to wait for a change, by outcome: changed, unchanged until their deadline, ended with their "
    "process, refused for want of room and answered at once.",
    ["outcome"],
)
sessions_total = Counter("checkout_sessions_total", "Checkout sessions by outcome: opened or replayed.", ["outcome"])
callers_refused_total = Counter(
    "checkout_callers_refused_total",
    "Sessions that were not opened because one caller has as many of something as one may have, by the problem's type.",
    ["problem"],
)
refund_requests_total = Counter("refund_requests_total", "Requests for a refund: taken or replayed.", ["outcome"])
capture_requests_total = Counter("capture_requests_total", "Requests to capture: taken or replayed.", ["outcome"])
capture_requests_failed_total = Counter(
    "capture_requests_failed_total",
    "Captures asked for that were not made, by the provider's answer or an operator's word.",
    ["provider", "decline"],
)
void_requests_total = Counter("void_requests_total", "Requests to void: taken or replayed.", ["outcome"])
fulfilment_requests_total = Counter(
    "fulfilment_requests_total", "Requests to fulfil an order: taken or replayed.", ["outcome"]
)
order_cancellation_requests_total = Counter(
    "order_cancellation_requests_total", "Requests to cancel an order: taken or replayed.", ["outcome"]
)
short_orders_canceled_total = Counter(
    "short_orders_canceled_total", "Orders canceled by the service itself, since they were paid without stock."
)
refunds_total = Counter("refunds_total", "Refunds that moved to a status, by provider.", ["provider", "status"])
payments_total = Counter(
    "payments_total", "Payments that came to a status after they were opened, by provider.", ["provider", "status"]
)
holds_ended_total = Counter(
    "stock_holds_ended_total", "Holds of pieces that ended by their time, since nobody paid for them by then."
)
catalog_syncs_total = Counter(
    "catalog_syncs_total",
    "Syncs of the catalogue with its source, by result: done, partial (the next one goes on), refused, failed.",
    ["result"],
)
catalog_listings_total = Counter(
    "catalog_listings_total", "Listings that a sync wrote: new, changed, made_inactive.", ["change"]
)
webhook_deliveries_total = Counter(
    "webhook_deliveries_total",
    "Results of processing, by provider and state. Those of received and parked webhooks are tried again.",
    ["provider", "state"],
)
webhooks_ignored_total = Counter(
    "webhooks_ignored_total",
    "Verified webhooks of which nothing came, by provider and reason: unknown_type (of a new kind), not_ours "
    "(of another shop, account or mode), nothing_to_record (a kind that moves nothing that we keep).",
    ["provider", "reason"],
)
secret_matches_total = Counter(
    "webhook_secret_matches_total",
    "Webhooks by the live secret that they were signed with, counted from 1: one that stays still may be retired.",
    ["provider", "secret"],
)
webhook_deliveries_dropped_total = Counter(
    "webhook_deliveries_dropped_total",
    "Rejected webhooks that were not kept, since the bounds of such were reached, by what they name: a payment of ours "
    "that is open, another that is known, or nothing that is (unknown).",
    ["named"],
)
webhook_refused_total = Counter(
    "webhook_refused_total",
    "Webhooks that were not stored, by the problem that their sender was answered with; a provider sends them again.",
    ["reason"],
)
webhook_delivery_lag_seconds = Histogram(
    "webhook_delivery_lag_seconds",
    "Time from a webhook's arrival to the commit of its events.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)
trace_spans_total = Counter(
    "trace_spans_total",
    "Spans of traces by outcome: sent, failed where the collector did not take them, dropped where too many waited, "
    "error where one could not be begun or said something of.",
    ["outcome"],
)
event_attempts_total = Counter(
    "event_attempts_total",
    "Attempts to send an event to a webhook endpoint, by result: succeeded, the class of another status, or why no "
    "answer came. All but the first are tried again.",
    ["result"],
)
event_deliveries_total = Counter(
    "event_deliveries_total",
    "Event deliveries that ended: delivered, or failed after the last attempt, for an operator.",
    ["outcome"],
)
event_deliveries_in_flight = Gauge(
    "event_deliveries_in_flight", "Requests to webhook endpoints that wait for an answer.", multiprocess_mode="livesum"
)
event_delivery_lag_seconds = Histogram(
    "event_delivery_lag_seconds",
    "Time from the writing of an event to the answer of an endpoint that took it at its first attempt.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)
clock_skew_seconds = Gauge(
    "checkout_clock_skew_seconds",
    "By how much a process's clock is ahead of the database's, by process: web, worker, housekeeping, sender, beat.",
    ["process"],
    multiprocess_mode="mostrecent",
)
beat_last_message_timestamp_seconds = Gauge(
    "beat_last_message_timestamp_seconds",
    "When a worker last began a task that beat had sent, in seconds since 1970 by its own clock; 0 before the first.",
    multiprocess_mode="max",
)
database_pool_connections = Gauge(
    "database_pool_connections",
    "Connections of the web processes' pools, looked at once a second: in use, and how many there may be (limit).",
    ["state"],
    multiprocess_mode="livesum",
)
breakers_open = Gauge(
    "breakers_open",
    "Web processes that fail at once instead of asking a server, since their last call to it failed, by server: "
    "database, commits (no standby confirms them), broker, cache.",
    ["server"],
    multiprocess_mode="livesum",
)
background_thread_errors_total = Counter(
    "background_thread_errors_total",
    "Rounds of background threads that raised, by thread; each has a log line.",
    ["thread"],
)
background_thread_start_failures_total = Counter(
    "background_thread_start_failures_total",
    "Starts of background threads that the system refused, by thread; each is tried again.",
    ["thread"],
)

for _result in ("done", "partial", "refused", "failed"):
    catalog_syncs_total.labels(_result)
for _change in ("new", "changed", "made_inactive"):
    catalog_listings_total.labels(_change)
for _outcome in ("changed", "unchanged", "ended", "refused"):
    long_polls_total.labels(_outcome)
for _outcome in ("opened", "replayed"):
    # An alarm needs a series that starts at 0; one that appears with its first event is seen too late.
    sessions_total.labels(_outcome)
for _problem in ("too-many-at-once", "too-many-open-sessions", "too-many-held-pieces", "rate-limited"):
    callers_refused_total.labels(_problem)
for _reason in (
    *("malformed-body", "too-large", "encoded-body", "not-found", "request-timeout"),
    *("webhook-backlog-full", "database-unavailable", "too-many-bodies", "too-many-waiting", "internal-error"),
):
    webhook_refused_total.labels(_reason)
for _outcome in ("taken", "replayed"):
    refund_requests_total.labels(_outcome)
    capture_requests_total.labels(_outcome)
    void_requests_total.labels(_outcome)
    fulfilment_requests_total.labels(_outcome)
    order_cancellation_requests_total.labels(_outcome)
for _outcome in ("delivered", "failed"):
    event_deliveries_total.labels(_outcome)
for _result in ("succeeded", "3xx", "4xx", "5xx", "timeout", "refused_address", "unknown_host", "tls", "connection"):
    event_attempts_total.labels(_result)
for _class in RejectedClass:
    webhook_deliveries_dropped_total.labels(_class.name.lower())


def begin_series(
    providers: Iterable[str],
    *,
    payment_statuses: Iterable[str],
    refund_statuses: Iterable[str],
    delivery_states: Iterable[str],
    ignored_reasons: Iterable[str],
) -> None:
    """Have the series of these providers start at 0. A worker calls it, since workers count them."""
    statuses, of_refunds, states = list(payment_statuses), list(refund_statuses), list(delivery_states)
    reasons = list(ignored_reasons)
    for provider in providers:
        for status in statuses:
            payments_total.labels(provider, status)
        for status in of_refunds:
            refunds_total.labels(provider, status)
        for state in states:
            webhook_deliveries_total.labels(provider, state)
        for reason in reasons:
            webhooks_ignored_total.labels(provider, reason)


def count_request(method: str, route: str, status: int, seconds: float | None) -> None:
    """Count one answer, and how long it took unless that is None.

    Clients can invent methods, so all that HTTP does not know share one label.
    """
    count_requests(method, route, status, 1, () if seconds is None else (seconds,))


def count_requests(method: str, route: str, status: int, answers: int, seconds: Sequence[float]) -> None:
    """The same of so many answers to requests of one kind, with how long those took whose time counts."""
    _answers(method if method in _METHODS else "other", route, status).inc(answers)
    if len(seconds) == 1:
        _durations(route).observe(seconds[0])
    elif seconds:
        _observe(_durations(route), seconds)


def count_secret(provider: str, place: int, webhooks: int) -> None:
    """Count webhooks that were signed with this live secret; ``place`` counts the secrets from 0."""
    _secret_matches(provider, place).inc(webhooks)


def count_lags(seconds: Sequence[float]) -> None:
    """Count the seconds from arrival to the commit of their events, for many webhooks at once."""
    _observe(webhook_delivery_lag_seconds, seconds)


def count_event_attempts(results: Mapping[str, int], *, failed: int) -> None:
    """Count attempts by result, and how many event deliveries were given up."""
    for result, count in results.items():
        event_attempts_total.labels(result).inc(count)
    event_deliveries_total.labels("delivered").inc(results.get("succeeded", 0))
    event_deliveries_total.labels("failed").inc(failed)


def count_event_lags(seconds: Sequence[float]) -> None:
    """Count the seconds from events to their deliveries, for many at once."""
    _observe(event_delivery_lag_seconds, seconds)


def _observe(histogram: Histogram, seconds: Sequence[float]) -> None:
    """It costs a tenth of an ``observe`` for each."""
    bounds = histogram._upper_bounds
    for place, count in collections.Counter(bisect_left(bounds, lag) for lag in seconds).items():
        histogram._buckets[place].inc(count)
    histogram._sum.inc(sum(max(lag, 0.0) for lag in seconds))


def count_in(folder: str) -> None:
    """Count in another folder from now on, which the environment names by now: for a process that was just forked."""
    global FOLDER  # noqa: PLW0603 (the series are one for the process)
    FOLDER = folder


def forget_process(pid: int) -> None:
    """Count nothing any more of what a process that has ended was doing at that moment."""
    if FOLDER is not None:
        mark_process_dead(pid, FOLDER)  # type: ignore[no-untyped-call]  # prometheus-client is partly untyped


def expose(*at_scrape: Collector) -> bytes:
    """The text of all series of all processes that count together, and of what is read at this moment."""
    for _ in range(_TRIES - 1):
        # A process that begins to count at this moment has made its file, and written nothing into it yet.
        with suppress(struct.error):
            return _text(at_scrape)
    return _text(at_scrape)


def _text(at_scrape: Iterable[Collector]) -> bytes:
    registry = CollectorRegistry()
    if FOLDER is not None:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus-client is partly untyped
    else:
        registry.register(REGISTRY)
    for collector in at_scrape:
        registry.register(collector)
    return generate_latest(registry)


# Finding a series by its labels takes a lock and builds a key, so the few that exist are kept in a cache.
@lru_cache(maxsize=1024)
def _answers(method: str, route: str, status: int) -> Counter:
    return requests_total.labels(method, route, str(status))


@lru_cache(maxsize=256)
def _durations(route: str) -> Histogram:
    return request_seconds.labels(route)


@lru_cache(maxsize=64)
def _secret_matches(provider: str, place: int) -> Counter:
    return secret_matches_total.labels(provider, str(place + 1))
