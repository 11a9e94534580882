"""What the tables themselves see to, whoever writes to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from checkout_service.payments.status import PaymentStatus
from tests.conftest import MakeListing, Sql
from tests.webhook_bodies import insert_payment

NEW_COMMAND = "INSERT INTO audit (key, door, operator, action, subject, why)"

STATUSES = [status.value for status in PaymentStatus]


@pytest.fixture
def user(sql: Sql) -> UUID:
    return sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id


def test_rows_can_be_inserted_by_hand(sql: Sql, user: UUID, make_listing: MakeListing) -> None:
    listing = make_listing()
    rows = [sql("SELECT * FROM users")[0], sql("SELECT * FROM listings")[0]]
    rows += sql("INSERT INTO carts (user_id) VALUES (:user) RETURNING *", user=user)
    rows += sql(
        "INSERT INTO cart_items (cart_id, listing_id, qty) VALUES (:cart, :listing, 1) RETURNING *",
        cart=rows[2].id,
        listing=listing["id"],
    )
    rows += sql(
        """INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
        VALUES (:user, 'mock', 'mock_pi_1', 240, 'USD') RETURNING *""",
        user=user,
    )
    rows += sql(
        """INSERT INTO checkout_sessions (user_id, cart_id, idempotency_key, request_hash, payment_id, payment_token,
            amount, currency, lines, expires_at)
        VALUES (:user, :cart, 'key', '', :payment, 'token', 240, 'USD', '[]', now()) RETURNING *""",
        user=user,
        cart=rows[2].id,
        payment=rows[4].id,
    )
    rows += sql("INSERT INTO webhook_deliveries (provider, body) VALUES ('mock', '') RETURNING *")
    rows += sql(
        """INSERT INTO payment_events (provider, event_id, payment_id, status, outcome)
        VALUES ('mock', 'evt_1', :payment, 'paid', 'applied') RETURNING *""",
        payment=rows[4].id,
    )

    for row in rows:
        assert row.id.version == 7
        assert row.created_at == row.updated_at
        assert abs(datetime.now(UTC) - row.created_at) < timedelta(minutes=1)
    assert rows[4].next_look_up_at - rows[4].created_at == timedelta(minutes=10)
    assert rows[6].next_attempt_at - rows[6].received_at == timedelta(seconds=5)


def test_enum_stands_in_the_order_of_how_far_a_payment_is(sql: Sql) -> None:
    rows = sql("SELECT unnest(enum_range(NULL::payment_status))::text AS status")
    assert [row.status for row in rows] == STATUSES


def test_a_status_may_go_back_since_entries_decide(sql: Sql) -> None:
    """A dispute that was lost is won: tests/migrations/test_guards.py has what goes one way."""
    insert_payment(sql, status="reversed")
    sql("UPDATE payments SET status = 'paid'")

    assert sql("SELECT status::text FROM payments")[0].status == "paid"


@pytest.mark.parametrize(
    "change",
    [
        "amount = 1",
        "currency = 'EUR'",
        "provider = 'another'",
        "provider_ref = 'another'",
        "user_id = (SELECT id FROM users WHERE id <> user_id)",
        "id = uuidv7()",
        "amount = 1, status = 'paid'",
    ],
)
def test_what_a_payment_is_never_changes(sql: Sql, user: UUID, change: str) -> None:
    insert_payment(sql)
    before = sql("SELECT * FROM payments")

    with pytest.raises(IntegrityError, match="keeps its amount"):
        sql(f"UPDATE payments SET {change}")

    assert sql("SELECT * FROM payments") == before


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE listings SET unit_price = 0", "listings_unit_price_positive"),
        ("UPDATE listings SET stock = -1", "listings_stock_not_negative"),
        ("INSERT INTO carts (user_id) SELECT user_id FROM carts", "carts_user_id"),
        ("UPDATE cart_items SET qty = 0", "cart_items_qty_range"),
        ("UPDATE cart_items SET qty = 10000", "cart_items_qty_range"),
        (
            "INSERT INTO cart_items (cart_id, listing_id, qty) SELECT cart_id, listing_id, 1 FROM cart_items",
            "idx_cart_listing",
        ),
        ("DELETE FROM listings", "cart_items_listing_id_fkey"),
        (
            (
                "INSERT INTO payments (user_id, provider, provider_ref, amount, currency) "
                "SELECT id, 'mock', 'a', 0, 'USD' FROM users LIMIT 1"
            ),
            "payments_amount_positive",
        ),
        *[
            (
                (
                    "INSERT INTO payments (user_id, provider, provider_ref, amount, currency) "
                    f"SELECT id, 'mock', 'a', {amount}, '{currency}' FROM users LIMIT 1"
                ),
                "payments_amount_of_currency",
            )
            for amount, currency in (("0.004", "USD"), ("1.5", "JPY"), ("0.0001", "KWD"))
        ],
        ("UPDATE listings SET unit_price = 0.001", "listings_unit_price_of_currency"),
        ("UPDATE payments SET closed = 'paid'", "payments_closed_unpaid"),
        (
            (
                "INSERT INTO payments (user_id, provider, provider_ref, amount, currency) "
                "SELECT user_id, provider, provider_ref, 1, 'USD' FROM payments"
            ),
            "idx_payment_provider_ref",
        ),
        ("UPDATE webhook_deliveries SET next_attempt_at = NULL", "webhook_deliveries_pending_has_next_attempt"),
        ("UPDATE webhook_deliveries SET state = 'parked', next_attempt_at = NULL", "pending_has_next_attempt"),
        ("UPDATE webhook_deliveries SET state = 'lost'", "webhook_deliveries_state_known"),
        ("UPDATE payment_events SET outcome = 'duplicate'", "payment_events_outcome_known"),
        (
            f"{NEW_COMMAND} VALUES (uuidv7(), 'cli', '', 'stop', '', '')",
            "audit_operator_length",
        ),
        (
            f"{NEW_COMMAND} VALUES (uuidv7(), 'cli', 'ops', 'pay', '', '')",
            "audit_action_known",
        ),
        (
            (
                "INSERT INTO audit (key, door, operator, action, subject, why) "
                "VALUES (uuidv7(), 'cli', 'ops', 'stop', '', repeat('a', 2001))"
            ),
            "audit_why_length",
        ),
        (
            f"{NEW_COMMAND} VALUES (uuidv7(), 'roof', 'ops', 'stop', '', '')",
            "audit_door_known",
        ),
        ("INSERT INTO command_runs DEFAULT VALUES", "command_runs_id_fkey"),
        (
            "INSERT INTO command_results (command_id, state, count) VALUES (uuidv7(), 'applied', 1)",
            "command_results_command_id_fkey",
        ),
        (
            (
                "INSERT INTO payment_events (provider, event_id, payment_id, status, outcome) "
                "SELECT provider, event_id, payment_id, 'failed', 'stale' FROM payment_events"
            ),
            "payment_events_provider_event_id",
        ),
        ("DELETE FROM payments", "payment_events_payment_id_fkey"),
    ],
)
def test_constraints_refuse_what_must_not_be(
    sql: Sql, make_listing: MakeListing, statement: str, constraint: str
) -> None:
    _one_of_each(sql, make_listing())

    with pytest.raises(IntegrityError, match=constraint):
        sql(statement)


@pytest.mark.parametrize(
    "change", ["UPDATE audit SET why = 'another'", "UPDATE audit SET updated_at = now()", "DELETE FROM audit"]
)
def test_an_operators_command_stays_even_for_the_owner(sql: Sql, change: str) -> None:
    sql("""INSERT INTO audit (key, door, operator, action, subject, why)
        VALUES (uuidv7(), 'console', 'ops', 'process', 'an id', 'a reason')""")
    before = sql("SELECT * FROM audit")

    with pytest.raises(IntegrityError, match="never changed nor taken back"):
        sql(change)

    assert sql("SELECT * FROM audit") == before


def test_cart_takes_its_lines_along(sql: Sql, make_listing: MakeListing) -> None:
    _one_of_each(sql, make_listing())
    sql("DELETE FROM carts")

    assert sql("SELECT * FROM cart_items") == []


def _one_of_each(sql: Sql, listing: dict[str, Any]) -> None:
    insert_payment(sql)
    sql("INSERT INTO carts (user_id) SELECT id FROM users")
    sql("INSERT INTO cart_items (cart_id, listing_id, qty) SELECT id, :id, 1 FROM carts", id=listing["id"])
    sql("INSERT INTO webhook_deliveries (provider, body) VALUES ('mock', '')")
    sql("""INSERT INTO payment_events (provider, event_id, payment_id, status, outcome)
        SELECT 'mock', 'evt_1', id, 'paid', 'applied' FROM payments""")


def test_the_index_of_parked_names_keeps_no_list_that_each_search_would_read(sql: Sql) -> None:
    """20,000 names a sweep: with such a list of 50,000 parked webhooks, they took longer than a statement may."""
    (row,) = sql("SELECT reloptions FROM pg_class WHERE relname = 'webhook_deliveries_parked_names'")

    assert row.reloptions == ["fastupdate=off"]
