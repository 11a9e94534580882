"""How the house is doing, in numbers: the last hour's webhooks, what is pending, payments of the last day, flags.

Every statement looks at a bounded number of rows along an index. What was read serves all operators for a few seconds,
out of the cache where that is there.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sqlalchemy import text

from checkout_service.cache import cache
from checkout_service.database.engine import execute
from checkout_service.delivery_states import PENDING, DeliveryState, listed
from checkout_service.payments.status import PaymentStatus

FRESH_FOR: Final = 5
"""Seconds for which one reading serves everybody."""

MINUTES: Final = 60
SAMPLE: Final = 30_000
"""Webhooks that are looked at: the newest of the last hour."""

MOST: Final = 10_000
"""Rows of each kind that are counted; what is more is said to be more."""

_NAME: Final = "console:figures"

_NEWEST: Final = f"""
    WITH newest AS MATERIALIZED (
        SELECT received_at, processed_at, state FROM webhook_deliveries
        WHERE id >= (SELECT uuidv7(interval '-{MINUTES} minutes'))
        ORDER BY id DESC LIMIT {SAMPLE}
    )
"""  # noqa: S608 (only our own constants)

_groups = text(f"""{_NEWEST}
    SELECT floor(extract(epoch FROM received_at) / 60)::bigint AS came,
        floor(extract(epoch FROM processed_at) / 60)::bigint AS ended, state, count(*) AS number,
        extract(epoch FROM min(received_at))::float8 AS oldest
    FROM newest GROUP BY 1, 2, 3
""")  # noqa: S608 (only our own constants)

_lags = text(f"""{_NEWEST}
    SELECT floor(extract(epoch FROM processed_at) / 60)::bigint AS ended, count(*) AS number,
        percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
            ORDER BY extract(epoch FROM processed_at - received_at)::float8) AS lags
    FROM newest WHERE processed_at IS NOT NULL GROUP BY 1 ORDER BY 1
""")  # noqa: S608 (only our own constants)

_totals = text(f"""
    SELECT
        (SELECT count(*) FROM (SELECT FROM webhook_deliveries
            WHERE state IN ({listed(PENDING)}) LIMIT {MOST}) AS a) AS pending,
        (SELECT count(*) FROM (SELECT FROM webhook_deliveries
            WHERE state = '{DeliveryState.PARKED}' LIMIT {MOST}) AS a) AS parked,
        (SELECT count(*) FROM (SELECT FROM webhook_deliveries
            WHERE state = '{DeliveryState.FAILED}' LIMIT {MOST}) AS a) AS failed,
        (SELECT count(*) FROM (SELECT FROM webhook_deliveries
            WHERE state = '{DeliveryState.REJECTED}' LIMIT {MOST}) AS a) AS rejected,
        (SELECT extract(epoch FROM min(received_at))::float8 FROM (
            SELECT received_at FROM webhook_deliveries
            WHERE state IN ({listed(PENDING)}) AND (state = '{DeliveryState.RECEIVED}' OR next_attempt_at <= now())
                AND replay_of IS NULL
            ORDER BY next_attempt_at LIMIT {MOST}) AS due) AS oldest_pending,
        extract(epoch FROM now())::float8 AS now
""")  # noqa: S608 (only our own constants)

_payments = text(f"""
    SELECT street.status::text AS status, (
        SELECT count(*) FROM (SELECT FROM payments
            WHERE payments.status = street.status AND created_at > now() - interval '1 day'
            ORDER BY created_at DESC LIMIT {MOST}) AS a
        ) AS number
    FROM unnest(enum_range(NULL::payment_status)) AS street (status)
""")  # noqa: S608 (only our own constants)

_flags = text(f"""
    SELECT reason, count(*) AS number FROM (
        SELECT review_reason FROM payments WHERE review_reason IS NOT NULL LIMIT {MOST}) AS flagged
    CROSS JOIN unnest(string_to_array(review_reason, ', ')) AS reason
    GROUP BY 1 ORDER BY 2 DESC, 1
""")  # noqa: S608 (only our own constants)


def figures() -> dict[str, Any]:
    """The numbers as plain values, at most some seconds old. Raises DatabaseUnavailableError."""
    kept = cache().get(_NAME)
    if kept is not None:
        found: dict[str, Any] = orjson.loads(kept)
        return found
    read = _read()
    cache().put(_NAME, orjson.dumps(read), seconds=FRESH_FOR)
    return read


def _read() -> dict[str, Any]:
    groups = execute(_groups)
    totals = execute(_totals)[0]
    now = float(totals.now)
    last = int(now // 60)
    sampled = sum(row.number for row in groups)
    whole = sampled < SAMPLE
    # Of an hour that holds more webhooks than are looked at, the minutes that were looked at whole.
    first = last - MINUTES + 1 if whole else min((row.came for row in groups), default=last) + 1
    minutes = list(range(min(first, last), last + 1))
    lags = {row.ended: row.lags for row in execute(_lags)}
    counts: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in groups:
        counts[row.came][row.state] += row.number
    return {
        "taken_at": datetime.fromtimestamp(now, UTC).isoformat(),
        "whole": whole,
        "sampled": sampled,
        "minutes": minutes,
        "counts": [dict(counts.get(minute, {})) for minute in minutes],
        "lags": [lags.get(minute) for minute in minutes],
        "ages": [_age(groups, minute, now, totals.oldest_pending) for minute in minutes],
        "pending": totals.pending,
        "parked": totals.parked,
        "failed": totals.failed,
        "rejected": totals.rejected,
        "oldest_pending": max(now - totals.oldest_pending, 0.0) if totals.oldest_pending is not None else None,
        "payments": {row.status: row.number for row in execute(_payments)} or dict.fromkeys(_STREET, 0),
        "flags": [[row.reason, row.number] for row in execute(_flags)],
    }


_STREET: Final = tuple(status.value for status in PaymentStatus)


def _age(groups: Any, minute: int, now: float, oldest_pending: float | None) -> float:
    """How old the oldest webhook was that was pending when the minute ended; parked ones wait for their payment."""
    end = min((minute + 1) * 60.0, now)
    pending = [
        row.oldest
        for row in groups
        if row.came <= minute and (row.ended is None or row.ended > minute) and row.state != DeliveryState.PARKED
    ]
    # What is pending still was pending all the time since it came, however long ago that is.
    if oldest_pending is not None and oldest_pending <= end:
        pending.append(oldest_pending)
    return max((end - oldest for oldest in pending), default=0.0)
