"""Webhooks by their bytes: the cache says that they may have come before, the database whether they did.

The cache outlives what a database loses: a failover or a restore may undo the commit by which a webhook was applied,
and its bytes are known all the same. So what is kept under them is the id of a delivery that the same commit settled.
In the transaction that settles the next one as a duplicate, that row is looked at by its key. Where it is not there,
or not settled, the webhook is read like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from checkout_service.cache import cache
from checkout_service.database.statements import Statement
from checkout_service.delivery_states import DeliveryState, listed
from checkout_service.providers.raw_webhook import RawWebhook
from worker.delivered import note_delivered
from worker.webhooks.claims import Result
from worker.webhooks.reading import Reading

REMEMBER_FOR: Final = 600
"""Seconds for which the same bytes are known again."""

REMEMBERED: Final = (DeliveryState.APPLIED, DeliveryState.DUPLICATE)
"""The states of webhooks that are remembered: their events are entered."""

_settled: Final = Statement(f"""
    SELECT id FROM webhook_deliveries WHERE id = ANY(CAST(:ids AS uuid[])) AND state IN ({listed(REMEMBERED)})
""")  # noqa: S608 (only our own constants)


def name_of(raw_webhook: RawWebhook) -> str:
    """The name of a webhook's bytes in the cache."""
    return f"webhook:{raw_webhook.provider}:{hashlib.sha256(raw_webhook.body).hexdigest()}"


def recall(names: Sequence[str]) -> dict[str, UUID]:
    """Of the names that are known, a delivery that was settled by the commit which they are known from."""
    found = {}
    for name, value in cache().values(names).items():
        # Another release kept something else there: then it is not known.
        with suppress(ValueError):
            found[name] = UUID(bytes=value)
    return found


def remember(names: Sequence[str], settled: UUID) -> None:
    """Know these again, in a moment; ``settled`` is a delivery that the same commit has settled."""
    cache().put_later(names, settled.bytes, seconds=REMEMBER_FOR)


def still_settled(connection: Connection, deliveries: Sequence[UUID]) -> set[UUID]:
    """Which of these the database has, as settled, in this transaction."""
    return {row.id for row in _settled.within(connection, {"ids": list(set(deliveries))})}


def remember_settled(readings: Sequence[Reading], written: Sequence[Result]) -> None:
    """Know the bytes of what was written again. Call it after the commit; a mismatch is to be judged again."""
    here = {result.webhook.id for result in written}
    settled = {result.webhook.id for result in written if result.state in REMEMBERED and not result.mismatch}
    known = [
        reading
        for reading in readings
        if reading.webhook.id in settled and reading.memory and (reading.events or reading.refunds)
    ]
    if known:
        remember([reading.memory for reading in known], known[0].webhook.id)
    note_delivered(
        (thin_event.provider, thin_event.event_id)
        for reading in readings
        if reading.delivered and reading.webhook.id in here
        for thin_event in reading.delivered
    )
