"""Events as rows, for tests of those who read them: as if the log had written and numbered them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

from tests.conftest import Sql


def insert_event(
    sql: Sql,
    type: str = "payment.paid",  # noqa: A002 (the column's name)
    *,
    object_type: str = "payment",
    object_id: UUID | None = None,
    version: int = 1,
    lane: UUID | None = None,
    body: dict[str, Any] | None = None,
) -> int:
    """Write an event and give it the next number, which is returned. Runs as the superuser."""
    object_id = object_id or uuid4()
    body = body or {"id": str(object_id), "version": version}
    (row,) = sql(
        """
        WITH written AS (
            INSERT INTO events (type, object_type, object_id, version, lane, body)
            VALUES (:type, :object_type, :object_id, :version, :lane, CAST(:body AS json))
            RETURNING id
        ), series AS (
            INSERT INTO event_series AS known (last_seq, day, last_event_id) SELECT 1, current_date, id FROM written
            ON CONFLICT ((true)) DO UPDATE SET last_seq = known.last_seq + 1, day = excluded.day,
                last_event_id = excluded.last_event_id
            RETURNING last_seq, day
        ), days AS (
            INSERT INTO event_days (day, first_seq) SELECT day, last_seq FROM series ON CONFLICT (day) DO NOTHING
        ), types AS (
            INSERT INTO event_types (type, last_seq) SELECT :type, last_seq FROM series
            ON CONFLICT (type) DO UPDATE SET last_seq = excluded.last_seq
        )
        INSERT INTO event_numbers (seq, day, event_id, type, object_id, lane)
        SELECT series.last_seq, series.day, written.id, :type, :object_id, :lane FROM written, series
        RETURNING seq
        """,
        type=type,
        object_type=object_type,
        object_id=object_id,
        version=version,
        lane=lane or object_id,
        body=json.dumps(body),
    )
    return int(row.seq)
