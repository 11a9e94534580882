"""Reads of the log, by its numbers."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.events.types import TEST_TYPE


class EventRow(NamedTuple):
    """An event with its number. ``body`` is the object as JSON text, as it was rendered when the event was written."""

    seq: int
    id: UUID
    type: str
    object_type: str
    object_id: UUID
    version: int
    lane: UUID
    created_at: datetime
    body: str


# An order gets its number after the event was written: the body's first null is filled in.
BODY: Final = """
    CASE WHEN numbers.order_number IS NULL THEN event.body ELSE
        regexp_replace(event.body, '"number" ?: ?null', concat('"number":', to_json(numbers.order_number))) END
"""

LOOKED_THROUGH: Final = 10_000
"""Numbers that one page looks through at most: a filter that nothing matches ends there, and goes on with the next."""

MOST_BYTES: Final = 2**20
"""A page ends with the event that brings it to so many bytes of objects. One event is always in it."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in the order of their numbers, and how far was looked: up to ``last_seq``, which is also looked at."""

    events: list[EventRow]
    last_seq: int
    newest_seq: int
    """The last number that there was then."""


class DroppedEventsError(Exception):
    """What follows the place is no longer kept; it can be read on from ``oldest_seq``."""

    def __init__(self, oldest_seq: int) -> None:
        self.oldest_seq = oldest_seq
        super().__init__(oldest_seq)


class UnknownPlaceError(Exception):
    """No such number was given yet, up to ``newest_seq``: this is another log, or an older copy of it."""

    def __init__(self, newest_seq: int) -> None:
        self.newest_seq = newest_seq
        super().__init__(newest_seq)


_OF_TYPES: Final = "(CAST(:types AS text[]) IS NULL OR numbers.type = ANY(CAST(:types AS text[])))"

_LOOKED_THROUGH: Final = f"""
    SELECT * FROM event_numbers AS numbers
    WHERE numbers.seq > series.start AND numbers.seq <= least(series.last_seq, series.start + {LOOKED_THROUGH})
        AND numbers.day >= series.day AND numbers.day <= series.until_day AND {_OF_TYPES}
    ORDER BY numbers.seq LIMIT CAST(:limit AS integer)
"""  # noqa: S608 (only our own constants)

# What belongs to a payment stands in its lane, anything else in one of its own. An event gets its number after its id.
# What looks superfluous here has the rows looked up one by one, by an index, whatever is known of the tables' sizes.
_OF_OBJECT: Final = f"""
    SELECT numbers.* FROM (
        SELECT CAST(:object_id AS uuid) AS id
        UNION ALL SELECT payment_id FROM checkout_sessions WHERE id = CAST(:object_id AS uuid)
        UNION ALL SELECT payment_id FROM captures WHERE id = CAST(:object_id AS uuid)
        UNION ALL SELECT payment_id FROM capture_requests WHERE id = CAST(:object_id AS uuid)
        UNION ALL SELECT payment_id FROM refunds WHERE id = CAST(:object_id AS uuid)
        UNION ALL SELECT payment_id FROM disputes WHERE id = CAST(:object_id AS uuid)
        UNION ALL SELECT payment_id FROM orders WHERE id = CAST(:object_id AS uuid)
        UNION ALL SELECT payment_id FROM payment_attempts WHERE id = CAST(:object_id AS uuid)
    ) AS lanes
    CROSS JOIN LATERAL (
        SELECT id FROM events WHERE lane = lanes.id AND object_id = CAST(:object_id AS uuid)
            AND (CAST(:object_type AS text) IS NULL OR object_type = CAST(:object_type AS text))
        OFFSET 0
    ) AS own
    CROSS JOIN LATERAL (
        SELECT * FROM event_numbers WHERE event_id = own.id
            AND day >= greatest(series.day, CAST(uuid_extract_timestamp(own.id) AT TIME ZONE 'UTC' AS date) - 1)
        LIMIT 1
    ) AS numbers
    WHERE numbers.seq > series.start AND {_OF_TYPES}
    ORDER BY numbers.seq LIMIT CAST(:limit AS integer)
"""  # noqa: S608 (only our own constants)


def _page(found: str) -> Statement:
    # Between two days, or each day of the log would be looked into. In one statement, so that the numbers are those of
    # the series: a number that is not there now is a later one. The lengths are those of what is stored, which nobody
    # has to unpack for it.
    return Statement(f"""
        WITH series AS (
            SELECT known.last_seq, known.dropped_seq, known.start,
                coalesce((SELECT max(day) FROM event_days WHERE first_seq <= known.start + 1), '-infinity') AS day,
                coalesce(
                    (SELECT max(day) FROM event_days WHERE first_seq <= known.start + {LOOKED_THROUGH}), 'infinity'
                ) AS until_day
            FROM (
                SELECT coalesce(max(last_seq), 0) AS last_seq, coalesce(max(dropped_seq), 0) AS dropped_seq,
                    coalesce(CAST(:after AS bigint), max(dropped_seq), 0) AS start
                FROM event_series
            ) AS known
        )
        SELECT series.last_seq, series.dropped_seq, series.start, numbers.found, numbers.seq, event.id, numbers.type,
            numbers.object_type, numbers.event_object_id, numbers.version, numbers.lane, numbers.event_created_at,
            {BODY} AS body
        FROM series LEFT JOIN LATERAL (
            SELECT found.seq, found.type, found.lane, found.order_number, written.id, written.object_type,
                written.object_id AS event_object_id, written.version, written.created_at AS event_created_at,
                written.body, count(*) OVER () AS found,
                coalesce(sum(pg_column_size(written.body)) OVER (ORDER BY found.seq), 0)
                    - coalesce(pg_column_size(written.body), 0) AS before
            FROM ({found}) AS found
            LEFT JOIN LATERAL (SELECT * FROM events WHERE id = found.event_id LIMIT 1) AS written ON true
        ) AS numbers ON numbers.before < {MOST_BYTES}
        LEFT JOIN LATERAL (SELECT numbers.id, numbers.body) AS event ON true
        ORDER BY numbers.seq
    """)  # noqa: S608 (only our own constants)


_page_looked_through, _page_of_object = _page(_LOOKED_THROUGH), _page(_OF_OBJECT)


def events_page(
    after: int | None,
    *,
    types: Sequence[str] | None = None,
    object_type: str | None = None,
    object_id: UUID | None = None,
    limit: int,
) -> EventPage:
    """The events numbered above ``after``, or from the oldest kept, that all filters let through; at a bounded cost.

    It may hold fewer than ``limit``, even none, and there may be more behind ``last_seq``. Raises DroppedEventsError,
    UnknownPlaceError and DatabaseUnavailableError.
    """
    values = {"after": after, "types": None if types is None else list(types), "limit": limit}
    if object_id is None:
        rows = execute(_page_looked_through, values)
    else:
        rows = execute(_page_of_object, values | {"object_type": object_type, "object_id": object_id})
    first = rows[0]
    if first.start < first.dropped_seq:
        raise DroppedEventsError(first.dropped_seq)
    if first.start > first.last_seq:
        raise UnknownPlaceError(first.last_seq)
    until = first.last_seq if object_id is not None else min(first.last_seq, first.start + LOOKED_THROUGH)
    events, size = list[EventRow](), 0
    for row in rows if first.seq is not None else ():
        if row.body is None:  # its number is kept, and its day was dropped
            if not events:
                raise DroppedEventsError(row.seq)
            break
        if size >= MOST_BYTES:
            break
        events.append(EventRow._make(row[4:]))
        size += len(row.body)
    if events and not len(events) == first.found < limit:
        until = events[-1].seq
    return EventPage(events, until, first.last_seq)


_one = Statement(f"""
    SELECT coalesce(numbers.seq, 0), event.id, event.type, event.object_type, event.object_id, event.version,
        event.lane, event.created_at, {BODY} AS body
    FROM events AS event LEFT JOIN event_numbers AS numbers ON numbers.event_id = event.id
        AND numbers.day >= CAST(uuid_extract_timestamp(event.id) AT TIME ZONE 'UTC' AS date) - 1
    WHERE event.id = :id AND (numbers.seq IS NOT NULL OR event.type = '{TEST_TYPE}')
""")  # noqa: S608 (only our own constants)


def event_of(event_id: UUID) -> EventRow | None:
    """The event, once it has its number; None if there is no such one. A test event gets none, and ``seq`` is 0.

    Raises DatabaseUnavailableError.
    """
    rows = execute(_one, {"id": event_id})
    return EventRow._make(rows[0]) if rows else None


_last_numbers = Statement(
    "SELECT NULL, last_seq FROM event_series UNION ALL SELECT type, last_seq FROM event_types", named=False
)


def passed_by(seen: Collection[tuple[frozenset[str] | None, int]]) -> set[tuple[Hashable, int]]:
    """Those of these sets of types (None: all) and places behind which there is an event of such a type.

    Also those whose place is none of this log. Raises DatabaseUnavailableError.
    """
    last: dict[str | None, int] = dict(execute(_last_numbers))
    newest = last.get(None, 0)
    passed = set[tuple[Hashable, int]]()
    for types, place in seen:
        greatest = newest if types is None else max((last.get(name, 0) for name in types), default=0)
        if greatest > place or newest < place:
            passed.add((types, place))
    return passed
