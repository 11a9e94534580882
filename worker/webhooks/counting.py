"""Tells what became of letters: metrics for each, one log line for a set."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import structlog

from checkout_service.telemetry.metrics import count_lags, letters_total
from worker.webhooks.claims import Result

log = structlog.get_logger(__name__)


def counted(results: list[Result]) -> list[Result]:
    """The same results, counted. A letter that was settled by itself is named, with the request that brought it."""
    now = datetime.now(UTC)
    for (provider, state), count in Counter((one.letter.envelope.provider, one.state) for one in results).items():
        letters_total.labels(provider, state).inc(count)
    count_lags([(now - one.letter.envelope.received_at).total_seconds() for one in results if one.state == "applied"])
    named = {}
    if len(results) == 1:
        letter = results[0].letter
        named = {"delivery_id": str(letter.id), "filed_by_request": letter.envelope.headers.get("x-request-id", "")}
    if results:
        log.info("letters_settled", **Counter(result.state for result in results), **named)
    return results
