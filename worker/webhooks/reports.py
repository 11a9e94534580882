"""The events that were read in webhooks, as the transitions take them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent
from worker.transitions.outcomes import ReceivedEvent
from worker.webhooks.parsing import Reading


def of_webhooks(readings: Sequence[Reading]) -> list[ReceivedEvent]:
    """All events in the webhooks' order; of each webhook those about payments before those about refunds."""
    received = []
    for reading in readings:
        webhook, events = reading.webhook, chain[ProviderEvent | ProviderRefundEvent](reading.events, reading.refunds)
        received += [ReceivedEvent(event, webhook.raw.received_at, webhook.id) for event in events]
    return received
