"""Makes reports of what a provider has just answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent
from worker.transitions.payments import Report
from worker.transitions.rules import RefundReport


def of_answer(said: Sequence[ProviderEvent | ProviderRefundEvent]) -> tuple[list[Report], list[RefundReport]]:
    """What a provider has just answered of payments and of refunds."""
    now = datetime.now(UTC)
    return (
        [Report(event=event, received_at=now) for event in said if isinstance(event, ProviderEvent)],
        [RefundReport(event=event, received_at=now) for event in said if isinstance(event, ProviderRefundEvent)],
    )
