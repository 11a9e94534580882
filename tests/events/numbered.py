"""What the log holds, in the order in which it was written, and how it is numbered."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from tests.conftest import Sql


def types_of(sql: Sql, lane: UUID | str, *, about: tuple[str, ...] = ("payment", "order")) -> list[str]:
    """The types of a lane's events about these kinds of objects, in the order in which they were written."""
    rows = sql(
        """SELECT event.type FROM unsequenced_events AS queue
        CROSS JOIN LATERAL unnest(queue.events) WITH ORDINALITY AS item (id, turn)
        JOIN events AS event ON event.id = item.id
        WHERE event.lane = :lane AND event.object_type = ANY(CAST(:about AS text[])) ORDER BY queue.place, item.turn""",
        lane=str(lane),
        about=list(about),
    )
    return [row.type for row in rows]


def sequence(sql: Sql, prefix: str = "S-", most: int = 1000) -> tuple[int, int]:
    """Have the database number what waits: how many orders and events got a number."""
    (row,) = sql("SELECT orders, events FROM events_sequence(:prefix, :most)", prefix=prefix, most=most)
    return row.orders, row.events


def newest(sql: Sql, type: str, object_id: UUID | str) -> dict[str, Any]:  # noqa: A002 (the column's name)
    """The body of the newest event of this type about the object."""
    rows = sql(
        "SELECT body FROM events WHERE type = :type AND object_id = :id ORDER BY version DESC LIMIT 1",
        type=type,
        id=str(object_id),
    )
    assert rows, f"no {type}"
    body: dict[str, Any] = json.loads(rows[0].body)
    return body
