"""Which endpoints a sender has: claimed under a lease by the database's clock, looked at again, and given back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.database.engine import execute, transaction
from checkout_service.database.statements import Statement
from checkout_service.endpoints.states import EndpointState
from worker.events.marks import MARK, MARK_STANDS, NO_MARK, Mark

LEASE: Final = timedelta(seconds=30)
"""Twice as long as an attempt: none is begun that may outlast the lease that it was begun under."""

# What is due: something that the endpoint is for was numbered, or something of its own is due. Of one that a sender did
# not give back nobody knows when that is. A sender that asks again, since the answer to its claim was lost, is given
# the same ones.
_DUE: Final = """
    state <> 'disabled' AND deleted_at IS NULL
    AND (leased_until IS NULL OR leased_until <= now() OR lease_token = CAST(:token AS uuid))
    AND (
        next_due_at <= now()
        OR lease_token IS NOT NULL AND leased_until <= now()
        OR state = 'enabled' AND failing_since <= now() - interval '1 hour'
        OR state = 'enabled' AND place < CASE WHEN types IS NULL
            THEN (SELECT max(last_seq) FROM event_series)
            ELSE (SELECT max(last_seq) FROM event_types WHERE event_types.type = ANY(webhook_endpoints.types)) END
    )
"""

_claim = Statement(f"""
    UPDATE webhook_endpoints AS endpoint
    SET lease_token = CAST(:token AS uuid), leased_until = now() + make_interval(secs => {LEASE.total_seconds()})
    WHERE id = ANY(ARRAY(
        SELECT id FROM webhook_endpoints WHERE {_DUE} AND id <> ALL(CAST(:held AS uuid[]))
        ORDER BY next_due_at NULLS LAST LIMIT CAST(:most AS integer) FOR NO KEY UPDATE SKIP LOCKED
    ))
    RETURNING id, url, payload, in_order, api_version, state::text, version, place, pace, failures, probes,
        extract(epoch FROM now() - last_success_at)::float8 AS taken_ago,
        extract(epoch FROM now() - failing_since)::float8 AS failing_for,
        extract(epoch FROM now() - state_since)::float8 AS state_for,
        extract(epoch FROM now() - old.leased_until)::float8 AS taken_over, {MARK_STANDS} AS goes_on, {MARK}
""")  # noqa: S608 (only our own constants)

# What a sender whose lease ran out had delivered above the place that it wrote last, but for its last tenth of a
# second. The number has to be that event's still: an older copy of the database gives it to another one.
_delivered = Statement("""
    SELECT attempt.endpoint_id, attempt.seq
    FROM unnest(CAST(:ids AS uuid[]), CAST(:places AS bigint[]), CAST(:seconds AS float8[]))
        AS given (id, place, seconds)
    JOIN event_attempts AS attempt ON attempt.endpoint_id = given.id AND attempt.succeeded
        AND attempt.id >= uuidv7(make_interval(secs => -given.seconds))
    JOIN event_numbers AS number ON number.seq = attempt.seq AND number.event_id = attempt.event_id
    WHERE attempt.seq > given.place AND attempt.replay_id IS NULL
""")

_due = Statement(f"SELECT EXISTS (SELECT FROM webhook_endpoints WHERE {_DUE})", named=False)  # noqa: S608 (as above)

_look = Statement("""
    SELECT endpoint.id, endpoint.version, endpoint.lease_token = CAST(:token AS uuid) AS held,
        ARRAY(SELECT id FROM endpoint_secrets AS secret
            WHERE secret.endpoint_id = endpoint.id AND (ends_at IS NULL OR ends_at > now()) ORDER BY id) AS secrets
    FROM unnest(CAST(:ids AS uuid[])) AS given (id) JOIN webhook_endpoints AS endpoint ON endpoint.id = given.id
""")

_secrets = Statement("""
    SELECT endpoint_id, id, scheme, ciphertext, extract(epoch FROM ends_at - now())::float8 AS ends_in
    FROM endpoint_secrets WHERE endpoint_id = ANY(CAST(:ids AS uuid[])) AND (ends_at IS NULL OR ends_at > now())
    ORDER BY endpoint_id, id
""")

# Before they are given back: who waits for a row sees what else was written with it only in the next statement.
_lock = Statement("SELECT id FROM webhook_endpoints WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR NO KEY UPDATE")

# When something is due is read, not remembered: staff may have asked for something meanwhile.
_release = Statement("""
    UPDATE webhook_endpoints AS endpoint SET lease_token = NULL, updated_at = now(),
        leased_until = CASE WHEN given.ahead THEN now() END,
        next_due_at = least(
            CASE WHEN endpoint.state = 'suspended'
                THEN coalesce(now() + make_interval(secs => given.pause), endpoint.next_due_at) END,
            (SELECT next_attempt_at FROM pending_deliveries
                WHERE endpoint_id = endpoint.id AND state = 'waiting' AND next_attempt_at IS NOT NULL
                    AND (endpoint.state = 'enabled' OR seq IS NULL)
                ORDER BY next_attempt_at LIMIT 1),
            (SELECT now() FROM event_replays AS replay
                WHERE replay.endpoint_id = endpoint.id AND replay.state IN ('waiting', 'running')
                    AND endpoint.state = 'enabled'
                    AND (replay.stop_requested_at IS NOT NULL
                        OR NOT EXISTS (SELECT FROM pending_deliveries AS pending
                            WHERE pending.endpoint_id = endpoint.id AND pending.replay_id = replay.id
                                AND pending.state = 'waiting'))
                LIMIT 1))
    FROM unnest(CAST(:ids AS uuid[]), CAST(:pauses AS float8[]), CAST(:ahead AS boolean[])) AS given (id, pause, ahead)
    WHERE endpoint.id = given.id AND endpoint.lease_token = CAST(:token AS uuid)
""")

BEFORE: Final = timedelta(minutes=5)
"""How far back what was delivered is looked for: an attempt that was begun earlier has long failed or been filed."""


class Secret(NamedTuple):
    """A live secret as it is stored; ``ends_in`` seconds, None: for ever."""

    id: UUID
    scheme: str
    ciphertext: bytes
    ends_in: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An endpoint as it was when it was claimed; times are monotonic, None where there was none.

    Until ``leased_until`` nobody else sends to it. ``delivered`` are the numbers above ``place`` that it has taken.
    """

    id: UUID
    url: str
    thin: bool
    in_order: bool
    api_version: str
    state: EndpointState
    version: int
    place: int
    pace: int | None
    failures: int
    probes: int
    taken_at: float | None
    failing_since: float | None
    state_since: float
    leased_until: float
    secrets: tuple[Secret, ...]
    delivered: frozenset[int]


@dataclass(frozen=True, slots=True)
class Claim:
    """What was claimed, and how far the log was at that moment: no place is beyond it.

    ``goes_on`` is false where this is another log than the one that the sender knew before.
    """

    endpoints: list[Claimed]
    mark: Mark
    goes_on: bool = True


class Look(NamedTuple):
    """What an endpoint is now: whether the lease is still the caller's, and which secrets are live."""

    version: int
    held: bool
    secrets: tuple[UUID, ...]


def claim(token: UUID, *, held: Sequence[UUID], most: int, mark: Mark = NO_MARK) -> Claim:
    """Lease up to so many endpoints where something is due and that nobody has; ``held`` are the caller's own.

    ``mark`` is how far the caller knows the log. Raises DatabaseUnavailableError.
    """
    before = monotonic()
    rows = execute(_claim, {"token": token, "held": list(held), "most": most, **mark.values()})
    if not rows:
        return Claim([], mark)
    now = Mark.of(rows[0][-3:])
    secrets = _secrets_of([row.id for row in rows])
    delivered = _delivered_by_others(rows)
    endpoints = [
        Claimed(
            id=row.id,
            url=row.url,
            thin=row.payload == "thin",
            in_order=row.in_order,
            api_version=row.api_version,
            state=EndpointState(row.state),
            version=row.version,
            # What somebody else wrote since is of a log that this statement did not see.
            place=min(row.place, now.seq),
            pace=row.pace,
            failures=row.failures,
            probes=row.probes,
            taken_at=None if row.taken_ago is None else before - row.taken_ago,
            failing_since=None if row.failing_for is None else before - row.failing_for,
            state_since=before - row.state_for,
            leased_until=before + LEASE.total_seconds(),
            secrets=tuple(secrets.get(row.id, ())),
            delivered=frozenset(delivered.get(row.id, ())),
        )
        for row in rows
    ]
    return Claim(endpoints, now, rows[0].goes_on)


def something_is_due() -> bool:
    """Whether a sender would find an endpoint to claim. Raises DatabaseUnavailableError."""
    return bool(execute(_due, {"token": None})[0][0])


def look(token: UUID, ids: Sequence[UUID]) -> dict[UUID, Look]:
    """What became of the caller's endpoints. Raises DatabaseUnavailableError."""
    rows = execute(_look, {"token": token, "ids": list(ids)})
    return {row.id: Look(row.version, bool(row.held), tuple(row.secrets)) for row in rows}


def release(token: UUID, pauses: dict[UUID, float | None], *, ahead: Collection[UUID]) -> None:
    """Give endpoints back, a suspended one with the seconds until its next probe.

    Of those that are ``ahead`` the next sender looks up what they took above their place. Raises
    DatabaseUnavailableError.
    """
    if pauses:
        is_ahead = [endpoint_id in ahead for endpoint_id in pauses]
        values = {"token": token, "ids": list(pauses), "pauses": list(pauses.values()), "ahead": is_ahead}
        with transaction() as connection:
            _lock.within(connection, {"ids": list(pauses)})
            _release.within(connection, values)


def _secrets_of(ids: Sequence[UUID]) -> dict[UUID, list[Secret]]:
    found: dict[UUID, list[Secret]] = {}
    for row in execute(_secrets, {"ids": list(ids)}):
        found.setdefault(row.endpoint_id, []).append(Secret(row.id, row.scheme, bytes(row.ciphertext), row.ends_in))
    return found


def _delivered_by_others(rows: Sequence[Any]) -> dict[UUID, set[int]]:
    """The numbers that were delivered by senders that did not give their endpoint back."""
    taken_over = [row for row in rows if row.taken_over is not None]
    found: dict[UUID, set[int]] = {}
    if taken_over:
        values = {
            "ids": [row.id for row in taken_over],
            "places": [row.place for row in taken_over],
            "seconds": [row.taken_over + (LEASE + BEFORE).total_seconds() for row in taken_over],
        }
        for row in execute(_delivered, values):
            found.setdefault(row.endpoint_id, set()).add(row.seq)
    return found
