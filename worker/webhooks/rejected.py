"""Keeps rejected webhooks for a while, within bounds: a secret set wrongly is mended by processing them again.

Anybody can send unverified webhooks, so their rows and bytes are bounded; when full, the newest is dropped.
A replayed one keeps its place: somebody cares about it, and the newest of the others makes room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from checkout_service.delivery_states import DeliveryState
from worker.context import settings
from worker.webhooks.claims import Result, settle
from worker.webhooks.replays import count_results
from worker.webhooks.statements import STILL_RECEIVED

# Held to the end of the transaction, so that two workers do not fill the last place twice.
_lock = text("SELECT pg_advisory_xact_lock(hashtextextended('checkout rejected webhooks', 0))")

_kept = text(f"""
    SELECT count(*) AS rows, coalesce(sum(octet_length(body)), 0)::bigint AS bytes
    FROM webhook_deliveries WHERE state = '{DeliveryState.REJECTED}'
""")  # noqa: S608 (only our own constants)

_drop = text(f"""
    DELETE FROM webhook_deliveries AS webhook
    USING unnest(CAST(:ids AS uuid[]), CAST(:leases AS timestamptz[])) AS dropped (id, lease)
    WHERE webhook.id = dropped.id AND {STILL_RECEIVED}
        AND webhook.next_attempt_at = dropped.lease
""")  # noqa: S608 (only our own constants)

# A webhook that is processed again leaves its place, and an unverified webhook may have taken it meanwhile.
_make_room = text(f"""
    WITH kept AS (
        SELECT id, row_number() OVER newest AS place, sum(octet_length(body)) OVER newest - octet_length(body) AS before
        FROM webhook_deliveries WHERE state = '{DeliveryState.REJECTED}' AND id <> ALL(CAST(:spared AS uuid[]))
        WINDOW newest AS (ORDER BY received_at DESC, id DESC)
    )
    DELETE FROM webhook_deliveries WHERE state = '{DeliveryState.REJECTED}' AND id = ANY(ARRAY(
        SELECT id FROM kept WHERE place <= :rows OR before < :bytes
    ))
""")  # noqa: S608 (only our own constants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """The results that were written, and how many webhooks were removed, whether they came now or were kept before."""

    written: list[Result]
    dropped: int


def reject(connection: Connection, results: Sequence[Result]) -> Rejection:
    """Settle rejected webhooks, oldest first, until the bounds are reached; drop the rest.

    Replayed ones are settled first; where that is too much, others that were kept before are dropped. The caller
    counts what was dropped, once it is committed.
    """
    connection.execute(_lock)
    bounds = settings()
    rows, size = connection.execute(_kept).one()
    kept: list[Result] = []
    refused: list[Result] = []
    for result in sorted(results, key=lambda result: (not result.webhook.is_replay, result.webhook.raw.received_at)):
        own = result.webhook.size
        fits = rows < bounds.rejected_max_rows and size + own <= bounds.rejected_max_bytes
        if fits or result.webhook.is_replay:
            kept.append(result)
            rows, size = rows + 1, size + own
        else:
            refused.append(result)
    dropped = 0
    if refused:
        leases = [result.webhook.lease for result in refused]
        gone = connection.execute(_drop, {"ids": [result.webhook.id for result in refused], "leases": leases})
        dropped += gone.rowcount
    written = settle(connection, kept) if kept else []
    excess = {"rows": max(0, rows - bounds.rejected_max_rows), "bytes": max(0, size - bounds.rejected_max_bytes)}
    if any(excess.values()):
        spared = [result.webhook.id for result in kept if result.webhook.is_replay]
        dropped += connection.execute(_make_room, {**excess, "spared": spared}).rowcount
    count_results(connection, written)
    return Rejection(written=written, dropped=dropped)
