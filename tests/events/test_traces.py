"""To which trace an event belongs, as the transaction that writes it has noted."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from tests.conftest import Sql

LANE = UUID("018f0000-0000-7000-8000-000000000001")
FIRST, SECOND = (f"00-{digit * 32}-{digit * 16}-01" for digit in "ab")

WRITE = """
    INSERT INTO events (type, object_type, object_id, version, lane, body)
    SELECT 'payment.paid', 'payment', :lane, 1, :lane, CASE WHEN noted IS DISTINCT FROM 'none' THEN '{{}}' END
    FROM (SELECT {note} AS noted OFFSET 0) AS each
    RETURNING trace_context
"""

OTHER = UUID(int=LANE.int ^ 1 << 64)
"""Its last digits are the same."""


@pytest.mark.parametrize(
    ("noted", "expected"),
    [("", None), (FIRST, FIRST), ("x", None), (f"{FIRST[:-1]}G", None), ("é" * 4000, None), ("lanes", None)],
)
def test_an_event_takes_the_context_of_its_transaction_and_nothing_else(
    sql: Sql, noted: str, expected: str | None
) -> None:
    (row,) = sql(WRITE.format(note="set_config('checkout.trace', :noted, true)"), lane=LANE, noted=noted)

    assert row.trace_context == expected


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        ({LANE: FIRST}, FIRST),
        ({OTHER: FIRST, LANE: SECOND}, SECOND),
        ({LANE: FIRST, OTHER: SECOND}, FIRST),
        ({OTHER: FIRST}, None),
        ({uuid4(): FIRST, UUID(int=LANE.int + 1): SECOND}, None),
        ({LANE: "x" * 55}, None),
        ({LANE: ""}, None),
        ({}, None),
    ],
)
def test_of_a_set_each_takes_that_of_its_lane(sql: Sql, noted: dict[UUID, str], expected: str | None) -> None:
    note = "traced_lanes(CAST(:lanes AS uuid[]), CAST(:contexts AS text[]))::text"
    (row,) = sql(WRITE.format(note=note), lane=LANE, lanes=list(noted), contexts=list(noted.values()))

    assert row.trace_context == expected


def test_where_nothing_is_noted_there_is_none(sql: Sql) -> None:
    columns = "type, object_type, object_id, version, lane, body"
    sql(f"INSERT INTO events ({columns}) VALUES ('a', 'b', uuidv7(), 1, uuidv7(), '{{}}')")

    assert [row.trace_context for row in sql("SELECT trace_context FROM events")] == [None]


def test_a_function_that_notes_nothing_is_not_called(sql: Sql) -> None:
    (row,) = sql("SELECT traced(NULL) AS context, current_setting('checkout.trace', true) AS noted")

    assert row.context is None
    assert not row.noted
