"""A customer's payments in keyset pages: nothing twice, nothing left out, whatever is added meanwhile."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import Customer, Sql, Statements

PATH = "/api/payments"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MEMBERS = {
    "id",
    "status",
    "amount",
    "currency",
    "amount_captured",
    "amount_lost",
    "amount_refundable",
    "amount_authorized",
    "amount_accepted",
    "amount_refunded",
    "amount_refunding",
    "under_way",
    "authorization_expires_at",
    "duplicate_of",
    "order",
    "provider",
    "under_review",
    "version",
    "created_at",
    "updated_at",
}


def insert(sql: Sql, customer: Customer, created_at: datetime, count: int = 1) -> list[str]:
    """Payments of one moment; their ids as the list shows them, newest first."""
    sql("INSERT INTO users (id) VALUES (:id) ON CONFLICT DO NOTHING", id=customer.id)
    rows = [
        sql(
            """INSERT INTO payments (user_id, provider, provider_ref, amount, currency, created_at)
            VALUES (:user, 'mock', :reference, 1, 'USD', :at) RETURNING id""",
            user=customer.id,
            reference=uuid4().hex,
            at=created_at,
        )[0].id
        for _ in range(count)
    ]
    return [str(id_) for id_ in sorted(rows, reverse=True)]


def walk(customer: Customer, limit: int) -> list[str]:
    """Every id, page by page."""
    found: list[str] = []
    page = customer.get(f"{PATH}?limit={limit}").json
    while True:
        assert len(page["data"]) <= limit
        found += [payment["id"] for payment in page["data"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            return found
        page = customer.get(PATH, query_string={"limit": limit, "cursor": page["next_cursor"]}).json


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_no_payments_are_an_empty_page(customer: Customer) -> None:
    answer = customer.get(PATH)

    assert answer.status_code == 200
    assert answer.json == {"data": [], "next_cursor": None, "has_more": False}
    assert "Link" not in answer.headers


def test_list_shows_own_payments_newest_first(customer: Customer, other_customer: Customer, sql: Sql) -> None:
    insert(sql, other_customer, NOON, 3)
    old, new = insert(sql, customer, NOON), insert(sql, customer, NOON + timedelta(microseconds=1))

    page = customer.get(PATH).json

    assert [payment["id"] for payment in page["data"]] == new + old
    assert set(page["data"][0]) == MEMBERS
    assert page["data"][1]["created_at"] == "2026-01-01T12:00:00Z"


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_hold_everything_once_even_where_moments_tie(customer: Customer, sql: Sql, limit: int) -> None:
    expected: list[str] = []
    for minute in range(3):
        expected = insert(sql, customer, NOON + timedelta(minutes=minute), 3) + expected

    assert walk(customer, limit) == expected


def test_pages_are_stable_while_payments_are_added(customer: Customer, sql: Sql) -> None:
    expected = insert(sql, customer, NOON, 4)
    first = customer.get(f"{PATH}?limit=2").json
    insert(sql, customer, NOON + timedelta(minutes=1), 3)
    second = customer.get(PATH, query_string={"limit": 2, "cursor": first["next_cursor"]}).json

    assert [payment["id"] for payment in first["data"] + second["data"]] == expected
    assert second["has_more"] is False


def test_link_header_leads_to_the_next_page(customer: Customer, sql: Sql) -> None:
    expected = insert(sql, customer, NOON, 3)
    first = customer.get(f"{PATH}?limit=2")
    link = first.headers["Link"]
    assert link.endswith('>; rel="next"')

    second = customer.get(link[1 : link.index(">")])

    assert [payment["id"] for payment in second.json["data"]] == expected[2:]
    assert "Link" not in second.headers


def test_full_last_page_has_no_next(customer: Customer, sql: Sql) -> None:
    insert(sql, customer, NOON, 2)

    assert customer.get(f"{PATH}?limit=2").json["has_more"] is False


def test_page_holds_twenty_unless_requested(customer: Customer, sql: Sql) -> None:
    insert(sql, customer, NOON, 21)

    page = customer.get(PATH).json
    assert len(page["data"]) == 20
    assert page["has_more"] is True


def test_cursor_of_another_customer_shows_only_own_payments(
    customer: Customer, other_customer: Customer, sql: Sql
) -> None:
    insert(sql, other_customer, NOON, 3)
    mine = insert(sql, customer, NOON - timedelta(days=1))
    theirs = other_customer.get(f"{PATH}?limit=1").json["next_cursor"]

    page = customer.get(PATH, query_string={"cursor": theirs}).json
    assert [payment["id"] for payment in page["data"]] == mine


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1000000", "nonsense", "", "1.5", "1e1", "9" * 5000])
def test_limit_out_of_bounds_is_refused(customer: Customer, limit: str) -> None:
    answer = customer.get(PATH, query_string={"limit": limit})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == ["/limit"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "!!!",
        "é",
        "a" * 201,
        "\x00",
        encoded("nonsense"),
        encoded(f"{NOON.isoformat()}"),
        encoded(f"{NOON.isoformat()} nonsense"),
        encoded(f" {UUID(int=1)}"),
        encoded(f"yesterday {UUID(int=1)}"),
        encoded(f"2026-01-01T12:00:00 {UUID(int=1)}"),
        encoded(f"99999-01-01T00:00:00+00:00 {UUID(int=1)}"),
        encoded(f"{NOON.isoformat()} {UUID(int=1)}\x00"),
    ],
)
def test_what_is_no_cursor_of_ours_is_refused(customer: Customer, sql: Sql, cursor: str) -> None:
    insert(sql, customer, NOON)
    answer = customer.get(PATH, query_string={"cursor": cursor})

    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json["errors"]] == ["/cursor"]


@pytest.mark.parametrize(
    "moment", ["2026-01-01T12:00:00+00:00:00.000001", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
)
def test_cursor_from_the_edge_of_time_does_no_harm(customer: Customer, sql: Sql, moment: str) -> None:
    insert(sql, customer, NOON)
    answer = customer.get(PATH, query_string={"cursor": encoded(f"{moment} {UUID(int=1)}")})

    assert answer.status_code in {200, 422}, answer.text


def test_listing_takes_two_statements_at_most(customer: Customer, sql: Sql, statements: Statements) -> None:
    insert(sql, customer, NOON, 30)
    with statements() as seen:
        page: dict[str, Any] = customer.get(f"{PATH}?limit=10").json
        customer.get(PATH, query_string={"cursor": page["next_cursor"]})

    assert len(seen) <= 2 * 2


@pytest.mark.parametrize("path", [PATH, f"{PATH}/{UUID(int=1)}"])
def test_nobody_reads_without_a_token(customer: Customer, sql: Sql, path: str) -> None:
    insert(sql, customer, NOON)
    answer = customer.client.get(path)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
