"""Makes reports of what was read in webhooks, for the transitions."""

from __future__ import annotations

from collections.abc import Sequence

from worker.transitions.payments import Report
from worker.transitions.rules import RefundReport
from worker.webhooks.parsing import Reading


def of_webhooks(readings: Sequence[Reading]) -> tuple[list[Report], list[RefundReport]]:
    """What webhooks say of payments and of refunds, in the webhooks' order."""
    origins = [(reading, reading.webhook.raw.received_at, reading.webhook.id) for reading in readings]
    return (
        [
            Report(event=event, received_at=at, delivery_id=id_)
            for reading, at, id_ in origins
            for event in reading.events
        ],
        [
            RefundReport(event=event, received_at=at, delivery_id=id_)
            for reading, at, id_ in origins
            for event in reading.refunds
        ],
    )
