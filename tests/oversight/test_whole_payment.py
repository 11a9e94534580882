"""A payment as staff and programs read it: with all its entries, its lines, its order, and the webhooks about it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from checkout_service.oversight.whole_payment import DELIVERIES, LONGEST_DETAIL
from checkout_service.payments.queries import TIMELINE
from tests.capturing import insert_capture_request, insert_void
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.money import attempt, bring_to, capture, dispute, fold
from tests.order_requests import opened_for, ordered
from tests.refunding import insert_refund, open_payment, paid_payment, staff_of

PATH = "/api/admin/payments"


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer, scope="payments:read")


def whole(staff: Customer, payment_id: object, **query: Any) -> dict[str, Any]:
    answer = staff.get(f"{PATH}/{payment_id}", query_string=query)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json
    return shown


def delivery(sql: Sql, reference: str | None, state: str, **columns: Any) -> UUID:
    """A webhook in a state, with the reference that was read of it; other columns as SQL literals."""
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", {value}" for value in columns.values())
    found: UUID = sql(
        f"""INSERT INTO webhook_deliveries (provider, body, state, provider_ref{names})
        VALUES ('mock', 'a body that nobody shows', :state, :reference{values}) RETURNING id""",
        state=state,
        reference=reference,
    )[0].id
    return found


def event_of(sql: Sql, payment_id: UUID, delivery_id: UUID) -> None:
    sql(
        """INSERT INTO payment_events (payment_id, provider, event_id, status, outcome, delivery_id)
        VALUES (:payment_id, 'mock', :event, 'paid', 'applied', :delivery_id)""",
        payment_id=payment_id,
        event=uuid4().hex,
        delivery_id=delivery_id,
    )


def test_every_kind_of_entry_is_there(staff: Customer, sql: Sql) -> None:
    payment_id, _ = open_payment(sql, amount="240.00")
    attempt(sql, payment_id, "authorized", ref="at_1", authorized="240")
    capture(sql, payment_id, "ca_1", "40", attempt_ref="at_1")
    fold(sql, payment_id)
    dispute(sql, payment_id, "10.00")
    insert_refund(sql, payment_id, "5.00")
    insert_capture_request(sql, payment_id, "10.00")
    sql("UPDATE capture_requests SET status = 'failed', next_attempt_at = NULL")
    insert_void(sql, payment_id)
    sql("INSERT INTO payment_notices (payment_id, reason, ref) VALUES (:id, 'fraud_warning', 'w')", id=payment_id)
    sql("INSERT INTO payment_reviews (payment_id, reason, amounts) VALUES (:id, 'mismatch', '1/2')", id=payment_id)
    sql(
        """INSERT INTO payment_acceptances (payment_id, amount, operator, why, command_id)
        VALUES (:id, 40, 'mira', 'by telephone', uuidv7())""",
        id=payment_id,
    )
    event_of(sql, payment_id, uuid4())
    fold(sql, payment_id)

    shown = whole(staff, payment_id)

    assert {entry["kind"] for entry in shown["timeline"]} == {
        *(
            "attempt",
            "capture",
            "refund",
            "dispute",
            "capture_request",
            "void",
            "notice",
            "review",
            "acceptance",
            "event",
        ),
    }
    assert shown["earlier_cursor"] is None


def test_lines_and_the_order_are_what_was_bought(
    staff: Customer, customer: Customer, sql: Sql, make_listing: MakeListing
) -> None:
    listing = make_listing()
    order = ordered(sql, customer, (listing, 2), (make_listing(), 1))

    shown = whole(staff, order.payment_id)

    assert (shown["customer"], shown["reference"]) == (str(customer.id), order.reference)
    assert shown["order"] == {"id": str(order.id), "number": None, "status": "placed"}
    assert shown["without_order"] is None
    session = customer.get(f"/api/checkout/session/{order.payment_id}").json
    assert shown["lines"] == session["lines"]
    assert {line["listing_id"]: line["qty"] for line in shown["lines"]}[str(listing["id"])] == 2
    sql("SELECT orders_number('W-', 10)")
    assert whole(staff, order.payment_id)["order"]["number"] == "W-1"
    own = customer.get(f"/api/payments/{order.payment_id}").json
    assert {"customer", "lines", "deliveries", "without_order", "reference"}.isdisjoint(own)


def test_an_open_payment_has_lines_and_no_order(staff: Customer, customer: Customer, make_listing: MakeListing) -> None:
    shown = whole(staff, opened_for(customer, (make_listing(), 1)))

    assert (shown["order"], shown["without_order"], shown["deliveries"]) == (None, None, [])
    assert (len(shown["lines"]), shown["more_deliveries"]) == (1, False)


def test_money_without_an_order_says_why(staff: Customer, sql: Sql) -> None:
    payment_id, _ = paid_payment(sql)

    assert whole(staff, payment_id)["without_order"] == {"reason": "no_session", "payment_id": None}
    assert whole(staff, payment_id)["lines"] == []


def test_webhooks_about_it_are_there_in_whatever_state_and_no_others(staff: Customer, sql: Sql) -> None:
    payment_id, reference = paid_payment(sql)
    other_id, other = paid_payment(sql)
    applied = delivery(sql, reference, "applied", processed_at="now()", attempts="1")
    event_of(sql, payment_id, applied)
    twice = delivery(sql, reference, "duplicate")
    failed = delivery(sql, reference, "failed", detail="repeat('x', 2000)")
    rejected = delivery(sql, None, "rejected", rejected_class="1", rejected_payment=f"'{payment_id}'")
    refund_id = insert_refund(sql, payment_id)
    of_refund = delivery(sql, reference, "applied")
    sql(
        """INSERT INTO refund_events (refund_id, provider, event_id, status, outcome, delivery_id)
        VALUES (:id, 'mock', 'r', 'succeeded', 'applied', :delivery)""",
        id=refund_id,
        delivery=of_refund,
    )
    event_of(sql, other_id, delivery(sql, other, "applied"))
    delivery(sql, other, "failed")
    delivery(sql, None, "rejected", rejected_class="1", rejected_payment=f"'{other_id}'")
    delivery(sql, None, "received")

    answer = staff.get(f"{PATH}/{payment_id}")

    shown = answer.json["deliveries"]
    assert [each["id"] for each in shown] == list(map(str, sorted([applied, twice, failed, rejected, of_refund])))
    by_id = {each["id"]: each for each in shown}
    assert (by_id[str(applied)]["state"], by_id[str(applied)]["attempts"]) == ("applied", 1)
    assert by_id[str(applied)]["processed_at"].endswith("Z")
    assert len(by_id[str(failed)]["detail"]) == LONGEST_DETAIL
    assert by_id.keys() == {str(each) for each in (applied, twice, failed, rejected, of_refund)}
    assert "a body that nobody shows" not in answer.text


def test_a_payment_with_any_number_of_events_and_webhooks_is_answered_in_bounds(
    staff: Customer, sql: Sql, statements: Statements
) -> None:
    payment_id, reference = paid_payment(sql)
    for place in range(3):
        sql(
            """INSERT INTO webhook_deliveries (provider, body, state, provider_ref, detail)
            SELECT 'mock', repeat('b', 1000)::bytea, 'duplicate', :reference, repeat('d', 3000)
            FROM generate_series(1, 300)""",
            reference=reference,
        )
        sql(
            """INSERT INTO payment_events (payment_id, provider, event_id, status, outcome, delivery_id)
            SELECT :id, 'mock', :place || '/' || number, 'paid', 'stale', uuidv7()
            FROM generate_series(1, 300) AS number""",
            id=payment_id,
            place=place,
        )
    newest = sql("SELECT id FROM webhook_deliveries ORDER BY id DESC LIMIT :most", most=DELIVERIES)

    with statements() as seen:
        answer = staff.get(f"{PATH}/{payment_id}")

    assert len(seen) == 2
    shown = answer.json
    assert (len(shown["timeline"]), len(shown["deliveries"]), shown["more_deliveries"]) == (TIMELINE, DELIVERIES, True)
    assert len(answer.data) < 200_000
    # Those whose webhook is gone take no place of those that are there.
    assert {each["id"] for each in shown["deliveries"]} <= {str(row.id) for row in newest}
    earlier = whole(staff, payment_id, before=shown["earlier_cursor"])
    assert {entry["id"] for entry in earlier["timeline"]}.isdisjoint(entry["id"] for entry in shown["timeline"])


def test_what_is_not_there_is_404_and_a_bad_cursor_422(staff: Customer, sql: Sql) -> None:
    payment_id, _ = open_payment(sql)

    assert staff.get(f"{PATH}/{uuid4()}").status_code == 404
    for query in ({"before": "nonsense"}, {"after": "1"}, {"before": ""}):
        answer = staff.get(f"{PATH}/{payment_id}", query_string=query)
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, f"/{next(iter(query))}")


def test_an_unchanged_payment_is_304(staff: Customer, sql: Sql) -> None:
    payment_id, _ = open_payment(sql)
    etag = staff.get(f"{PATH}/{payment_id}").headers["ETag"]

    assert staff.get(f"{PATH}/{payment_id}", headers={"If-None-Match": etag}).status_code == 304
    bring_to(sql, payment_id, "paid")
    assert staff.get(f"{PATH}/{payment_id}", headers={"If-None-Match": etag}).status_code == 200
