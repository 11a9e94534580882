"""Disputes as an operator reads them, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from checkout_service.api.responses import show_time
from checkout_service.disputes.queries import nearest_disputes
from checkout_service.money import show
from checkout_service.payments.status import DisputeStatus
from checkout_service.terminal import printable


def listed_disputes(statuses: Sequence[DisputeStatus], *, due_before: datetime | None, limit: int) -> Iterator[str]:
    """One line a dispute, the nearest deadline first. Raises DatabaseUnavailableError."""
    for dispute in nearest_disputes(statuses=statuses, due_before=due_before, limit=limit):
        due = show_time(dispute.evidence_due_at) if dispute.evidence_due_at else "no deadline known"
        amount = "all" if dispute.amount is None else show(dispute.amount, dispute.currency)
        yield (
            f"{due:27}  {dispute.stage.value:15}  {dispute.status.value:14}  {amount:>12} {dispute.currency}, "
            f"{show(dispute.amount_lost, dispute.currency)} taken  {dispute.provider:8}  "
            f"{printable(dispute.name) or '-'}  payment {dispute.payment_id}  {printable(dispute.reason or '-')}  "
            f"evidence: {dispute.evidence_at}"
        )
