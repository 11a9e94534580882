"""Event deliveries of an endpoint: what waits, what failed, what was taken, each with its newest attempts.

What waits or failed is a row of its own; what was taken is the attempt that succeeded. Both kinds have ids in the order
of time, so one id is the place of a page in both. Each page looks through a bounded number of rows, whatever it is
narrowed to: it may hold fewer than it could, and have a next page all the same.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement

LOOKED_THROUGH: Final = 10_000
"""Rows of each kind that a page looks through at most."""

ATTEMPTS_SHOWN: Final = 10
"""The newest attempts of each event."""


class DeliveryStatus(StrEnum):
    """What became of an event at an endpoint."""

    WAITING = "waiting"
    FAILED = "failed"
    """Given up; a replay may send it again."""
    DELIVERED = "delivered"


class DeliveryPage(NamedTuple):
    """Event deliveries as the API shows them, and the id that the next page begins before, if there is one."""

    deliveries: list[dict[str, Any]]
    following: UUID | None


_COLUMNS: Final = """
    id, event_id, seq, type, replay_id, {state} AS state, {attempts} AS attempts, {next} AS next_attempt_at, created_at
"""

_PENDING: Final = _COLUMNS.format(state="state", attempts="attempts", next="next_attempt_at")
_TAKEN: Final = _COLUMNS.format(state="'delivered'", attempts="attempt", next="CAST(NULL AS timestamptz)")

# Of one event: its row by its key, and the success among those that came after it was written, the first of them first.
_of_event = Statement(f"""
    SELECT * FROM (
        (SELECT {_PENDING} FROM pending_deliveries
        WHERE endpoint_id = CAST(:endpoint AS uuid) AND event_id = CAST(:event AS uuid))
        UNION ALL
        (SELECT {_TAKEN} FROM (
            SELECT * FROM event_attempts
            WHERE endpoint_id = CAST(:endpoint AS uuid) AND succeeded AND id > CAST(:event AS uuid)
            ORDER BY id LIMIT {LOOKED_THROUGH}
        ) AS attempt WHERE event_id = CAST(:event AS uuid))
    ) AS delivery
    WHERE state = ANY(CAST(:states AS text[])) AND (CAST(:type AS text) IS NULL OR type = CAST(:type AS text))
        AND id < CAST(:before AS uuid)
    ORDER BY id DESC LIMIT CAST(:limit AS integer)
""")  # noqa: S608 (only our own constants)


_KINDS: Final = (
    (_PENDING, "pending_deliveries", "state = 'waiting'", "waiting"),
    (_PENDING, "pending_deliveries", "state = 'failed'", "failed"),
    (_TAKEN, "event_attempts", "succeeded", "delivered"),
)
"""Of each kind its columns and its table, by what it is found, and its status."""


def _newest(limit: str, *, more: str = "") -> str:
    """The newest rows of each kind, so many at most."""
    return " UNION ALL ".join(
        f"""
        (SELECT {columns} {more.format(name=name)} FROM (
            SELECT * FROM {table} WHERE endpoint_id = CAST(:endpoint AS uuid) AND {condition}
                AND id < CAST(:before AS uuid) AND '{name}' = ANY(CAST(:states AS text[]))
            ORDER BY id DESC LIMIT {limit}
        ) AS {name})
        """  # noqa: S608 (only our own constants)
        for columns, table, condition, name in _KINDS
    )


_of_any_type = Statement(f"""
    SELECT * FROM ({_newest("CAST(:limit AS integer)")}) AS delivery ORDER BY id DESC LIMIT CAST(:limit AS integer)
""")  # noqa: S608 (only our own constants)

# The edge is the last row up to which all kinds were looked through, where one of them has more.
_of_type = Statement(f"""
    WITH looked_through AS MATERIALIZED ({_newest(str(LOOKED_THROUGH), more=", '{name}' AS kind")}),
    edge AS (
        SELECT (array_agg(id ORDER BY id))[1] AS id FROM looked_through
        GROUP BY kind HAVING count(*) = {LOOKED_THROUGH} ORDER BY id DESC LIMIT 1
    )
    SELECT {_PENDING}, (SELECT id FROM edge) AS edge FROM looked_through
    WHERE type = CAST(:type AS text) AND id >= coalesce((SELECT id FROM edge), id)
    UNION ALL
    SELECT edge.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, edge.id FROM edge WHERE edge.id IS NOT NULL
    ORDER BY id DESC LIMIT CAST(:limit AS integer)
""")  # noqa: S608 (only our own constants)

_attempts = Statement(f"""
    SELECT attempt.* FROM unnest(CAST(:events AS uuid[])) AS shown (event_id) CROSS JOIN LATERAL (
        SELECT id, event_id, replay_id, attempt, status, error, answer, duration_ms, created_at FROM event_attempts
        WHERE endpoint_id = CAST(:endpoint AS uuid) AND event_id = shown.event_id AND NOT succeeded
        ORDER BY id DESC LIMIT {ATTEMPTS_SHOWN}
    ) AS attempt
    UNION ALL
    SELECT id, event_id, replay_id, attempt, status, error, answer, duration_ms, created_at FROM event_attempts
    WHERE id = ANY(CAST(:taken AS uuid[]))
""")  # noqa: S608 (only our own constants)

_LAST: Final = UUID(int=2**128 - 1)


def deliveries_page(
    endpoint_id: UUID,
    *,
    enabled: bool,
    limit: int,
    before: UUID | None = None,
    status: DeliveryStatus | None = None,
    type: str | None = None,  # noqa: A002 (the filter's name)
    event_id: UUID | None = None,
) -> DeliveryPage:
    """A page of what was, or is to be, sent to an endpoint, the newest first. Raises DatabaseUnavailableError.

    Of one that is not ``enabled`` nothing is due: a suspended one is tried by its probes, a disabled one not at all.
    """
    values = {
        "endpoint": endpoint_id,
        "before": before or _LAST,
        "states": [each.value for each in ([status] if status else DeliveryStatus)],
        "type": type,
        "event": event_id,
        "limit": limit + 1,
    }
    edge: UUID | None = None
    if event_id is not None:
        rows = list(execute(_of_event, values))
    elif type is None:
        rows = list(execute(_of_any_type, values))
    else:
        found = execute(_of_type, values)
        edge = found[0].edge if found else None
        rows = [row for row in found if row.state is not None]
    following = rows[limit - 1].id if len(rows) > limit else edge
    shown = _with_attempts(endpoint_id, rows[:limit])
    return DeliveryPage(shown if enabled else [each | {"next_attempt_at": None} for each in shown], following)


def safe_text(answer: bytes | None) -> str | None:
    """What a stranger answered, as text: what is no UTF-8 or is not seen is written as an escape."""
    if answer is None:
        return None
    text = bytes(answer).decode("utf-8", "backslashreplace")
    return "".join(
        char
        if char in "\n\t" or (unicodedata.category(char)[0] != "C" and char not in "\u2028\u2029")
        else _escape(char)
        for char in text
    )


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def _with_attempts(endpoint_id: UUID, rows: Sequence[Any]) -> list[dict[str, Any]]:
    by_event: dict[tuple[UUID, UUID | None], list[Any]] = {}
    if rows:
        taken = [row.id for row in rows if row.state == DeliveryStatus.DELIVERED]
        events = list({row.event_id for row in rows})
        for attempt in execute(_attempts, {"endpoint": endpoint_id, "events": events, "taken": taken}):
            by_event.setdefault((attempt.event_id, attempt.replay_id), []).append(attempt)
    return [_show(row, by_event.get((row.event_id, row.replay_id), [])) for row in rows]


def _show(row: Any, attempts: Sequence[Any]) -> dict[str, Any]:
    taken = row.state == DeliveryStatus.DELIVERED
    # Of an event that was taken twice each time is a row, with what went before it.
    own = [each for each in attempts if each.id <= row.id] if taken else attempts
    newest = sorted(own, key=lambda each: each.id, reverse=True)[:ATTEMPTS_SHOWN]
    return {
        "id": str(row.id),
        "event_id": str(row.event_id),
        "seq": row.seq,
        "type": row.type,
        "state": row.state,
        "replay_id": None if row.replay_id is None else str(row.replay_id),
        "attempts_made": row.attempts,
        "next_attempt_at": None if row.next_attempt_at is None else show_time(row.next_attempt_at),
        "attempts": [_show_attempt(each, succeeded=taken and each.id == row.id) for each in newest],
        "created_at": show_time(row.created_at),
    }


def _show_attempt(attempt: Any, *, succeeded: bool) -> dict[str, Any]:
    return {
        "id": str(attempt.id),
        "attempt": attempt.attempt,
        "succeeded": succeeded,
        "status": attempt.status,
        "error": attempt.error,
        "answer": None if attempt.status is None else safe_text(attempt.answer),
        "duration_ms": attempt.duration_ms,
        "created_at": show_time(attempt.created_at),
    }
