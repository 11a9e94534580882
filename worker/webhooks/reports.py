"""Makes reports of what was read in letters, for the transitions."""

from __future__ import annotations

from collections.abc import Sequence

from worker.transitions.payments import Report
from worker.transitions.rules import RefundReport
from worker.webhooks.parsing import Reading


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
