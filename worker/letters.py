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
from sqlalchemy import Connection, text

from checkout_service.database import execute
from checkout_service.statements import Statement
from checkout_service.webhooks.envelope import Envelope
from worker.context import settings

LEASE: Final = timedelta(seconds=30)
"""Longer than the task's hard time limit (20 s), so that no letter is claimed while its worker may still be alive."""

PARKED_FOR: Final = timedelta(hours=72)
SET: Final = 500
"""Letters a claim takes at most: enough to make the fixed cost of a transaction small, few enough for a lease."""

LARGE: Final = 16 * 1024
"""Bytes above which a body is fetched when its turn comes, so that a set of large letters does not fill the memory."""

# What was never tried is due within seconds; to look further would lead through all that is parked. A row is locked, so
# it stays where it is, and by its place it is found again for less than by its key. Nobody waits until a first claim is
# on disk: should PostgreSQL crash before, it never was, and nothing that came of it was written either.
CLAIM: Final = Statement(
    f"""
    WITH own AS (
        SELECT ctid AS place, attempts > 0 OR state <> 'received' AS tried FROM webhook_deliveries
        WHERE id = :id AND (
            state = 'received' AND attempts = 0
            OR state IN ('received', 'parked') AND next_attempt_at <= now()
            OR state IN ('failed', 'rejected')
            OR state = 'applied' AND detail LIKE 'mismatch%'
        )
        FOR NO KEY UPDATE SKIP LOCKED
    ), others AS (
        SELECT ctid AS place FROM webhook_deliveries
        WHERE state = 'received' AND attempts = 0 AND next_attempt_at < now() + interval '1 minute'
            AND id IS DISTINCT FROM :id
            AND NOT EXISTS (SELECT FROM own WHERE tried)
        ORDER BY next_attempt_at LIMIT {SET}
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE webhook_deliveries AS letter
    SET state = 'received', attempts = letter.attempts + 1, next_attempt_at = now() + :lease, updated_at = now()
    FROM (SELECT place FROM own UNION ALL SELECT place FROM others) AS claimed
    WHERE letter.ctid = claimed.place AND (
        SELECT set_config('synchronous_commit', 'off', true) WHERE NOT EXISTS (SELECT FROM own WHERE tried)
    ) IS DISTINCT FROM ''
    RETURNING letter.id, letter.provider, letter.headers::text AS headers, letter.received_at, letter.attempts,
        letter.next_attempt_at, old.state AS state_before,
        octet_length(letter.body) AS size, CASE WHEN octet_length(letter.body) <= {LARGE} THEN letter.body END AS body
    """,  # noqa: S608 (only our own constants)
    binary=True,
)

_bodies = text("SELECT id, body FROM webhook_deliveries WHERE id = ANY(CAST(:ids AS uuid[]))")

# As if they had never been claimed, and due before what came since.
_release = Statement("""
    UPDATE webhook_deliveries SET attempts = 0, next_attempt_at = now(), updated_at = now()
    WHERE id = ANY(ARRAY(
        SELECT letter.id
        FROM unnest(CAST(:ids AS uuid[]), CAST(:leases AS timestamptz[])) AS released (id, lease)
        JOIN webhook_deliveries AS letter ON letter.id = released.id
        WHERE letter.state = 'received' AND letter.attempts = 1 AND letter.next_attempt_at = released.lease
        ORDER BY letter.id FOR NO KEY UPDATE OF letter
    ))
""")

# Locked by id before they are updated, as every writer of several letters does: a zombie may hold some of them. The
# results are joined once and carried along: a second join of 500 rows that the planner takes for ten is a slow one.
SETTLE: Final = Statement(
    """
    WITH result AS (
        SELECT letter.ctid AS place, result.number, result.state, result.provider_ref, result.detail, result.delay,
            result.returned
        FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS integer[]), CAST(:leases AS timestamptz[]),
            CAST(:states AS text[]), CAST(:references AS text[]), CAST(:details AS text[]),
            CAST(:delays AS double precision[]), CAST(:returned AS integer[])) WITH ORDINALITY
            AS result (id, attempts, lease, state, provider_ref, detail, delay, returned, number)
        JOIN webhook_deliveries AS letter ON letter.id = result.id
        WHERE letter.state = 'received' AND letter.attempts = result.attempts
            AND letter.next_attempt_at = result.lease
        ORDER BY letter.id FOR NO KEY UPDATE OF letter
    )
    UPDATE webhook_deliveries AS letter
    SET state = result.state,
        attempts = greatest(letter.attempts - result.returned, CASE WHEN result.state = 'parked' THEN 0 ELSE 1 END),
        next_attempt_at = CASE result.state
            WHEN 'received' THEN now() + make_interval(secs => result.delay)
            WHEN 'parked' THEN letter.received_at + CAST(:parked_for AS interval) END,
        provider_ref = coalesce(result.provider_ref, letter.provider_ref),
        detail = result.detail,
        processed_at = CASE WHEN result.state NOT IN ('received', 'parked') THEN now() END,
        updated_at = now()
    FROM result
    WHERE letter.ctid = result.place
    RETURNING result.number
    """,
    binary=True,
)


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
    bodies = {row.id: row.body for row in execute(_bodies, {"ids": large})}
    return [
        replace(letter, envelope=replace(letter.envelope, body=bodies[letter.id])) if letter.large else letter
        for letter in letters
        if not letter.large or letter.id in bodies
    ]


def release(letters: Sequence[Letter]) -> None:
    """Give letters back that were never tried and still are not: the next task takes them."""
    execute(_release, {"ids": [letter.id for letter in letters], "leases": [letter.lease for letter in letters]})


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
    return [results[row.number - 1] for row in rows]
