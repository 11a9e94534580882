"""A customer reads what became of the money."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from checkout_service.payments.queries import TIMELINE
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.money import fold
from tests.purchases import fill_cart, opened
from tests.refunding import staff_of

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
    "timeline",
    "earlier_cursor",
    "next_action",
}


@pytest.fixture
def payment(customer: Customer, make_listing: MakeListing) -> str:
    """The path of the customer's payment of 240.00 USD."""
    session = opened(customer, fill_cart(customer, (make_listing(unit_price="120.00"), 2)))
    return f"/api/payments/{session['payment_id']}"


def add_event(sql: Sql, path: str, **columns: Any) -> None:
    values = {
        "payment_id": UUID(path.rpartition("/")[2]),
        "provider": "mock",
        "event_id": uuid4().hex,
        "status": "paid",
        "outcome": "applied",
    } | columns
    marks = ", ".join(f"CAST(:{name} AS payment_status)" if name == "status" else f":{name}" for name in values)
    sql(f"INSERT INTO payment_events ({', '.join(values)}) VALUES ({marks})", **values)


def test_fresh_payment_is_pending_with_an_empty_timeline(customer: Customer, payment: str) -> None:
    answer = customer.get(payment)

    assert answer.status_code == 200
    assert set(answer.json) == MEMBERS
    assert answer.json["id"] == payment.rpartition("/")[2]
    assert (answer.json["status"], answer.json["provider"]) == ("pending", "mock")
    assert (answer.json["amount"], answer.json["currency"]) == ("240.00", "USD")
    assert answer.json["under_review"] is False
    assert answer.json["timeline"] == []
    assert answer.json["earlier_cursor"] is None
    for moment in ("created_at", "updated_at"):
        assert answer.json[moment].endswith("Z")
        assert abs((datetime.now(UTC) - datetime.fromisoformat(answer.json[moment])).total_seconds()) < 60
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_timeline_shows_each_event_oldest_first(customer: Customer, payment: str, sql: Sql) -> None:
    add_event(sql, payment, status="failed", outcome="stale", received_at=datetime(2026, 1, 3, tzinfo=UTC))
    add_event(
        sql,
        payment,
        amount="240.00",
        currency="USD",
        occurred_at=datetime(2026, 1, 1, 12, 30, tzinfo=UTC),
        received_at=datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC),
    )

    timeline = customer.get(payment).json["timeline"]
    assert all(UUID(entry.pop("id")) for entry in timeline)
    assert timeline == [
        {
            "kind": "event",
            "name": None,
            "status": "paid",
            "outcome": "applied",
            "amount": "240.00",
            "currency": "USD",
            "occurred_at": "2026-01-01T12:30:00Z",
            "received_at": "2026-01-02T03:04:05.678900Z",
            "reason": None,
            "entries": [],
        },
        {
            "kind": "event",
            "name": None,
            "status": "failed",
            "outcome": "stale",
            "amount": None,
            "currency": None,
            "occurred_at": None,
            "received_at": "2026-01-03T00:00:00Z",
            "reason": None,
            "entries": [],
        },
    ]


def test_payment_tells_nothing_of_the_inside(customer: Customer, payment: str, sql: Sql) -> None:
    sql("""UPDATE payments SET raw_payload = '{"card": "ends in 4242"}'""")
    payment_id = payment.rpartition("/")[2]
    sql(
        """INSERT INTO payment_notices (payment_id, reason, ref) VALUES (:id, 'fraud_warning', 'issfr_1')""",
        id=payment_id,
    )
    sql(
        "INSERT INTO payment_reviews (payment_id, reason, amounts) VALUES (:id, 'fraud_warning', 'before')",
        id=payment_id,
    )
    waiting = {"attempt": "ch_2", "status": "under_way"}
    failed = {"attempt": "ch_1", "status": "failed"}
    words = [failed, waiting | {"pending": "review"}, {"notice": "fraud_warning", "about": "issfr_1"}]
    sql(
        """INSERT INTO payment_events (provider, event_id, payment_id, outcome, received_at, entries)
        VALUES ('mock', 'evt_1', :id, 'applied', now(), CAST(:words AS jsonb))""",
        id=payment_id,
        words=json.dumps(words),
    )
    fold(sql, payment_id)

    answer = customer.get(payment)

    assert answer.json["under_review"] is True
    assert [entry["entries"] for entry in answer.json["timeline"]] == [[failed, waiting]]
    assert "ends in 4242" not in answer.text
    assert "fraud_warning" not in answer.text
    assert set(answer.json) == MEMBERS
    shown = staff_of(customer).get(payment).json
    assert shown["review_reasons"] == ["fraud_warning"]
    assert [(entry["kind"], entry["name"], entry["reason"]) for entry in shown["timeline"]] == [
        ("notice", "issfr_1", "fraud_warning"),
        ("review", None, "fraud_warning"),
        ("event", None, None),
    ]
    assert shown["timeline"][-1]["entries"] == words


def test_unchanged_payment_is_304_without_a_body(customer: Customer, payment: str) -> None:
    first = customer.get(payment)
    again = customer.get(payment, headers={"If-None-Match": first.headers["ETag"]})

    assert again.status_code == 304
    assert again.data == b""
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', 'W/"other", W/{}', "*"])
def test_etag_is_compared_as_rfc_9110_says(customer: Customer, payment: str, form: str) -> None:
    etag = customer.get(payment).headers["ETag"]
    assert etag.startswith('W/"'), "a proxy may compress what it names"

    known = form.format(etag.removeprefix("W/"))
    assert customer.get(payment, headers={"If-None-Match": known}).status_code == 304


@pytest.mark.parametrize(
    "change",
    [
        """INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at)
        SELECT id, provider, 'ch_1', 'under_way', now() FROM payments""",
        """INSERT INTO captures (payment_id, provider, capture_ref, status, amount, currency)
        SELECT id, provider, 'ch_1', 'pending', 240, 'USD' FROM payments""",
        """INSERT INTO disputes (payment_id, provider, dispute_ref, stage, status)
        SELECT id, provider, 'dp_1', 'inquiry', 'needs_response' FROM payments""",
        """INSERT INTO payment_events (payment_id, provider, event_id, status, outcome)
        SELECT id, 'mock', 'evt_1', 'failed', 'stale' FROM payments""",
    ],
)
def test_etag_changes_with_whatever_is_shown(customer: Customer, payment: str, sql: Sql, change: str) -> None:
    etag = customer.get(payment).headers["ETag"]
    sql(change)

    changed = customer.get(payment, headers={"If-None-Match": etag})

    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_anothers_payment_is_not_found_whatever_etag_is_sent(
    customer: Customer, other_customer: Customer, payment: str
) -> None:
    etag = customer.get(payment).headers["ETag"]

    for headers in ({}, {"If-None-Match": etag}, {"If-None-Match": "*"}):
        answer = other_customer.get(payment, headers=headers)
        assert answer.status_code == 404
        assert "ETag" not in answer.headers
        assert "240.00" not in answer.text


def test_unknown_payment_reads_like_anothers(customer: Customer, other_customer: Customer, payment: str) -> None:
    unknown, anothers = customer.get(f"/api/payments/{uuid4()}"), other_customer.get(payment)

    assert (unknown.status_code, anothers.status_code) == (404, 404)
    assert unknown.json["detail"] == anothers.json["detail"]


@pytest.mark.parametrize("path", ["nonsense", "1", "0190a1b2-0000-7000-8000-00000000000g", "%00"])
def test_what_is_no_id_is_not_found(customer: Customer, path: str) -> None:
    assert customer.get(f"/api/payments/{path}").status_code == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
def test_payment_can_only_be_read(customer: Customer, payment: str, sql: Sql, method: str) -> None:
    answer = customer.client.open(payment, method=method, headers=customer.headers, json={"status": "paid"})

    assert answer.status_code == 405
    assert sql("SELECT status::text FROM payments")[0].status == "pending"


def test_reading_takes_one_statement_however_long_the_timeline(
    customer: Customer, payment: str, sql: Sql, statements: Statements
) -> None:
    for _ in range(30):
        add_event(sql, payment, outcome="stale")
    sql("""INSERT INTO captures (payment_id, provider, capture_ref, status, amount, currency)
        SELECT id, provider, 'ch_' || number, 'pending', 1, 'USD' FROM payments, generate_series(1, 30) AS number""")
    with statements() as seen:
        assert len(customer.get(payment).json["timeline"]) == 60

    assert len(seen) == 1


def test_a_long_timeline_is_read_from_its_newest_part_back_to_its_beginning(
    customer: Customer, payment: str, sql: Sql, statements: Statements
) -> None:
    """Events and entries of one moment are told apart, and none is shown twice or left out."""
    sql("""INSERT INTO payment_events (payment_id, provider, event_id, status, outcome, received_at)
        SELECT id, 'mock', number::text, 'failed', 'stale', now() + number / 100 * interval '1 second'
        FROM payments, generate_series(1, 300) AS number""")
    sql("""INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at, created_at)
        SELECT id, provider, 'at_' || number, 'failed', now(), now() + number / 100 * interval '1 second'
        FROM payments, generate_series(1, 150) AS number""")
    sql("UPDATE payments SET closed = 'expired'")

    with statements() as seen:
        newest = customer.get(payment).json
    assert len(seen) == 1
    parts, cursor = [newest["timeline"]], newest["earlier_cursor"]
    while cursor:
        part = customer.get(f"{payment}?before={cursor}").json
        assert {**part, "timeline": 0, "earlier_cursor": 0} == {**newest, "timeline": 0, "earlier_cursor": 0}
        parts.insert(0, part["timeline"])
        cursor = part["earlier_cursor"]

    assert list(map(len, parts)) == [51, TIMELINE, TIMELINE]
    whole = [entry for part in parts for entry in part]
    assert len({(entry["kind"], entry["id"]) for entry in whole}) == 451
    assert [entry["received_at"] for entry in whole] == sorted(entry["received_at"] for entry in whole)
    assert [entry["kind"] for entry in whole].count("closed") == 1


@pytest.mark.parametrize("before", ["x", "11.x", "1e3.MjAyNg", ".", "٣.x", "11." + "A" * 150, "-1.MjAyNg"])
def test_a_place_that_is_none_is_422(customer: Customer, payment: str, before: str) -> None:
    answer = customer.get(payment, query_string={"before": before})

    assert answer.status_code == 422
    assert answer.json["errors"] == [{"pointer": "/before", "detail": "Not a cursor of this timeline."}]
