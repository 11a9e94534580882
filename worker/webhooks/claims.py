"""Claims letters and writes what became of them.

A claim is a lease: it counts an attempt and sets ``next_attempt_at`` to its end. A result is written only where both
still are as the claim left them, so a worker that slept through its lease writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import Connection

from checkout_service.database.engine import execute
from checkout_service.providers.raw_webhook import Envelope
from worker.context import settings
from worker.webhooks.statements import BODIES, CLAIM, LARGE, RELEASE, SETTLE

LEASE: Final = timedelta(seconds=30)
"""Longer than the task's hard time limit (20 s), so that no letter is claimed while its worker may still be alive."""

PARKED_FOR: Final = timedelta(hours=72)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A letter under lease. ``lease`` is the database's time at which the claim ends; it also tells claims apart."""

    id: UUID
    envelope: Envelope
    size: int
    attempts: int
    lease: datetime
    state_before: str

    @property
    def large(self) -> bool:
        """Whether its body stays in the database until its turn comes: see ``with_bodies``."""
        return self.size > LARGE

    @property
    def tried_before(self) -> bool:
        """Also if its attempt was given back, as a parked letter's is."""
        return self.attempts > 1 or self.state_before != "received"

    @property
    def used_up(self) -> bool:
        """Whether no attempt is left, the last one having died before it could write a result."""
        # Two at least: an attempt in a set never is the last.
        return self.attempts > max(settings().webhook_max_attempts, 2) and self.state_before == "received"

    @property
    def by_hand(self) -> bool:
        """Whether an operator had it processed again; such a run gets one attempt."""
        return self.state_before in {"failed", "rejected", "applied"}

    @property
    def age(self) -> timedelta:
        """How long ago it came, by the database's clock at the claim."""
        return self.lease - LEASE - self.envelope.received_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a letter. ``delay`` is until its next attempt; ``returned`` gives the attempt back."""

    letter: Letter
    state: str
    detail: str | None = None
    provider_ref: str | None = None
    delay: timedelta = timedelta(0)
    returned: bool = False


def claim(own: UUID | None) -> list[Letter]:
    """Lease this letter, and others that wait; only this one if it was tried before.

    The own one comes first, then the oldest. Empty when nothing waits.
    """
    rows = execute(CLAIM, {"id": own, "lease": LEASE})
    return [
        Letter(
            id=row.id,
            envelope=Envelope(
                provider=row.provider,
                headers=orjson.loads(row.headers),
                body=row.body or b"",
                received_at=row.received_at,
            ),
            size=row.size,
            attempts=row.attempts,
            lease=row.next_attempt_at,
            state_before=row.state_before,
        )
        for row in sorted(rows, key=lambda row: (row.id != own, row.received_at))
    ]


def with_bodies(letters: Sequence[Letter]) -> list[Letter]:
    """The same letters, each with its bytes; one that was dropped meanwhile is left out."""
    large = [letter.id for letter in letters if letter.large]
    if not large:
        return list(letters)
    bodies = {row.id: row.body for row in execute(BODIES, {"ids": large})}
    return [
        replace(letter, envelope=replace(letter.envelope, body=bodies[letter.id])) if letter.large else letter
        for letter in letters
        if not letter.large or letter.id in bodies
    ]


def release(letters: Sequence[Letter]) -> None:
    """Give letters back that were never tried and still are not: the next task takes them."""
    execute(RELEASE, {"ids": [letter.id for letter in letters], "leases": [letter.lease for letter in letters]})


def settle(connection: Connection, results: Sequence[Result]) -> list[Result]:
    """Write the results of letters that are still ours; returns those."""
    rows = SETTLE.within(
        connection,
        {
            "ids": [result.letter.id for result in results],
            "attempts": [result.letter.attempts for result in results],
            "leases": [result.letter.lease for result in results],
            "states": [result.state for result in results],
            "references": [result.provider_ref for result in results],
            "details": [result.detail for result in results],
            "delays": [result.delay.total_seconds() for result in results],
            "returned": [int(result.returned) for result in results],
            "parked_for": PARKED_FOR,
        },
    )
    return [results[number - 1] for (number,) in rows]
