"""Makes reports for the two ledgers of what was read in letters, or answered by a provider."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from checkout_service.providers.base import Fact, RefundFact
from worker.ledger import Report
from worker.reading import Reading
from worker.refund_entry import RefundReport


def of_letters(readings: Sequence[Reading]) -> tuple[list[Report], list[RefundReport]]:
    """What letters say of payments and of refunds, in the letters' order."""
    origins = [(reading, reading.letter.envelope.received_at, reading.letter.id) for reading in readings]
    return (
        [Report(fact=fact, received_at=at, delivery_id=id_) for reading, at, id_ in origins for fact in reading.facts],
        [
            RefundReport(fact=fact, received_at=at, delivery_id=id_)
            for reading, at, id_ in origins
            for fact in reading.refunds
        ],
    )


def of_answer(said: Sequence[Fact | RefundFact]) -> tuple[list[Report], list[RefundReport]]:
    """What a provider has just answered of payments and of refunds."""
    now = datetime.now(UTC)
    return (
        [Report(fact=fact, received_at=now) for fact in said if isinstance(fact, Fact)],
        [RefundReport(fact=fact, received_at=now) for fact in said if isinstance(fact, RefundFact)],
    )
