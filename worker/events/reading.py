"""Reads what is to be sent next: new events by their numbers, what waits, the oldest for a probe, and replays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from worker.events.marks import MARK_STANDS, NO_MARK, Mark

SCANNED: Final = 20_000
"""Numbers that one look goes through: where an endpoint is for a rare type, no statement is long."""

_series = Statement(
    f"SELECT last_seq, day, last_event_id, dropped_seq, {MARK_STANDS} FROM event_series",  # noqa: S608 (only our own)
    binary=True,
    named=False,
)

# A lane of which something waits is not gone on with, where order is kept: what comes after it waits behind it.
_new = Statement(
    f"""
    SELECT given.id, numbers.seq, numbers.event_id, numbers.type, numbers.lane, numbers.order_number,
        endpoint.in_order AND EXISTS (SELECT FROM pending_deliveries AS pending
            WHERE pending.endpoint_id = given.id AND pending.lane = numbers.lane AND pending.state = 'waiting'
                AND pending.replay_id IS NULL)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:places AS bigint[]), CAST(:most AS integer[])) AS given (id, place, most)
    JOIN webhook_endpoints AS endpoint ON endpoint.id = given.id
    CROSS JOIN LATERAL (
        SELECT seq, event_id, type, lane, order_number FROM event_numbers
        WHERE seq > given.place AND seq <= given.place + {SCANNED} AND seq <= CAST(:last AS bigint)
            AND (endpoint.types IS NULL OR type = ANY(endpoint.types))
        ORDER BY seq LIMIT given.most
    ) AS numbers
    ORDER BY given.id, numbers.seq
""",  # noqa: S608 (only our own constants)
    binary=True,
    named=False,
)

_WAITING: Final = """
    pending.endpoint_id, pending.seq, pending.event_id, pending.type, pending.lane, pending.replay_id, pending.attempts,
    extract(epoch FROM now() - pending.first_attempt_at)::float8 AS first_ago,
    (SELECT order_number FROM event_numbers WHERE seq = pending.seq)
"""

_due = Statement(
    f"""
    SELECT {_WAITING}
    FROM unnest(CAST(:ids AS uuid[]), CAST(:most AS integer[])) AS given (id, most) CROSS JOIN LATERAL (
        SELECT * FROM pending_deliveries
        WHERE endpoint_id = given.id AND state = 'waiting' AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT given.most
    ) AS pending
""",  # noqa: S608 (only our own constants)
    binary=True,
    named=False,
)

# A test event first: whoever asked for it looks at the endpoint now.
_oldest = Statement(
    f"""
    SELECT {_WAITING} FROM pending_deliveries AS pending
    WHERE endpoint_id = CAST(:id AS uuid) AND state = 'waiting' AND next_attempt_at IS NOT NULL AND replay_id IS NULL
    ORDER BY seq NULLS FIRST LIMIT 1
""",  # noqa: S608 (only our own constants)
    binary=True,
    named=False,
)

_replays = Statement("""
    SELECT replay.id, replay.endpoint_id, replay.place, replay.until_seq, replay.only_failed, replay.sent,
        replay.failed, replay.stop_requested_at IS NOT NULL AS stopped
    FROM event_replays AS replay
    WHERE replay.endpoint_id = ANY(CAST(:ids AS uuid[])) AND replay.state IN ('waiting', 'running')
        AND (replay.stop_requested_at IS NOT NULL OR NOT EXISTS (SELECT FROM pending_deliveries AS pending
            WHERE pending.endpoint_id = replay.endpoint_id AND pending.replay_id = replay.id
                AND pending.state = 'waiting'))
    ORDER BY replay.id
""")

# Of those that failed the keys are looked through; of all the numbers.
_of_replay = Statement(
    """
    SELECT numbers.seq, numbers.event_id, numbers.type, numbers.order_number
    FROM event_replays AS replay CROSS JOIN LATERAL (
        (SELECT number.seq, number.event_id, number.type, number.order_number FROM event_numbers AS number
        WHERE NOT replay.only_failed AND number.seq > CAST(:place AS bigint) AND number.seq <= CAST(:until AS bigint)
            AND (replay.types IS NULL OR number.type = ANY(replay.types))
        ORDER BY number.seq LIMIT CAST(:most AS integer))
        UNION ALL
        (SELECT pending.seq, pending.event_id, pending.type,
            (SELECT order_number FROM event_numbers WHERE event_numbers.seq = pending.seq)
        FROM pending_deliveries AS pending
        WHERE replay.only_failed AND pending.endpoint_id = replay.endpoint_id AND pending.state = 'failed'
            AND pending.replay_id IS NULL
            AND pending.seq > CAST(:place AS bigint) AND pending.seq <= CAST(:until AS bigint)
            AND (replay.types IS NULL OR pending.type = ANY(replay.types))
        ORDER BY pending.seq LIMIT CAST(:most AS integer))
    ) AS numbers
    WHERE replay.id = CAST(:id AS uuid) ORDER BY numbers.seq
""",
    binary=True,
    named=False,
)


class Numbers(NamedTuple):
    """The last number that was given, and the one up to which nothing is kept any more.

    ``go_on``: this is the log that was known before; else what was read of that one says nothing of this one.
    """

    mark: Mark
    dropped: int
    go_on: bool

    @property
    def last(self) -> int:
        """The last number that was given."""
        return self.mark.seq


class NewEvent(NamedTuple):
    """A number above an endpoint's place. ``waits``: order is kept, and something of its lane waits there."""

    endpoint_id: UUID
    seq: int
    event_id: UUID
    type: str
    lane: UUID
    order_number: str | None
    waits: bool


class Waiting(NamedTuple):
    """What an endpoint has not taken yet and is due; a test event has no ``seq``. ``first_at`` is monotonic."""

    endpoint_id: UUID
    seq: int | None
    event_id: UUID
    type: str
    lane: UUID
    replay_id: UUID | None
    attempts: int
    first_at: float | None
    order_number: str | None


class OpenReplay(NamedTuple):
    """A replay that can go on, from ``place`` to ``until_seq``, or that is to be stopped.

    ``looked_at`` is when somebody looked for its next events, by the monotonic clock.
    """

    id: UUID
    endpoint_id: UUID
    place: int
    until_seq: int
    only_failed: bool
    sent: int
    failed: int
    stopped: bool
    looked_at: float = 0.0


class ReplayedEvent(NamedTuple):
    """An event that a replay comes to."""

    seq: int
    event_id: UUID
    type: str
    order_number: str | None


def read_numbers(known: Mark) -> Numbers:
    """How far the log is, and whether it is the one that had given ``known``. Raises DatabaseUnavailableError."""
    rows = execute(_series, known.values())
    if not rows:
        return Numbers(NO_MARK, 0, known.event_id is None)
    *mark, dropped, go_on = rows[0]
    return Numbers(Mark.of(mark), dropped, go_on)


def read_new(after: Iterable[tuple[UUID, int, int]], *, last: int) -> list[NewEvent]:
    """What these endpoints are for above their places: (endpoint, place, most), oldest first for each.

    No further than ``last``, and than SCANNED numbers. Raises DatabaseUnavailableError.
    """
    ids, places, most = zip(*after, strict=True)
    rows = execute(_new, {"ids": list(ids), "places": list(places), "most": list(most), "last": last})
    return [NewEvent._make(row) for row in rows]


def read_due(most: Sequence[tuple[UUID, int]]) -> list[Waiting]:
    """Up to so many of each endpoint that are due, those of replays and test events too.

    Raises DatabaseUnavailableError.
    """
    return _as_waiting(execute(_due, {"ids": [key for key, _ in most], "most": [count for _, count in most]}))


def read_oldest(endpoint_id: UUID) -> Waiting | None:
    """The first of what waits at an endpoint, whenever it is due. Raises DatabaseUnavailableError."""
    return next(iter(_as_waiting(execute(_oldest, {"id": endpoint_id}))), None)


def read_replays(ids: Sequence[UUID]) -> list[OpenReplay]:
    """The replays of these endpoints, but for those whose next event waits. Raises DatabaseUnavailableError."""
    return [OpenReplay(*row) for row in execute(_replays, {"ids": list(ids)})]


def read_replayed(replay: OpenReplay, *, most: int) -> tuple[list[ReplayedEvent], int]:
    """The next events of a replay, and up to which number was looked: not to its end, where its types are rare.

    Raises DatabaseUnavailableError.
    """
    until = replay.until_seq if replay.only_failed else min(replay.place + SCANNED, replay.until_seq)
    rows = execute(_of_replay, {"id": replay.id, "place": replay.place, "most": most, "until": until})
    events = [ReplayedEvent(*row) for row in rows]
    return events, events[-1].seq if events else until


def _as_waiting(rows: Sequence[Any]) -> list[Waiting]:
    now = monotonic()
    return [Waiting._make((*row[:7], None if row[7] is None else now - row[7], row[8])) for row in rows]
