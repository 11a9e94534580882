"""To which trace an event belongs, as the transaction that writes it has noted."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from tests.conftest import Sql

LANE = UUID("018f0000-0000-7000-8000-000000000001")
FIRST, SECOND = (f"00-{digit * 32}-{digit * 16}-01" for digit in "ab")

WRITE = """
    INSERT INTO events (type, object_type, object_id, version, lane, body)
    SELECT 'payment.paid', 'payment', :lane, 1, :lane, CASE WHEN noted IS DISTINCT FROM 'none' THEN '{}' END
    FROM (SELECT set_config('checkout.trace', :noted, true) AS noted OFFSET 0) AS each
    RETURNING trace_context
"""


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        ("", None),
        (FIRST, FIRST),
        (f"{uuid4()} {FIRST} {LANE} {SECOND}", SECOND),
        (f"{LANE} {FIRST} {uuid4()} {SECOND}", FIRST),
        (f"{uuid4()} {FIRST} {uuid4()} {SECOND}", None),
        ("x", None),
        (f"{FIRST[:-1]}G", None),
        (f"{LANE} {'x' * 55}", None),
        (str(LANE), None),
        ("é" * 4000, None),
    ],
)
def test_an_event_takes_the_context_of_its_lane_and_nothing_else(sql: Sql, noted: str, expected: str | None) -> None:
    (row,) = sql(WRITE, lane=LANE, noted=noted)

    assert row.trace_context == expected


def test_where_nothing_is_noted_there_is_none(sql: Sql) -> None:
    columns = "type, object_type, object_id, version, lane, body"
    sql(f"INSERT INTO events ({columns}) VALUES ('a', 'b', uuidv7(), 1, uuidv7(), '{{}}')")

    assert [row.trace_context for row in sql("SELECT trace_context FROM events")] == [None]


def test_a_function_that_notes_nothing_is_not_called(sql: Sql) -> None:
    (row,) = sql("SELECT traced(NULL) AS context, current_setting('checkout.trace', true) AS noted")

    assert row.context is None
    assert not row.noted
