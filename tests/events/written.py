"""What the log holds, for tests of those who write it."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from tests.conftest import Sql


class WrittenEvent(NamedTuple):
    """An event as it was written."""

    type: str
    object_type: str
    object_id: UUID
    version: int
    lane: UUID
    body: dict[str, Any]


def written(sql: Sql, *object_types: str) -> list[WrittenEvent]:
    """Events about objects of these types, in the order in which they were written; each is known to the sequencer."""
    rows = sql(
        """SELECT event.type, event.object_type, event.object_id, event.version, event.lane, event.body::json
        FROM events AS event JOIN (
            SELECT each.event, each.type, each.object, each.lane
            FROM unsequenced_events AS waiting
            CROSS JOIN LATERAL unnest(waiting.events, waiting.types, waiting.objects, waiting.lanes)
                AS each (event, type, object, lane)
            UNION ALL
            SELECT event_id, type, object_id, lane FROM event_numbers
        ) AS known ON (event.id, event.type, event.object_id, event.lane)
            = (known.event, known.type, known.object, known.lane)
        WHERE event.object_type = ANY(:types) ORDER BY event.id""",
        types=list(object_types),
    )
    return [WrittenEvent(*row) for row in rows]


def types(sql: Sql, *object_types: str) -> list[str]:
    """Their types alone."""
    return [event.type for event in written(sql, *object_types)]
