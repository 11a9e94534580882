"""The log as programs read it: by numbers, in bounded pages, filtered, and never past what was committed late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from sqlalchemy import Engine

from checkout_service.events import queries
from checkout_service.events.queries import LOOKED_THROUGH, MOST_BYTES
from tests.conftest import Customer, Servers, Sql, Statements
from tests.events.rows import insert_event
from tests.refunding import insert_refund, paid_payment, staff_of

PATH = "/api/admin/events"


@pytest.fixture
def reader(customer: Customer) -> Customer:
    return staff_of(customer, scope="events:read")


def page(reader: Customer, query: str = "") -> tuple[list[int], int]:
    """The numbers of a page, and how far was looked."""
    answer = reader.get(f"{PATH}?{query}")
    assert answer.status_code == 200, answer.text
    return [event["seq"] for event in answer.json["data"]], answer.json["last_seq"]


def many(sql: Sql, count: int, *, type: str = "stock.low", day: str = "current_date") -> None:  # noqa: A002 (the column's name)
    """As many events of one kind in one go."""
    sql(
        f"""WITH written AS (
            INSERT INTO events (type, object_type, object_id, version, lane, body)
            SELECT :type, 'listing', id, 1, id, '{{}}' FROM (
                SELECT uuidv7() AS id FROM generate_series(1, :count)) AS made RETURNING id, lane
        ), series AS (
            INSERT INTO event_series AS known (last_seq, day, last_event_id)
            SELECT :count, {day}, id FROM written ORDER BY id DESC LIMIT 1
            ON CONFLICT ((true)) DO UPDATE SET last_seq = known.last_seq + :count, day = excluded.day,
                last_event_id = excluded.last_event_id
            RETURNING last_seq, day
        ), days AS (
            INSERT INTO event_days (day, first_seq) SELECT day, last_seq - :count + 1 FROM series
            ON CONFLICT (day) DO NOTHING
        ), types AS (
            INSERT INTO event_types (type, last_seq) SELECT :type, last_seq FROM series
            ON CONFLICT (type) DO UPDATE SET last_seq = excluded.last_seq
        )
        INSERT INTO event_numbers (seq, day, event_id, type, object_id, lane)
        SELECT series.last_seq - :count + row_number() OVER (ORDER BY written.id), series.day, written.id, :type, lane,
            lane FROM written, series""",
        type=type,
        count=count,
    )


def test_an_event_is_shown_with_its_object_as_it_was_written(reader: Customer, sql: Sql) -> None:
    object_id = uuid4()
    seq = insert_event(sql, "payment.paid", object_id=object_id, version=7)
    written = '{"id" : "x",\n "amount":"1.00", "ü":1e2, "b":2, "a":1}'
    sql("UPDATE events SET body = CAST(:body AS json)", body=written)
    (row,) = sql("SELECT id, created_at FROM events")

    answer = reader.get(f"{PATH}?after=0")

    moment = row.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert answer.text == (
        f'{{"data":[{{"id":"{row.id}","seq":{seq},"type":"payment.paid","object":{{"type":"payment",'
        f'"id":"{object_id}"}},"version":7,"created_at":"{moment}","data":{written}}}],"last_seq":{seq}}}'
    )
    assert answer.headers["Cache-Control"] == "no-store"
    one = reader.get(f"{PATH}/{row.id}")
    assert one.text == answer.text[len('{"data":[') : -len(f'],"last_seq":{seq}}}')]
    assert reader.get(f"{PATH}/{uuid4()}").status_code == 404


def test_the_number_of_an_order_is_filled_in_and_no_other(reader: Customer, sql: Sql) -> None:
    body = {"id": "x", "number": None, "lines": [{"number": None}]}
    first = insert_event(sql, "order.placed", object_type="order", body=body)
    insert_event(sql, "order.placed", object_type="order", body=body)
    sql("UPDATE event_numbers SET order_number = 'S-\"1042' WHERE seq = :seq", seq=first)

    shown = reader.get(PATH).json["data"]

    assert [event["data"]["number"] for event in shown] == ['S-"1042', None]
    assert shown[0]["data"]["lines"] == [{"number": None}]
    assert reader.get(f"{PATH}/{shown[0]['id']}").json == shown[0]


def test_an_empty_log_has_no_event_and_no_number(reader: Customer) -> None:
    assert page(reader) == page(reader, "after=0") == page(reader, f"object={uuid4()}") == ([], 0)
    answer = reader.get(f"{PATH}?after=1")
    assert (answer.status_code, answer.json["type"], answer.json["newest_seq"]) == (409, "/problems/events-ahead", 0)


def test_what_is_committed_late_is_never_passed(reader: Customer, sql: Sql, servers: Servers) -> None:
    """An event that was written first and committed last: it has no number meanwhile, and nobody's place is behind."""
    with psycopg.connect(servers.superuser_url.replace("+psycopg", "")) as late:
        (early,) = late.execute(
            """INSERT INTO events (type, object_type, object_id, version, lane, body)
            VALUES ('payment.paid', 'payment', uuidv7(), 1, uuidv7(), '{}') RETURNING id"""
        ).fetchone() or [None]
        insert_event(sql)
        seen, place = page(reader)
        assert (seen, place) == ([1], 1)
        assert reader.get(f"{PATH}/{early}").status_code == 404
    assert page(reader, f"after={place}") == ([], 1)
    assert reader.get(f"{PATH}/{early}").status_code == 404, "it has no number yet"
    sql(
        """WITH series AS (UPDATE event_series SET last_seq = last_seq + 1, last_event_id = :id RETURNING last_seq, day)
        INSERT INTO event_numbers (seq, day, event_id, type, object_id, lane)
        SELECT last_seq, day, event.id, type, object_id, lane FROM events AS event, series WHERE event.id = :id""",
        id=early,
    )
    assert page(reader, f"after={place}") == ([2], 2)


def test_pages_go_on_where_the_last_one_ended(reader: Customer, sql: Sql) -> None:
    for place in range(9):
        insert_event(sql, "payment.paid" if place % 3 else "refund.succeeded")

    def all_of(query: str) -> list[list[int]]:
        pages, place = list[list[int]](), 0
        while (found := page(reader, f"after={place}&{query}")) != ([], place):
            pages.append(found[0])
            place = found[1]
        assert place == 9
        return pages

    assert all_of("limit=4") == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
    assert all_of("limit=3&types=refund.succeeded") == [[1, 4, 7], []]
    assert all_of("types=payment.paid,refund.succeeded") == [list(range(1, 10))]
    assert all_of("types=dispute.lost") == [[]], "what matches nothing moves"
    assert page(reader, "after=7") == ([8, 9], 9)


def test_a_page_ends_when_its_objects_are_long_and_has_one_at_least(reader: Customer, sql: Sql) -> None:
    sizes = [MOST_BYTES // 2 - 1000, MOST_BYTES // 4, MOST_BYTES, 10, MOST_BYTES * 2, 10]
    for size in sizes:
        insert_event(sql, body={"x": uuid4().hex * (size // 32)})
    pages, place = [], 0
    while place < len(sizes):
        seen, place = page(reader, f"after={place}")
        pages.append(seen)
    assert pages == [[1, 2, 3], [4, 5], [6]]
    # What the database unpacks is bounded too, though these are stored in a hundredth of their length.
    assert sql("SELECT max(pg_column_size(body)) AS n FROM events")[0].n < MOST_BYTES / 20


def test_a_page_looks_through_so_many_numbers_and_moves(reader: Customer, sql: Sql) -> None:
    many(sql, LOOKED_THROUGH + 5)
    last = insert_event(sql, "payment.paid")
    assert page(reader, "types=payment.paid") == ([], LOOKED_THROUGH)
    assert page(reader, f"types=payment.paid&after={LOOKED_THROUGH}") == ([last], last)
    assert page(reader, "types=payment.paid&wait=30") == ([], LOOKED_THROUGH), "there is more to look through"
    (row,) = sql("SELECT object_id AS id FROM events WHERE type = 'payment.paid'")
    assert page(reader, f"object={row.id}") == ([last], last), "an object's are found by an index"


def test_the_events_of_an_object_whatever_it_is(reader: Customer, sql: Sql) -> None:
    payment_id, _ = paid_payment(sql)
    refund_id = insert_refund(sql, payment_id)
    listing_id = uuid4()
    insert_event(sql, "payment.paid", object_id=payment_id)
    insert_event(sql, "refund.requested", object_type="refund", object_id=refund_id, lane=payment_id)
    insert_event(sql, "stock.low", object_type="listing", object_id=listing_id)
    insert_event(sql, "refund.succeeded", object_type="refund", object_id=refund_id, lane=payment_id, version=2)
    insert_event(sql)

    assert page(reader, f"object={payment_id}") == ([1], 5)
    assert page(reader, f"object=payment:{str(payment_id).upper()}") == ([1], 5)
    assert page(reader, f"object=refund:{refund_id}") == ([2, 4], 5)
    assert page(reader, f"object={refund_id}&after=2") == ([4], 5)
    assert page(reader, f"object={refund_id}&limit=1") == ([2], 2)
    assert page(reader, f"object={refund_id}&types=refund.succeeded") == ([4], 5)
    assert page(reader, f"object=payment:{refund_id}") == ([], 5)
    assert page(reader, f"object=listing:{listing_id}") == ([3], 5)


def test_what_is_no_longer_kept_is_410_and_says_from_where_to_go_on(reader: Customer, sql: Sql) -> None:
    for _ in range(6):
        insert_event(sql)
    sql("DELETE FROM event_numbers WHERE seq <= 4")
    sql("UPDATE event_series SET dropped_seq = 4")

    for query in ("after=0", "after=3", f"after=3&object={uuid4()}", "after=3&types=stock.low&wait=30"):
        answer = reader.get(f"{PATH}?{query}")
        assert (answer.status_code, answer.json["type"]) == (410, "/problems/events-dropped")
        assert answer.json["oldest_seq"] == 4
    assert page(reader, "after=4") == page(reader) == ([5, 6], 6), "without a number it begins with the oldest"
    assert page(reader, "types=stock.low") == ([], 6)


def test_a_body_that_was_dropped_before_its_number_is_no_gap(reader: Customer, sql: Sql) -> None:
    for _ in range(5):
        insert_event(sql)
    sql("DELETE FROM events WHERE id IN (SELECT event_id FROM event_numbers WHERE seq IN (1, 2, 4))")
    assert reader.get(f"{PATH}?after=0").json["oldest_seq"] == 1
    assert reader.get(f"{PATH}?after=1").json["oldest_seq"] == 2
    assert page(reader, "after=2") == ([3], 3)
    assert reader.get(f"{PATH}?after=3").status_code == 410
    assert page(reader, "after=4") == ([5], 5)


def test_a_number_of_before_a_restore_is_409(reader: Customer, sql: Sql) -> None:
    for _ in range(5):
        insert_event(sql)
    _, place = page(reader)
    sql("DELETE FROM event_numbers WHERE seq > 3")
    sql("UPDATE event_series SET last_seq = 3")

    for query in (f"after={place}", f"after={place}&object={uuid4()}", "after=4&wait=30", f"after={10**18 - 1}"):
        answer = reader.get(f"{PATH}?{query}")
        assert (answer.status_code, answer.json["type"], answer.json["newest_seq"]) == (
            *(409, "/problems/events-ahead", 3),
        )
    assert page(reader, "after=3") == ([], 3)


def test_days_before_the_number_are_not_read_and_those_after_it_are(reader: Customer, sql: Sql) -> None:
    many(sql, 3, day="current_date - 2")
    many(sql, 3, day="current_date - 1")
    insert_event(sql)
    assert page(reader) == ([1, 2, 3, 4, 5, 6, 7], 7)
    assert page(reader, "after=2") == ([3, 4, 5, 6, 7], 7)
    assert page(reader, "after=3&limit=3") == ([4, 5, 6], 6)


def test_a_test_event_is_read_by_its_id_alone(reader: Customer, sql: Sql) -> None:
    (row,) = sql(
        """INSERT INTO events (type, object_type, object_id, version, lane, body)
        VALUES ('webhook_endpoint.test', 'webhook_endpoint', uuidv7(), 1, uuidv7(), '{}') RETURNING id, object_id"""
    )
    shown = reader.get(f"{PATH}/{row.id}").json
    assert (shown["seq"], shown["type"]) == (None, "webhook_endpoint.test")
    assert page(reader, f"object={row.object_id}") == ([], 0)


@pytest.mark.parametrize(
    "query",
    [
        *("after=-1", "after=x", "after=1.0", "after=%2B1", "after=1_0", "after=", f"after={2**63}", "after=1&after=2"),
        *("limit=0", "limit=1001", "limit=", "wait=31", "wait=-1", "wait=1s", "since=1", "Types=payment.paid"),
        *("types=", "types=payment.*", "types=payment.paid,", "types=payment.paid,%20refund.failed"),
        *("types=payment.paid,payment.paid", "types=Payment.paid", "types=payment.pending", "types=%00"),
        *("types=webhook_endpoint.test", "types=payment.paid&types=refund.failed", "type=payment.paid"),
        *("object=", "object=1", "object=payment:", f"object=:{UUID(int=1)}", f"object=payments:{UUID(int=1)}"),
        *(f"object=payment:payment:{UUID(int=1)}", f"object={{{UUID(int=1)}}}", f"object=payment:{UUID(int=1).hex}"),
        *(f"object=PAYMENT:{UUID(int=1)}", f"object=payment%20:{UUID(int=1)}"),
    ],
)
def test_what_is_spelt_otherwise_is_refused(reader: Customer, query: str) -> None:
    answer = reader.get(f"{PATH}?{query}")
    assert (answer.status_code, answer.json["type"]) == (422, "/problems/invalid"), answer.text
    assert answer.json["errors"][0]["pointer"] == f"/{query.partition('=')[0]}"


def test_a_page_takes_one_statement_however_long_it_is(reader: Customer, sql: Sql, statements: Statements) -> None:
    many(sql, 300)
    (row,) = sql("SELECT id, object_id FROM events LIMIT 1")
    # A connection's first use asks the server about itself.
    reader.get(PATH)
    for path in (
        "?limit=300",
        "?limit=3&types=stock.low",
        f"?object={row.object_id}",
        "?after=300&wait=5",
        f"/{row.id}",
    ):
        with statements() as seen:
            assert reader.get(PATH + path).status_code == 200
        assert len(seen) == 1, path


@pytest.fixture
def partitioned(one_day: None, sql: Sql, superuser: Engine) -> Iterator[None]:
    """Partitions of the thirteen days before today."""
    names = []
    with superuser.connect() as connection:
        for back in range(1, 14):  # today has its own, and so has the day before where the migration was on it
            for table, edge in (("events", _first_id), ("event_numbers", _day)):
                if sql(f"SELECT WHERE to_regclass('{table}_{_date(back):%Y%m%d}') IS NOT NULL"):
                    continue
                names.append(f"{table}_test_{back}")
                connection.exec_driver_sql(
                    f"CREATE TABLE {names[-1]} PARTITION OF {table} FOR VALUES FROM {edge(back)} TO {edge(back - 1)}"
                )
        yield
        connection.exec_driver_sql(f"DROP TABLE {', '.join(names)}")


def _date(back: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=back)


def _day(back: int) -> str:
    return f"('{_date(back)}')"


def _first_id(back: int) -> str:
    midnight = datetime.combine(_date(back), time(), UTC)
    return f"('{UUID(int=int(midnight.timestamp() * 1000) << 80)}')"


@pytest.mark.parametrize("read", ["page", "types", "object", "one"])
def test_no_read_walks_through_a_whole_log(partitioned: None, sql: Sql, superuser: Engine, read: str) -> None:
    """As PostgreSQL runs it: rows that were read, of 28,000 in 14 days."""
    sql(
        """WITH today AS (SELECT CAST(now() AT TIME ZONE 'UTC' AS date) AS day), written AS (
            INSERT INTO events (id, type, object_type, object_id, version, lane, body)
            SELECT uuidv7(make_interval(days => -day)), 'stock.low', 'listing', id, 1, id, '{}'
            FROM (SELECT uuidv7() AS id, number / 2000 AS day FROM generate_series(0, 27999) AS number) AS made
            RETURNING id, lane
        ), days AS (
            INSERT INTO event_days (day, first_seq)
            SELECT today.day - back, (13 - back) * 2000 + 1 FROM today, generate_series(0, 13) AS back
        ), series AS (
            INSERT INTO event_series (last_seq, day, last_event_id)
            SELECT 28000, day, id FROM today, written ORDER BY id DESC LIMIT 1
        )
        INSERT INTO event_numbers (seq, day, event_id, type, object_id, lane)
        SELECT row_number() OVER (ORDER BY id), CAST(uuid_extract_timestamp(id) AT TIME ZONE 'UTC' AS date), id,
            'stock.low', lane, lane
        FROM written"""
    )
    sql("ANALYZE events, event_numbers")
    (row,) = sql("SELECT event_id AS id, object_id FROM event_numbers WHERE seq = 20000")
    values: dict[str, Any] = {"after": 19_000, "types": None, "limit": 100, "object_type": None}
    values |= {"object_id": row.object_id, "id": row.id}
    statement, most = {
        "page": (queries._page_looked_through, 1_000),
        "types": (queries._page_looked_through, 30_000),
        "object": (queries._page_of_object, 100),
        "one": (queries._one, 100),
    }[read]
    values["types"] = ["payment.paid"] if read == "types" else None
    with superuser.connect() as connection:
        raw = connection.connection.cursor()
        raw.execute("SET enable_seqscan = off")  # so small a day would be
        raw.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", {**statement.constants, **values})
        (plan,) = raw.fetchone()[0]
        raw.execute("RESET enable_seqscan")

    read_rows = sum(_rows(node) for node in _nodes(plan["Plan"]) if "Relation Name" in node)
    assert 1 <= read_rows <= most, orjson.dumps(plan, option=orjson.OPT_INDENT_2).decode()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _rows(node: dict[str, Any]) -> float:
    loops: float = node["Actual Loops"]
    return loops * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
