"""Makes reports of what a provider has just answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from checkout_service.providers.base import Fact, RefundFact
from worker.transitions.payments import Report
from worker.transitions.rules import RefundReport


def of_answer(said: Sequence[Fact | RefundFact]) -> tuple[list[Report], list[RefundReport]]:
    """What a provider has just answered of payments and of refunds."""
    now = datetime.now(UTC)
    return (
        [Report(fact=fact, received_at=now) for fact in said if isinstance(fact, Fact)],
        [RefundReport(fact=fact, received_at=now) for fact in said if isinstance(fact, RefundFact)],
    )
