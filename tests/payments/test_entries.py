"""A payment shows its money by entries: what came, what went again, what may be given back, and what it doubles."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Customer, MakeListing, Sql
from tests.money import attempt, bring_to, capture, fold
from tests.purchases import fill_cart, opened
from tests.refunding import insert_refund, staff_of


@pytest.fixture
def payment_id(customer: Customer, make_listing: MakeListing) -> str:
    """The customer's payment of 240.00 USD."""
    session = opened(customer, fill_cart(customer, (make_listing(unit_price="120.00"), 2)))
    return str(session["payment_id"])


def read(customer: Customer, payment_id: str) -> dict[str, Any]:
    answer = customer.get(f"/api/payments/{payment_id}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json
    return shown


def entries(shown: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry for entry in shown["timeline"] if entry["kind"] == kind]


def dispute(sql: Sql, payment_id: str, ref: str, **columns: str) -> None:
    """A dispute over 40.00; other columns as SQL literals."""
    values = {"stage": "'chargeback'", "status": "'needs_response'", "amount": "40", "currency": "'USD'"} | columns
    sql(
        f"""INSERT INTO disputes (payment_id, provider, dispute_ref, {", ".join(values)})
        SELECT id, provider, :ref, {", ".join(values.values())} FROM payments WHERE id = :id""",
        id=payment_id,
        ref=ref,
    )


def test_money_is_shown_by_its_names(customer: Customer, payment_id: str, sql: Sql) -> None:
    attempt(sql, payment_id, "failed", ref="ch_0")
    attempt(sql, payment_id, "authorized", ref="ch_1", authorized="240")
    capture(sql, payment_id, "ch_1", "240", attempt_ref="ch_1")
    dispute(
        sql,
        payment_id,
        "dp_1",
        money_step="1",
        money_out="true",
        reason="'fraudulent'",
        capture_ref="'ch_1'",
        evidence_due_at="'2026-12-24T12:00:00Z'",
    )
    fold(sql, payment_id)
    refund = insert_refund(sql, UUID(payment_id), "60.00", capture_ref="'ch_1'", reason="'came broken'")

    shown = read(customer, payment_id)

    assert shown["status"] == "paid"
    assert (shown["amount_captured"], shown["amount_lost"], shown["amount_refunding"]) == ("240.00", "40.00", "60.00")
    assert shown["amount_refundable"] == "140.00"
    assert [(entry["name"], entry["status"]) for entry in entries(shown, "attempt")] == [
        ("ch_0", "failed"),
        ("ch_1", "authorized"),
    ]
    (came,) = entries(shown, "capture")
    assert (came["name"], came["of"], came["status"], came["amount"]) == ("ch_1", "ch_1", "succeeded", "240.00")
    (disputed,) = entries(shown, "dispute")
    assert (disputed["name"], disputed["of"], disputed["stage"], disputed["status"]) == (
        "dp_1",
        "ch_1",
        "chargeback",
        "needs_response",
    )
    assert (disputed["amount"], disputed["amount_lost"], disputed["reason"]) == ("40.00", "40.00", "fraudulent")
    assert disputed["evidence_due_at"] == "2026-12-24T12:00:00Z"
    (given,) = entries(shown, "refund")
    assert (given["id"], given["of"], given["status"], given["amount"]) == (str(refund), "ch_1", "requested", "60.00")
    assert given["reason"] == "came broken"


def test_a_dispute_that_was_won_took_nothing(customer: Customer, payment_id: str, sql: Sql) -> None:
    capture(sql, payment_id, "ch_1", "240")
    dispute(sql, payment_id, "dp_1", status="'won'", money_step="2", money_out="false")
    fold(sql, payment_id)

    shown = read(customer, payment_id)

    assert (shown["status"], shown["amount_lost"], shown["amount_refundable"]) == ("paid", "0.00", "240.00")
    assert [(entry["status"], entry["amount_lost"]) for entry in entries(shown, "dispute")] == [("won", "0.00")]


def test_an_open_chargeback_holds_refunds_back_and_an_inquiry_does_not(
    customer: Customer, payment_id: str, sql: Sql
) -> None:
    capture(sql, payment_id, "ch_1", "240")
    dispute(sql, payment_id, "dp_1", stage="'inquiry'")
    fold(sql, payment_id)
    assert read(customer, payment_id)["amount_refundable"] == "240.00"

    dispute(sql, payment_id, "dp_2", blocks_refund="true")
    fold(sql, payment_id)
    assert read(customer, payment_id)["amount_refundable"] == "200.00"


def test_an_authorization_tells_when_it_ends(customer: Customer, payment_id: str, sql: Sql) -> None:
    attempt(sql, payment_id, "authorized", ref="auth_1", authorized="240")
    attempt(sql, payment_id, "authorized", ref="auth_2", authorized="240")
    sql("UPDATE payment_attempts SET expires_at = '2026-12-01T00:00:00Z' WHERE attempt_ref = 'auth_1'")
    sql(
        """UPDATE payment_attempts SET expires_at = '2026-12-05T00:00:00Z', replaces = 'auth_1'
        WHERE attempt_ref = 'auth_2'"""
    )
    fold(sql, payment_id)

    shown = read(customer, payment_id)

    assert (shown["status"], shown["amount_authorized"], shown["amount_captured"]) == ("authorized", "240.00", "0.00")
    assert shown["authorization_expires_at"] == "2026-12-05T00:00:00Z"
    assert [(entry["expires_at"], entry["replaces"]) for entry in entries(shown, "attempt")] == [
        ("2026-12-01T00:00:00Z", None),
        ("2026-12-05T00:00:00Z", "auth_1"),
    ]
    assert customer.get("/api/payments").json["data"][0]["authorization_expires_at"] == "2026-12-05T00:00:00Z"

    capture(sql, payment_id, "cap_1", "240", attempt_ref="auth_2")
    sql("UPDATE payment_attempts SET rest_released = true")
    fold(sql, payment_id)
    assert read(customer, payment_id)["authorization_expires_at"] is None


def test_a_failed_attempt_does_not_hide_the_next(customer: Customer, payment_id: str, sql: Sql) -> None:
    attempt(sql, payment_id, "failed", ref="ch_1")
    attempt(sql, payment_id, "under_way", ref="ch_2")
    fold(sql, payment_id)

    shown = read(customer, payment_id)

    assert (shown["status"], shown["under_way"]) == ("processing", True)


def test_what_was_accepted_is_shown_and_why_is_for_staff(customer: Customer, payment_id: str, sql: Sql) -> None:
    capture(sql, payment_id, "ch_1", "200")
    fold(sql, payment_id)
    assert read(customer, payment_id)["status"] == "partially_paid"
    sql(
        """INSERT INTO payment_acceptances (payment_id, amount, operator, why, command_id)
        VALUES (:id, 200, 'ada', 'a discount by telephone', uuidv7())""",
        id=payment_id,
    )
    fold(sql, payment_id)

    shown, of_staff = read(customer, payment_id), read(staff_of(customer), payment_id)

    assert (shown["status"], shown["amount"], shown["amount_accepted"]) == ("paid", "240.00", "200.00")
    assert [(entry["amount"], entry["reason"]) for entry in entries(shown, "acceptance")] == [("200.00", None)]
    assert [entry["reason"] for entry in entries(of_staff, "acceptance")] == ["a discount by telephone"]


def test_the_end_by_the_provider_is_an_entry(customer: Customer, payment_id: str, sql: Sql) -> None:
    bring_to(sql, payment_id, "expired")

    shown = read(customer, payment_id)

    assert shown["status"] == "expired"
    assert [(entry["kind"], entry["status"]) for entry in shown["timeline"]] == [("closed", "expired")]


def test_an_event_shows_the_entries_that_it_was_about(customer: Customer, payment_id: str, sql: Sql) -> None:
    sql(
        """INSERT INTO payment_events (payment_id, provider, event_id, outcome, entries)
        VALUES (:id, 'mock', 'evt_1', 'applied', '[{"dispute": "dp_1", "status": "lost"}]')""",
        id=payment_id,
    )

    (event,) = read(customer, payment_id)["timeline"]

    assert (event["kind"], event["status"], event["outcome"]) == ("event", None, "applied")
    assert event["entries"] == [{"dispute": "dp_1", "status": "lost"}]


def test_two_payments_of_one_filling_name_each_other(
    customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="100.00"), 1))
    first, second, unpaid = (opened(customer, cart_id, f"tab-{tab}")["payment_id"] for tab in (1, 2, 3))
    bring_to(sql, first, "paid")
    assert read(customer, first)["duplicate_of"] == []

    bring_to(sql, second, "paid")

    assert read(customer, first)["duplicate_of"] == [second]
    assert read(customer, second)["duplicate_of"] == [first]
    assert read(staff_of(other_customer), first)["duplicate_of"] == [second]
    listed = {payment["id"]: payment["duplicate_of"] for payment in customer.get("/api/payments").json["data"]}
    assert listed == {first: [second], second: [first], unpaid: []}


def test_a_duplicate_of_another_owner_is_for_staff_alone(
    customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="100.00"), 1))
    theirs = opened(other_customer, fill_cart(other_customer, (make_listing(unit_price="100.00"), 1)))["payment_id"]
    mine = opened(customer, cart_id)["payment_id"]
    sql(
        """UPDATE checkout_sessions SET cart_id = :cart, generation = 0 WHERE payment_id = :theirs""",
        cart=cart_id,
        theirs=theirs,
    )
    bring_to(sql, theirs, "paid")
    bring_to(sql, mine, "paid")

    assert read(customer, mine)["duplicate_of"] == []
    assert read(staff_of(customer), mine)["duplicate_of"] == [theirs]


def test_staff_read_any_payment_and_others_only_their_own(
    customer: Customer, other_customer: Customer, payment_id: str
) -> None:
    assert other_customer.get(f"/api/payments/{payment_id}").status_code == 404
    assert staff_of(other_customer, scope="orders").get(f"/api/payments/{payment_id}").status_code == 404
    assert read(staff_of(other_customer), payment_id)["review_reasons"] == []
    assert "review_reasons" not in read(customer, payment_id)


def test_a_capture_that_came_again_and_was_accepted_is_not_lost(customer: Customer, payment_id: str, sql: Sql) -> None:
    capture(sql, payment_id, "cp_1", "240", status="undone")
    sql("INSERT INTO payment_notices (payment_id, reason, ref) VALUES (:id, 'recaptured', 'cp_1')", id=payment_id)
    fold(sql, payment_id)
    assert [entry["amount_lost"] for entry in entries(read(customer, payment_id), "capture")] == ["240.00"]

    sql(
        """INSERT INTO payment_acceptances (payment_id, amount, operator, why, command_id)
        VALUES (:id, 240, 'mira', 'it is in the Customer Area', uuidv7())""",
        id=payment_id,
    )
    fold(sql, payment_id)

    shown = read(customer, payment_id)
    assert (shown["status"], shown["amount_lost"]) == ("paid", "0.00")
    assert [entry["amount_lost"] for entry in entries(shown, "capture")] == ["0.00"]
