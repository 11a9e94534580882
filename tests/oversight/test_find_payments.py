"""Staff and programs find payments: the filters, their pages, and what each costs among 30,000 payments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask

from checkout_service.api.responses import show_time
from checkout_service.cursors import Cursor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.oversight import payment_search
from checkout_service.oversight.payment_search import (
    PaymentFilters,
    find_payments,
    page_statement,
    parameters,
    selection,
)
from checkout_service.payments.status import PaymentStatus
from tests.conftest import Customer, Servers, Sql, Statements
from tests.money import bring_to, fold
from tests.refunding import open_payment, staff_of

PATH = "/api/admin/payments"


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer, scope="payments:read")


def found(staff: Customer, **query: Any) -> list[str]:
    """The ids on the first page."""
    answer = staff.get(PATH, query_string=query)
    assert answer.status_code == 200, answer.text
    return [payment["id"] for payment in answer.json["data"]]


def made(sql: Sql, count: int, **options: Any) -> list[Any]:
    """The rows of new payments, the oldest first."""
    for _ in range(count):
        open_payment(sql, **options)
    return sql("SELECT * FROM payments ORDER BY created_at, id")


def ids(rows: Any) -> list[str]:
    return [str(row.id) for row in rows]


def test_everybodys_payments_come_newest_first_as_staff_see_them(staff: Customer, sql: Sql, customer: Customer) -> None:
    rows = [*made(sql, 2), *made(sql, 1, owner=customer.id)[-1:]]
    sql("UPDATE payments SET review_reason = 'mismatch, overpaid' WHERE id = :id", id=rows[0].id)

    page = staff.get(PATH).json

    assert [payment["id"] for payment in page["data"]] == ids(reversed(rows))
    assert (page["next_cursor"], page["has_more"]) == (None, False)
    newest, oldest = page["data"][0], page["data"][-1]
    assert (newest["customer"], newest["reference"]) == (str(customer.id), rows[-1].provider_ref)
    assert (newest["review_reasons"], oldest["review_reasons"]) == ([], ["mismatch", "overpaid"])
    own = customer.get("/api/payments").json["data"][0]
    assert {name: newest[name] for name in own} == own


def test_each_filter_narrows_and_all_of_them_hold(staff: Customer, sql: Sql, customer: Customer) -> None:
    first, second, third = made(sql, 3)
    (mine,) = made(sql, 1, owner=customer.id)[-1:]
    bring_to(sql, second.id, "paid")
    sql("ALTER TABLE payments DISABLE TRIGGER payments_guard")
    sql("UPDATE payments SET provider = 'stripe' WHERE id = :id", id=third.id)
    sql("ALTER TABLE payments ENABLE TRIGGER payments_guard")

    assert found(staff, status="paid") == ids([second])
    assert found(staff, status="pending") == ids([mine, third, first])
    assert found(staff, provider="stripe") == ids([third])
    assert found(staff, provider="none_such") == []
    assert found(staff, customer=customer.id) == ids([mine])
    assert found(staff, customer=uuid4()) == []
    assert found(staff, reference=third.provider_ref) == ids([third])
    assert found(staff, reference=third.provider_ref[:-1]) == []
    assert found(staff, reference=third.provider_ref, provider="mock") == []
    assert found(staff, status="pending", provider="mock", customer=mine.user_id) == ids([mine])
    assert found(staff, status="paid", customer=mine.user_id) == []


def test_since_and_until_are_exact_to_the_microsecond(staff: Customer, sql: Sql) -> None:
    rows = made(sql, 3)
    middle, tick = rows[1].created_at, timedelta(microseconds=1)

    for rest in ({}, {"status": "pending"}, {"provider": "mock"}):
        assert found(staff, since=show_time(middle), **rest) == ids([rows[2], rows[1]])
        assert found(staff, since=show_time(middle + tick), **rest) == ids([rows[2]])
        assert found(staff, until=show_time(middle), **rest) == ids([rows[0]])
        assert found(staff, until=show_time(middle + tick), **rest) == ids([rows[1], rows[0]])
    assert found(staff, customer=rows[1].user_id, since=show_time(middle)) == ids([rows[1]])
    assert found(staff, customer=rows[1].user_id, until=show_time(middle)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "lost"),
        ("status", ""),
        ("provider", "Stripe!"),
        ("provider", "x" * 51),
        ("provider", "mock\n"),
        ("customer", "1"),
        ("since", "yesterday"),
        ("until", "2026-13-01"),
        ("updated_after", "2026-11-25T10:00:00"),
        ("reference", ""),
        ("reference", "x" * 256),
        ("reference", "a\0b"),
        ("limit", "101"),
        ("cursor", "nonsense"),
        ("updated_since", "2026-01-01"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(staff: Customer, name: str, value: str) -> None:
    answer = staff.get(PATH, query_string={name: value})

    assert (answer.status_code, answer.json["type"]) == (422, "/problems/invalid"), answer.text
    assert [error["pointer"] for error in answer.json["errors"]] == [f"/{name}"]


@pytest.mark.parametrize("value", ["'; DROP TABLE payments; --", "%(x)s", "{edge}", ":limit", "\u202e1"])
def test_hostile_references_find_nothing(staff: Customer, sql: Sql, value: str) -> None:
    made(sql, 1)
    assert found(staff, reference=value) == []


def walked(staff: Customer, **query: Any) -> list[str]:
    """The ids of all pages, by their links."""
    answer = staff.get(PATH, query_string=query)
    seen = [payment["id"] for payment in answer.json["data"]]
    while "Link" in answer.headers:
        assert answer.json["has_more"]
        link = answer.headers["Link"]
        answer = staff.get(link[1 : link.index(">")])
        seen += [payment["id"] for payment in answer.json["data"]]
    assert not answer.json["has_more"]
    return seen


def test_links_lead_through_all_pages_with_their_filters(staff: Customer, sql: Sql, customer: Customer) -> None:
    rows = made(sql, 5, owner=customer.id)
    made(sql, 1)
    same = rows[0].created_at
    sql("UPDATE payments SET created_at = :same, updated_at = :same WHERE user_id = :id", same=same, id=customer.id)
    of_one_moment = sorted(ids(rows), reverse=True)

    assert walked(staff, customer=customer.id, status="pending", limit=2) == of_one_moment
    assert walked(staff, status="pending", until=show_time(same + timedelta(microseconds=1)), limit=2) == of_one_moment
    before = show_time(same - timedelta(microseconds=1))
    assert walked(staff, updated_after=before, customer=customer.id, limit=2) == of_one_moment[::-1]


def test_what_changed_comes_in_the_order_of_its_change(staff: Customer, sql: Sql) -> None:
    rows = made(sql, 4)
    for row in (rows[2], rows[0]):
        bring_to(sql, row.id, "paid")
    now = {str(row.id): row.updated_at for row in sql("SELECT id, updated_at FROM payments")}

    assert found(staff, updated_after=show_time(rows[3].updated_at)) == ids([rows[2], rows[0]])
    assert found(staff, updated_after=show_time(now[str(rows[2].id)])) == ids([rows[0]])
    assert found(staff, updated_after=show_time(now[str(rows[0].id)])) == []
    assert found(staff, updated_after="2026-01-01") == ids([rows[1], rows[3], rows[2], rows[0]])
    assert found(staff, updated_after="2026-01-01", status="paid") == ids([rows[2], rows[0]])


def test_whoever_polls_by_updated_after_sees_each_change_also_of_what_changes_meanwhile(
    staff: Customer, sql: Sql
) -> None:
    """A payment that moves while somebody goes through the pages comes behind them, in its new place."""
    rows = made(sql, 6)
    known: dict[str, int] = {}
    after, turns = "2026-01-01", 0
    while True:
        page = staff.get(PATH, query_string={"updated_after": after, "limit": 2}).json["data"]
        if not page:
            break
        known |= {payment["id"]: payment["version"] for payment in page}
        after = page[-1]["updated_at"]
        if turns < 3:
            bring_to(sql, rows[turns].id, "paid")
            bring_to(sql, rows[5 - turns].id, "paid")
        turns += 1

    assert known == {str(row.id): row.version for row in sql("SELECT id, version FROM payments")}
    assert len(known) == 6


def test_an_unchanged_page_is_304(staff: Customer, sql: Sql) -> None:
    payment_id, _ = open_payment(sql)
    answer = staff.get(PATH)

    assert staff.get(PATH, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    bring_to(sql, payment_id, "paid")
    assert staff.get(PATH, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 200


def test_a_page_takes_one_statement_and_so_does_a_short_one(staff: Customer, sql: Sql, statements: Statements) -> None:
    made(sql, 3)
    for query in ({"limit": 1}, {"status": "pending"}, {"provider": "mock"}, {"provider": "stripe"}, {"limit": 3}):
        with statements() as seen:
            found(staff, **query)
        assert len(seen) == 1, (query, seen)


@pytest.mark.parametrize(("bound", "looks"), [(1, 1), (1, 20), (2, 1), (3, 2), (7, 1), (50, 1)])
def test_a_search_that_looked_through_enough_says_where_to_go_on(
    app: Flask, sql: Sql, customer: Customer, monkeypatch: pytest.MonkeyPatch, bound: int, looks: int
) -> None:
    """Whatever is looked through at a time, each payment is found once."""
    rows = made(sql, 12, owner=customer.id)
    sql("ALTER TABLE payments DISABLE TRIGGER payments_guard")
    for row in rows[1::3]:
        sql("UPDATE payments SET provider = 'stripe' WHERE id = :id", id=row.id)
    sql("ALTER TABLE payments ENABLE TRIGGER payments_guard")
    monkeypatch.setattr(payment_search, "LOOKED_THROUGH", bound)
    monkeypatch.setattr(payment_search, "MOST_LOOKS", looks)
    newest = ids(reversed(rows[1::3]))
    for filters, expected in (
        (PaymentFilters(provider="stripe"), newest),
        (PaymentFilters(provider="stripe", customer=customer.id), newest),
        (PaymentFilters(provider="stripe", status=PaymentStatus.PENDING), newest),
        (PaymentFilters(provider="stripe", updated_after=datetime(2026, 1, 1, tzinfo=UTC)), newest[::-1]),
    ):
        with app.app_context():
            pages, cursor = list[list[str]](), None
            while True:
                page = find_payments(filters, limit=2, cursor=cursor)
                pages.append([payment["id"] for payment in page.payments])
                cursor = page.next_cursor
                if cursor is None:
                    break
                assert len(pages) < 50
        assert [each for page in pages for each in page] == expected, filters


Move = Callable[[Sql, list[Any]], object]

MOVES: dict[str, tuple[dict[str, Any], Move, int]] = {  # filters, what happens, the payment that would be passed
    "changes": (
        {"updated_after": datetime(2026, 1, 1, tzinfo=UTC)},
        lambda sql, rows: [bring_to(sql, row.id, "paid") for row in rows[:2]],
        3,
    ),
    "of another status": (
        {"status": PaymentStatus.PENDING},
        lambda sql, rows: [bring_to(sql, row.id, "paid") for row in rows[-2:]],
        -4,
    ),
    "new ones": ({}, lambda sql, _rows: made(sql, 2), -3),
}


@pytest.mark.parametrize("case", MOVES.values(), ids=MOVES)
def test_whatever_moves_between_two_looks_no_other_payment_is_passed_or_found_twice(
    app: Flask, sql: Sql, monkeypatch: pytest.MonkeyPatch, case: tuple[dict[str, Any], Move, int]
) -> None:
    given, move, place = case
    rows = made(sql, 12)
    sql("ALTER TABLE payments DISABLE TRIGGER payments_guard")
    sql("UPDATE payments SET provider = 'stripe' WHERE id = :id", id=rows[place].id)
    sql("ALTER TABLE payments ENABLE TRIGGER payments_guard")
    looks = list[object]()

    def moved(*arguments: Any) -> Any:
        found = execute(*arguments)
        if not looks:
            move(sql, rows)
        looks.append(found)
        return found

    monkeypatch.setattr(payment_search, "LOOKED_THROUGH", 3)
    monkeypatch.setattr(payment_search, "execute", moved)
    with app.app_context():
        page = find_payments(PaymentFilters(provider="stripe", **given), limit=5, cursor=None)

    assert [payment["id"] for payment in page.payments] == [str(rows[place].id)]
    assert len(looks) > 2


@pytest.fixture
def web(servers: Servers) -> Iterator[psycopg.Connection[Any]]:
    url = servers.web_url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def many_payments(sql: Sql, count: int) -> None:
    """So many payments of 1,000 customers, a minute between two; one in 600 is open, the others are paid."""
    at = "date_trunc('minute', now()) - n * interval '1 minute'"
    for statement in (
        "INSERT INTO users (id) SELECT md5('user' || n)::uuid FROM generate_series(0, 999) AS n",
        f"""INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency, created_at, updated_at, status,
            amount_captured, raw_payload)
        SELECT md5('payment' || n)::uuid, md5('user' || n % 1000)::uuid, 'mock', 'many_' || n, 30, 'USD', {at},
            {at} + interval '30 seconds',
            (CASE WHEN n % 600 = 599 THEN 'pending' ELSE 'paid' END)::payment_status, 30,
            jsonb_build_object('note', repeat('x', 400))
        FROM generate_series(0, {count} - 1) AS n ORDER BY md5('payment' || n)""",
        "ANALYZE payments, users",
    ):
        sql(f"SET session_replication_role = replica; {statement}; RESET session_replication_role")


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from steps(inner)


def test_no_search_among_30000_payments_scans_a_table(sql: Sql, web: psycopg.Connection[Any]) -> None:
    """By the plans that PostgreSQL made and ran as the web tier: along indexes, and a bounded number of rows."""
    many_payments(sql, 30_000)
    now = datetime.now(UTC)
    user = sql("SELECT md5('user7')::uuid AS id")[0].id
    month = {"since": now - timedelta(days=19), "until": now - timedelta(days=3)}
    long_ago, lately = {"updated_after": now - timedelta(days=30)}, {"updated_after": now - timedelta(hours=10)}
    cases: list[tuple[dict[str, Any], int, int]] = [  # filters, payments on the page, buffers that it may touch
        ({}, 21, 400),
        ({"reference": "many_23333"}, 1, 50),
        ({"reference": "none"}, 0, 50),
        ({"customer": user}, 21, 400),
        ({"customer": UUID(int=1)}, 0, 50),
        ({"status": PaymentStatus.PENDING}, 21, 400),
        ({"status": PaymentStatus.PAID}, 21, 2_500),
        ({"status": PaymentStatus.AUTHORIZED}, 0, 50),
        (month, 21, 400),
        ({"customer": user, **month}, 21, 400),
        ({"status": PaymentStatus.PENDING, **month}, 21, 400),
        ({"provider": "mock"}, 21, 2_500),
        (long_ago, 21, 400),
        (lately, 21, 400),
        ({"status": PaymentStatus.PENDING, **long_ago}, 1, 2_500),
        ({"customer": user, **long_ago}, 1, 2_500),
        # What is rare beside an index that tells little is looked for in so many rows, and no more.
        ({"provider": "stripe"}, 0, 2_500),
        ({"provider": "stripe", "status": PaymentStatus.PAID, **month}, 0, 2_500),
        ({"provider": "stripe", **long_ago}, 0, 2_500),
    ]
    for given, count, most in cases:
        filters = PaymentFilters(**given)
        chosen = selection(filters)
        edge = Cursor(now, UUID(int=2**128 - 1)) if chosen.newest else Cursor(now - timedelta(days=99), UUID(int=0))
        for statement in (page_statement(chosen, False), page_statement(chosen, True)):
            values = parameters(filters, edge) | {"limit": 21}
            plan = explained(web, statement, values)
            kinds = {(step["Node Type"], step.get("Relation Name")) for step in steps(plan)}
            scanned = [kind for kind in kinds if kind[0] == "Seq Scan" and kind[1] == "payments"]
            assert not scanned, (given, statement.sql, kinds)
            touched = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            assert touched <= most, (given, statement.sql, touched)
            found = plan["Actual Rows"]
            assert found >= min(count, 1), (given, statement.sql)
            assert found == count or count == 1 or (not count and not chosen.whole), (given, found, statement.sql)


def explained(web: psycopg.Connection[Any], statement: Statement, values: dict[str, Any]) -> dict[str, Any]:
    row = web.execute(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.sql}", {**statement.constants, **values}
    ).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def test_a_change_is_a_change_of_the_row(sql: Sql, staff: Customer) -> None:
    """What ``updated_after`` goes by moves when the fold changes something, and only then."""
    payment_id, _ = open_payment(sql)
    before = sql("SELECT updated_at FROM payments")[0].updated_at
    fold(sql, payment_id)
    assert found(staff, updated_after=show_time(before)) == []
    bring_to(sql, payment_id, "paid")
    assert found(staff, updated_after=show_time(before)) == [str(payment_id)]
