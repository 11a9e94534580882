"""Counts the results of webhooks: metrics for each, one log line for a set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from checkout_service.delivery_states import DeliveryState, RejectedClass
from checkout_service.telemetry.metrics import (
    count_lags,
    webhook_deliveries_dropped_total,
    webhook_deliveries_total,
    webhooks_ignored_total,
)
from worker.webhooks.claims import Result

log = structlog.get_logger(__name__)


def counted(results: list[Result]) -> list[Result]:
    """The same results, counted. A webhook that was settled by itself is named, with the request that brought it.

    A rejected one that is tried again by itself counts as received: a wrong secret is an alarm, a provider away is not.
    """
    now = datetime.now(UTC)
    # By the members' own values, since a set has hundreds of results and a few states.
    states = Counter([one.state.value for one in results])
    for (provider, state), count in Counter([(one.webhook.raw.provider, _counted_as(one)) for one in results]).items():
        webhook_deliveries_total.labels(provider, state).inc(count)
    ignored = Counter([(one.webhook.raw.provider, one.ignored.value) for one in results if one.ignored is not None])
    for (provider, reason), count in ignored.items():
        webhooks_ignored_total.labels(provider, reason).inc(count)
    applied = [one.webhook.raw.received_at for one in results if one.state is DeliveryState.APPLIED]
    count_lags([(now - received_at).total_seconds() for received_at in applied])
    named = {}
    if len(results) == 1:
        webhook = results[0].webhook
        named = {"delivery_id": str(webhook.id), "filed_by_request": webhook.raw.headers.get("x-request-id", "")}
    if results:
        log.info("webhooks_settled", **states, **named)
    return results


def count_dropped(dropped: Mapping[RejectedClass, int]) -> None:
    """Count rejected webhooks that were not kept, once that is committed."""
    for rejected_class, count in dropped.items():
        webhook_deliveries_dropped_total.labels(rejected_class.name.lower()).inc(count)


def _counted_as(result: Result) -> str:
    is_tried_again = result.state is DeliveryState.REJECTED and result.delay
    return (DeliveryState.RECEIVED if is_tried_again else result.state).value
