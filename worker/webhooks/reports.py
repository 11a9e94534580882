"""The events that were read in webhooks, as the transitions take them."""

from __future__ import annotations

from collections.abc import Sequence

from worker.transitions.outcomes import ReceivedEvent
from worker.webhooks.reading import Reading
from worker.webhooks.spans import Spans


def of_webhooks(readings: Sequence[Reading], spans: Spans) -> list[ReceivedEvent]:
    """All events in the webhooks' order; of each webhook those about payments before those about refunds."""
    received = []
    for reading in readings:
        at, id_ = reading.webhook.raw.received_at, reading.webhook.id
        context = span.context if spans and (span := spans.get(id_)) else None
        received += [ReceivedEvent(event, at, id_, context) for event in reading.events]
        if reading.refunds:
            received += [ReceivedEvent(refund, at, id_, context) for refund in reading.refunds]
    return received
