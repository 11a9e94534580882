"""Keeps rejected webhooks for a while, within bounds: a secret set wrongly is mended by processing them again.

Anybody can send unverified webhooks, so their rows and bytes are bounded; when full, the newest is dropped and counted.
What an operator had processed again keeps its place: somebody cares about it, and the newest of the others makes room.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from checkout_service.telemetry.metrics import webhook_deliveries_dropped_total
from worker.context import settings
from worker.webhooks.claims import Result, settle

# Held to the end of the transaction, so that two workers do not fill the last place twice.
_lock = text("SELECT pg_advisory_xact_lock(hashtextextended('checkout rejected webhooks', 0))")

_kept = text("""
    SELECT count(*) AS rows, coalesce(sum(octet_length(body)), 0)::bigint AS bytes
    FROM webhook_deliveries WHERE state = 'rejected'
""")

_drop = text("""
    DELETE FROM webhook_deliveries AS webhook
    USING unnest(CAST(:ids AS uuid[]), CAST(:leases AS timestamptz[])) AS dropped (id, lease)
    WHERE webhook.id = dropped.id AND webhook.state = 'received' AND webhook.next_attempt_at = dropped.lease
""")

# A webhook that is processed again leaves its place, and an unverified webhook may have taken it meanwhile.
_make_room = text("""
    WITH kept AS (
        SELECT id, row_number() OVER newest AS place, sum(octet_length(body)) OVER newest - octet_length(body) AS before
        FROM webhook_deliveries WHERE state = 'rejected' AND id <> ALL(CAST(:spared AS uuid[]))
        WINDOW newest AS (ORDER BY received_at DESC, id DESC)
    )
    DELETE FROM webhook_deliveries WHERE state = 'rejected' AND id = ANY(ARRAY(
        SELECT id FROM kept WHERE place <= :rows OR before < :bytes
    ))
""")


def reject(connection: Connection, results: Sequence[Result]) -> list[Result]:
    """Settle rejected webhooks, oldest first, until the bounds are reached, and return them; drop the rest.

    An operator's are settled first; where that is too much, others that were kept before are dropped.
    """
    connection.execute(_lock)
    bounds = settings()
    rows, size = connection.execute(_kept).one()
    kept: list[Result] = []
    dropped: list[Result] = []
    for result in sorted(results, key=lambda result: (not result.webhook.by_hand, result.webhook.raw.received_at)):
        own = result.webhook.size
        fits = rows < bounds.rejected_max_rows and size + own <= bounds.rejected_max_bytes
        if fits or result.webhook.by_hand:
            kept.append(result)
            rows, size = rows + 1, size + own
        else:
            dropped.append(result)
    if dropped:
        leases = [result.webhook.lease for result in dropped]
        gone = connection.execute(_drop, {"ids": [result.webhook.id for result in dropped], "leases": leases})
        webhook_deliveries_dropped_total.inc(gone.rowcount)
    written = settle(connection, kept) if kept else []
    excess = {"rows": max(0, rows - bounds.rejected_max_rows), "bytes": max(0, size - bounds.rejected_max_bytes)}
    if any(excess.values()):
        spared = [result.webhook.id for result in kept if result.webhook.by_hand]
        webhook_deliveries_dropped_total.inc(connection.execute(_make_room, {**excess, "spared": spared}).rowcount)
    return written
