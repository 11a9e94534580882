"""What came of attempts, written for all endpoints of a sender at once, and only where the lease is still its own."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

from sqlalchemy import Connection

from checkout_service.database.engine import execute, transaction
from checkout_service.database.statements import Statement
from checkout_service.endpoints.states import EndpointState, StateReason
from worker.events.claims import LEASE
from worker.events.lanes import Item
from worker.events.marks import MARK_STANDS, Mark
from worker.events.posting import Answer
from worker.events.sequencer import sequence_events

# Nothing is held in a database that is an older copy of the one that was read: there, numbers are of other events.
_HELD: Final = f"""
    UPDATE webhook_endpoints AS endpoint SET
        place = greatest(endpoint.place, given.place),
        leased_until = now() + make_interval(secs => {LEASE.total_seconds()}),
        last_success_at = CASE WHEN given.took THEN now() ELSE endpoint.last_success_at END,
        failures = CASE WHEN endpoint.version = given.version THEN given.failures ELSE endpoint.failures END,
        failing_since = CASE
            WHEN endpoint.version <> given.version THEN endpoint.failing_since
            WHEN given.failures = 0 THEN NULL
            WHEN given.took THEN now()
            ELSE coalesce(endpoint.failing_since, now()) END,
        pace = CASE WHEN endpoint.version = given.version THEN given.pace ELSE endpoint.pace END,
        probes = CASE WHEN endpoint.version = given.version THEN given.probes ELSE endpoint.probes END,
        updated_at = now()
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:places AS bigint[]), CAST(:versions AS integer[]), CAST(:took AS boolean[]),
        CAST(:failures AS integer[]), CAST(:paces AS integer[]), CAST(:probes AS integer[])
    ) AS given (id, place, version, took, failures, pace, probes)
    WHERE endpoint.id = given.id AND endpoint.lease_token = CAST(:token AS uuid) AND {MARK_STANDS}
    RETURNING endpoint.id, endpoint.version
"""  # noqa: S608 (only our own constants)

# One statement where all went well: place, lease and attempts. Ids are the sender's, so that it may be run again.
_WRITE: Final = f"""
    WITH held AS ({_HELD}), made AS (
        INSERT INTO event_attempts
            (id, endpoint_id, event_id, type, seq, replay_id, attempt, succeeded, status, error, answer, duration_ms)
        SELECT attempt.id, endpoint_id, event_id, type, seq, replay_id, number, succeeded, status, error, {{answer}}, ms
        FROM unnest(
            CAST(:attempt_ids AS uuid[]), CAST(:endpoint_ids AS uuid[]), CAST(:event_ids AS uuid[]),
            CAST(:types AS text[]), CAST(:seqs AS bigint[]), CAST(:replay_ids AS uuid[]), CAST(:numbers AS integer[]),
            CAST(:succeeded AS boolean[]), CAST(:statuses AS smallint[]), CAST(:errors AS text[]),
            CAST(:answers AS bytea[]), CAST(:durations AS integer[]), CAST(:rows AS bigint[])
        ) AS attempt (
            id, endpoint_id, event_id, type, seq, replay_id, number, succeeded, status, error, answer, ms, seen)
        WHERE attempt.endpoint_id IN (SELECT id FROM held)
        ON CONFLICT DO NOTHING
    )
    SELECT id, version FROM held
"""  # noqa: S608 (only our own constants)

_write = Statement(_WRITE.format(answer="answer"), named=False)

# An answer may quote what was sent: it is kept only where nobody was struck out of the event since it was read.
_write_with_answers = Statement(
    _WRITE.format(
        answer="""CASE WHEN answer = '' OR EXISTS (
            SELECT FROM events AS event
            WHERE event.id = attempt.event_id AND CAST(CAST(event.xmin AS text) AS bigint) = attempt.seen
        ) THEN answer END"""
    ),
    named=False,
)

# Nothing of a replay that was stopped meanwhile.
_file = Statement("""
    INSERT INTO pending_deliveries AS known
        (endpoint_id, event_id, seq, type, lane, replay_id, state, attempts, first_attempt_at, next_attempt_at)
    SELECT id, event_id, seq, type, lane, replay_id, state, attempts, now() - make_interval(secs => first_ago),
        now() + make_interval(secs => pause)
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:event_ids AS uuid[]), CAST(:seqs AS bigint[]), CAST(:types AS text[]),
        CAST(:lanes AS uuid[]), CAST(:replay_ids AS uuid[]), CAST(:states AS text[]), CAST(:attempts AS integer[]),
        CAST(:first_ago AS float8[]), CAST(:pauses AS float8[])
    ) AS given (id, event_id, seq, type, lane, replay_id, state, attempts, first_ago, pause)
    WHERE given.replay_id IS NULL OR EXISTS (SELECT FROM event_replays AS replay
        WHERE replay.id = given.replay_id AND replay.state IN ('waiting', 'running'))
    ON CONFLICT (endpoint_id, event_id, replay_id) DO UPDATE SET state = excluded.state,
        attempts = greatest(known.attempts, excluded.attempts),
        first_attempt_at = coalesce(known.first_attempt_at, excluded.first_attempt_at),
        next_attempt_at = CASE WHEN excluded.state = 'waiting'
            THEN coalesce(excluded.next_attempt_at, known.next_attempt_at) END,
        updated_at = now()
""")

# What a replay delivered has not failed any more.
_delete = Statement("""
    DELETE FROM pending_deliveries AS pending
    USING unnest(CAST(:ids AS uuid[]), CAST(:event_ids AS uuid[]), CAST(:replay_ids AS uuid[]))
        AS given (endpoint_id, event_id, replay_id)
    WHERE pending.endpoint_id = given.endpoint_id AND pending.event_id = given.event_id
        AND (pending.replay_id IS NOT DISTINCT FROM given.replay_id
            OR given.replay_id IS NOT NULL AND pending.replay_id IS NULL AND pending.state = 'failed')
""")

# The first of each lane is due: now, where it waited behind another one.
_promote = Statement("""
    UPDATE pending_deliveries AS pending SET next_attempt_at = now(), updated_at = now()
    FROM (
        SELECT DISTINCT ON (waiting.endpoint_id, waiting.lane) waiting.id, waiting.next_attempt_at
        FROM unnest(CAST(:ids AS uuid[]), CAST(:lanes AS uuid[])) AS given (id, lane)
        JOIN pending_deliveries AS waiting ON waiting.endpoint_id = given.id AND waiting.lane = given.lane
            AND waiting.state = 'waiting' AND waiting.replay_id IS NULL
        ORDER BY waiting.endpoint_id, waiting.lane, waiting.seq
    ) AS head
    WHERE pending.id = head.id AND head.next_attempt_at IS NULL
""")

_progress = Statement("""
    UPDATE event_replays AS replay SET place = greatest(replay.place, given.place), sent = replay.sent + given.sent,
        failed = replay.failed + given.failed, updated_at = now(),
        state = CASE WHEN replay.state IN ('waiting', 'running') THEN given.state ELSE replay.state END
    FROM unnest(CAST(:ids AS uuid[]), CAST(:places AS bigint[]), CAST(:sent AS integer[]), CAST(:failed AS integer[]),
        CAST(:states AS text[])) AS given (id, place, sent, failed, state)
    WHERE replay.id = given.id
""")

_stop = Statement("""
    DELETE FROM pending_deliveries
    WHERE endpoint_id = ANY(CAST(:ids AS uuid[])) AND replay_id = ANY(CAST(:replay_ids AS uuid[])) AND state = 'waiting'
""")

_move = Statement(
    "SELECT endpoint_move(CAST(:id AS uuid), CAST(:token AS uuid), :version, CAST(:state AS endpoint_state), :reason)",
    named=False,
)


class Attempt(NamedTuple):
    """A row of event_attempts, but for its id; ``row_version`` is that of the event's row when its body was read."""

    endpoint_id: UUID
    event_id: UUID
    type: str
    seq: int | None
    replay_id: UUID | None
    number: int
    succeeded: bool
    status: int | None
    error: str | None
    answer: bytes | None
    duration_ms: int
    row_version: int | None

    @classmethod
    def of(cls, endpoint_id: UUID, item: Item, answer: Answer) -> Self:
        """The attempt that was just made, before it is counted."""
        return cls(
            endpoint_id,
            item.event_id,
            item.type,
            item.seq,
            item.replay_id,
            item.attempts + 1,
            answer.succeeded,
            answer.status,
            answer.error,
            None if answer.succeeded else answer.body,
            round(answer.seconds * 1000),
            None if item.event is None else item.event.row_version,
        )


class Filed(NamedTuple):
    """What waits at an endpoint, or failed there: after ``pause`` seconds, or, if that is None, behind another one."""

    endpoint_id: UUID
    event_id: UUID
    seq: int | None
    type: str
    lane: UUID
    replay_id: UUID | None
    state: str
    attempts: int
    first_at: float | None
    pause: float | None


class Condition(NamedTuple):
    """How an endpoint is: what is written of it with each batch."""

    place: int
    version: int
    took: bool
    failures: int
    pace: int | None
    probes: int


class Move(NamedTuple):
    """The state that an endpoint is to be in, and why."""

    state: EndpointState
    reason: StateReason | None


Key = tuple[UUID, UUID, UUID | None]
"""An event delivery: endpoint, event, replay."""


@dataclass(slots=True)
class Progress:
    """What came of a replay since the last batch."""

    endpoint_id: UUID
    place: int = 0
    sent: int = 0
    failed: int = 0
    state: str = "running"


@dataclass(slots=True)
class Batch:
    """What is to be written together; ``began`` is when the first result came."""

    began: float = field(default_factory=monotonic)
    attempts: list[Attempt] = field(default_factory=list)
    ids: list[UUID] = field(default_factory=list)
    filed: dict[Key, Filed] = field(default_factory=dict)
    deleted: dict[Key, None] = field(default_factory=dict)
    lanes: dict[tuple[UUID, UUID], None] = field(default_factory=dict)
    replays: dict[UUID, Progress] = field(default_factory=dict)
    moves: dict[UUID, Move] = field(default_factory=dict)
    conditions: dict[UUID, Condition] = field(default_factory=dict)

    def progress(self, replay_id: UUID, endpoint_id: UUID) -> Progress:
        """That of a replay, to be added to."""
        return self.replays.setdefault(replay_id, Progress(endpoint_id))


@dataclass(slots=True)
class Written:
    """The versions of the endpoints that were written; those that are missing are another sender's by now.

    ``moved`` has the new version of each that moved to another state, None where somebody else had changed it.
    """

    versions: dict[UUID, int]
    moved: dict[UUID, int | None]


def write(token: UUID, batch: Batch, mark: Mark) -> Written:
    """Write it all, or nothing of an endpoint whose lease is another sender's, or if the log is not that of ``mark``.

    It may be run again after an error: only counters of replays would then be too high. Raises
    DatabaseUnavailableError.
    """
    if not (batch.filed or batch.deleted or batch.replays or batch.moves):
        return Written(dict(execute(_statement(batch), _values(token, batch, mark))), {})
    moved: dict[UUID, int | None] = {}
    with transaction() as connection:
        held: dict[UUID, int] = dict(_statement(batch).within(connection, _values(token, batch, mark)))
        _write_pending(connection, batch, held)
        for key, move in batch.moves.items():
            if key in held:
                values = {"id": key, "token": token, "version": batch.conditions[key].version, **move._asdict()}
                moved[key] = _move.within(connection, values)[0][0]
    if any(moved.values()):
        sequence_events()  # somebody waits for the news that an endpoint is suspended
    return Written(held, moved)


def count_of(batch: Batch) -> Counter[str]:
    """Its attempts by result: succeeded, the class of a status such as 5xx, or why there was no answer."""
    return Counter(
        "succeeded" if attempt.succeeded else attempt.error or f"{(attempt.status or 0) // 100}xx"
        for attempt in batch.attempts
    )


def _statement(batch: Batch) -> Statement:
    return _write_with_answers if any(attempt.answer for attempt in batch.attempts) else _write


def _values(token: UUID, batch: Batch, mark: Mark) -> dict[str, Any]:
    made = batch.attempts
    batch.ids = batch.ids or _ids(len(made))
    places, versions, took, failures, paces, probes = _columns(list(batch.conditions.values()), Condition)
    endpoints, events, types, seqs, replays, numbers, succeeded, statuses, errors, answers, durations, rows = _columns(
        made, Attempt
    )
    return {
        "token": token,
        "ids": list(batch.conditions),
        "places": places,
        "versions": versions,
        "took": took,
        "failures": failures,
        "paces": paces,
        "probes": probes,
        "attempt_ids": batch.ids,
        "endpoint_ids": endpoints,
        "event_ids": events,
        "types": types,
        "seqs": seqs,
        "replay_ids": replays,
        "numbers": numbers,
        "succeeded": succeeded,
        "statuses": statuses,
        "errors": errors,
        "answers": answers,
        "durations": durations,
        "rows": rows,
        **mark.values(),
    }


def _columns(rows: Sequence[tuple[Any, ...]], kind: type[Any]) -> list[list[Any]]:
    """The rows by their columns, as many as the tuples of this kind have."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in kind._fields]


def _write_pending(connection: Connection, batch: Batch, held: Iterable[UUID]) -> None:
    own = set(held)
    if filed := [row for row in batch.filed.values() if row.endpoint_id in own]:
        now = monotonic()
        values = {
            "ids": [row.endpoint_id for row in filed],
            "event_ids": [row.event_id for row in filed],
            "seqs": [row.seq for row in filed],
            "types": [row.type for row in filed],
            "lanes": [row.lane for row in filed],
            "replay_ids": [row.replay_id for row in filed],
            "states": [row.state for row in filed],
            "attempts": [row.attempts for row in filed],
            "first_ago": [None if row.first_at is None else now - row.first_at for row in filed],
            "pauses": [row.pause for row in filed],
        }
        _file.within(connection, values)
    if deleted := [key for key in batch.deleted if key[0] in own]:
        ids, event_ids, replay_ids = zip(*deleted, strict=True)
        _delete.within(connection, {"ids": list(ids), "event_ids": list(event_ids), "replay_ids": list(replay_ids)})
    replays = {key: progress for key, progress in batch.replays.items() if progress.endpoint_id in own}
    if stopped := {key: progress for key, progress in replays.items() if progress.state == "stopped"}:
        ids_of_stopped = [progress.endpoint_id for progress in stopped.values()]
        _stop.within(connection, {"ids": ids_of_stopped, "replay_ids": list(stopped)})
    if lanes := [lane for lane in batch.lanes if lane[0] in own]:
        _promote.within(connection, {"ids": [key for key, _ in lanes], "lanes": [lane for _, lane in lanes]})
    if replays:
        _progress.within(
            connection,
            {
                "ids": list(replays),
                "places": [progress.place for progress in replays.values()],
                "sent": [progress.sent for progress in replays.values()],
                "failed": [progress.failed for progress in replays.values()],
                "states": [progress.state for progress in replays.values()],
            },
        )


def _ids(count: int) -> list[UUID]:
    """Keys that are in the order of time, as the database's own (RFC 9562, version 7)."""
    head = (time.time_ns() // 1_000_000) << 80
    return [
        UUID(int=head | 0x7 << 76 | (value & 0xFFF) << 64 | 0b10 << 62 | value >> 12 & ((1 << 62) - 1))
        for value in (int.from_bytes(os.urandom(10)) for _ in range(count))
    ]
