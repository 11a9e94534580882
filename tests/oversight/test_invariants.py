"""What must always hold: checked of all rows by a command, counted among the most telling ones by the metrics."""

from __future__ import annotations

from dataclasses import asdict
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from checkout_service.oversight import invariants, money_statements, promises
from checkout_service.oversight.gauges import Violations
from checkout_service.oversight.order_invariants import ORDER_INVARIANTS
from tests.conftest import MakeListing, Servers, Sql
from tests.money import attempt, bring_to, fold
from tests.ordering import number_orders, open_session, paid_order
from tests.oversight.conftest import InWorker, add_session
from tests.refunding import insert_refund, open_payment, paid_payment
from tests.stock.holding import end_holds
from tests.webhook_bodies import insert_payment, insert_webhook, webhook
from worker.webhooks.task import process

NAMES = (
    "fold_is_clean",
    "money_without_event",
    "duplicates_flagged",
    "stuck_open",
    "webhook_pending_too_long",
    "duplicate_has_its_event",
    "session_without_payment",
    "refunds_add_up",
    "refund_outstanding_too_long",
    "capture_outstanding_too_long",
    "attempt_past_limit",
    "paid_has_order",
    "order_without_number",
    "event_without_number",
    "stock_adds_up",
    "hold_past_end",
    "entries_make_payout",
)


def with_event(sql: Sql, payment: object, event_id: str = "") -> None:
    """An event behind the payment."""
    sql(
        """INSERT INTO payment_events (provider, event_id, payment_id, status, outcome)
        VALUES ('mock', :event_id, :id, 'paid', 'applied')""",
        event_id=event_id or uuid4().hex,
        id=payment,
    )


def with_refund(sql: Sql) -> None:
    """A payment with an event behind it, and a refund that was asked for."""
    payment, _ = paid_payment(sql)
    insert_refund(sql, payment)
    with_event(sql, payment, "evt_of_refunded")


def with_capture_request(sql: Sql) -> None:
    """A payment of which all is authorized, and a capture of it that was asked for."""
    payment, _ = open_payment(sql)
    attempt(sql, payment, "authorized", ref="auth_1", authorized="100")
    attempt(sql, payment, "under_way", ref="try_2")
    fold(sql, payment)
    sql(
        """INSERT INTO capture_requests (payment_id, attempt_ref, amount, requested_by, idempotency_key, request_hash)
        VALUES (:id, 'auth_1', 100, uuidv7(), 'key', '')""",
        id=payment,
    )


def with_orders(sql: Sql, make_listing: MakeListing) -> None:
    """An order of a listing that is counted and of one that is not, one that is short, and a hold without a session."""
    counted, uncounted = make_listing(stock=5, title="counted"), make_listing(stock=None)
    _, alone = paid_order(sql, (make_listing(stock=None, title="alone"), 1))
    with_event(sql, alone)
    _, payment = paid_order(sql, (counted, 2), (uncounted, 1))
    with_event(sql, payment)
    late = open_session(sql, (counted, 3))
    end_holds(sql, late)
    sql("SELECT holds_sweep(100, '{}')")
    sql("UPDATE listings SET stock = 3 WHERE id = :id", id=counted["id"])
    bring_to(sql, late, "paid")
    with_event(sql, late)
    number_orders(sql)
    made = sql(
        "SELECT status::text FROM orders WHERE payment_id IN (:payment, :late) ORDER BY id", payment=payment, late=late
    )
    assert [row.status for row in made] == ["placed", "short"]
    sql(
        "SELECT hold_take(uuidv7(), :user, uuidv7(), 0, ARRAY[CAST(:id AS uuid)], ARRAY[4])",
        user=uuid4(),
        id=make_listing(stock=7)["id"],
    )


def with_duplicate(sql: Sql) -> None:
    """Two payments of one filling of a cart, where money came for both."""
    user = uuid4()
    payments = [paid_payment(sql, owner=user)[0] for _ in range(2)]
    cart = sql("INSERT INTO carts (user_id) VALUES (:user) RETURNING id", user=user)[0].id
    for payment in payments:
        sql(
            """INSERT INTO checkout_sessions (user_id, cart_id, generation, idempotency_key, request_hash, payment_id,
                payment_token, amount, currency, lines, expires_at)
            SELECT user_id, :cart, 0, 'key of ' || id, '', id, provider_ref, amount, currency, '[]',
                now() + interval '1 day'
            FROM payments WHERE id = :payment""",
            cart=cart,
            payment=payment,
        )
        with_event(sql, payment)
    fold(sql, *payments)


def _check(app: Flask, *arguments: str) -> tuple[int, str]:
    done = app.test_cli_runner().invoke(args=["payments", "check", *arguments])
    return done.exit_code, done.output


def _counts(app: Flask) -> dict[str, float]:
    with app.app_context():
        (gauge,) = Violations().collect()
    return {sample.labels["invariant"]: sample.value for sample in gauge.samples}


def test_all_is_well_after_verified_work(app: Flask, in_worker: InWorker, sql: Sql) -> None:
    for status in ("paid", "failed", "processing", "canceled", "reversed"):
        in_worker(process, str(insert_webhook(sql, webhook(insert_payment(sql), status))))
    for refund_ref, status in (("re_1", "succeeded"), ("re_2", "processing"), ("re_3", "failed")):
        reference = sql("SELECT provider_ref FROM payments WHERE status = 'paid'")[0].provider_ref
        body = webhook(reference, status, refund_ref=refund_ref, amount="9.00", currency="USD")
        in_worker(process, str(insert_webhook(sql, body)))
    insert_payment(sql)
    insert_webhook(sql, webhook("mock_pi_not_here_yet"))

    status, printed = _check(app)

    assert status == 0, printed
    assert [line.split()[:2] for line in printed.splitlines()] == [["ok", name] for name in NAMES]
    assert _counts(app) == dict.fromkeys(NAMES, 0)


OPEN = "WHERE status = 'pending'"
OF_PENDING = f"(SELECT provider_ref FROM payments {OPEN})"
CAME_BEFORE = "'the same bytes came before, settled with '"
OF_NONE = f"{CAME_BEFORE} || uuidv7()"
REFUNDED = "WHERE amount_refunding > 0"
AUTHORIZED = "WHERE status = 'authorized'"
SHORT = "WHERE status = 'short'"
OF_SHORT = f"order_id = (SELECT id FROM orders {SHORT})"
HOLD_OF_SHORT = f"payment_id = (SELECT payment_id FROM orders {SHORT})"


@pytest.mark.parametrize(
    ("name", "breakage"),
    [
        ("fold_is_clean", f"UPDATE payments SET status = 'failed' {OPEN}"),
        ("fold_is_clean", f"UPDATE payments SET review_reason = 'mismatch' {OPEN}"),
        ("fold_is_clean", f"UPDATE payments SET amount_captured = amount_captured + 1 {REFUNDED}"),
        ("fold_is_clean", f"UPDATE payments SET amount_lost = amount_lost + 1 {REFUNDED}"),
        ("fold_is_clean", f"UPDATE payments SET amount_blocked = amount_blocked + 1 {REFUNDED}"),
        ("fold_is_clean", f"UPDATE payments SET amount_authorized = amount_authorized + 1 {REFUNDED}"),
        ("fold_is_clean", f"UPDATE payments SET amount_accepted = amount {REFUNDED}"),
        ("fold_is_clean", "UPDATE payments SET under_way = NOT under_way WHERE status = 'authorized'"),
        ("fold_is_clean", "UPDATE payment_attempts SET status = 'expired' WHERE attempt_ref = 'auth_1'"),
        ("money_without_event", "DELETE FROM payment_events WHERE event_id = 'evt_of_refunded'"),
        ("stuck_open", f"UPDATE payments SET next_look_up_at = NULL {OPEN}"),
        ("stuck_open", f"UPDATE payments SET next_look_up_at = now() - interval '31 minutes' {OPEN}"),
        ("stuck_open", "UPDATE checkout_sessions SET expires_at = now() - interval '61 minutes'"),
        ("webhook_pending_too_long", "UPDATE webhook_deliveries SET received_at = now() - interval '16 minutes'"),
        ("duplicate_has_its_event", f"UPDATE webhook_deliveries SET state = 'duplicate', provider_ref = {OF_PENDING}"),
        ("duplicate_has_its_event", f"UPDATE webhook_deliveries SET state = 'duplicate', detail = {OF_NONE}"),
        ("session_without_payment", "UPDATE checkout_sessions SET amount = amount + 1 WHERE amount = 240"),
        ("refunds_add_up", "UPDATE payments SET amount_refunding = amount_refunding - 1 WHERE amount_refunding > 0"),
        ("refunds_add_up", "UPDATE payments SET amount_refunded = amount_refunded + 1 WHERE amount_refunding > 0"),
        ("refund_outstanding_too_long", "UPDATE refunds SET created_at = now() - interval '31 minutes'"),
        (
            "refund_outstanding_too_long",
            "UPDATE refunds SET status = 'processing', next_attempt_at = now() - interval '31 minutes'",
        ),
        ("refund_outstanding_too_long", "UPDATE cancel_requests SET next_attempt_at = now() - interval '31 minutes'"),
        ("capture_outstanding_too_long", "UPDATE capture_requests SET created_at = now() - interval '31 minutes'"),
        ("capture_outstanding_too_long", "UPDATE capture_requests SET next_attempt_at = now() - interval '31 minutes'"),
        ("attempt_past_limit", "UPDATE payment_attempts SET times_out_at = now() - interval '31 minutes'"),
        ("attempt_past_limit", "UPDATE payment_attempts SET expires_at = now() - interval '25 hours'"),
        (
            "paid_has_order",
            f"DELETE FROM order_reasons WHERE payment_id = (SELECT id FROM payments {REFUNDED})",
        ),
        (
            "paid_has_order",
            """WITH lines AS (DELETE FROM order_lines WHERE title = 'alone' RETURNING order_id)
            DELETE FROM orders WHERE id = (SELECT order_id FROM lines)""",
        ),
        ("paid_has_order", f"DELETE FROM order_reasons WHERE payment_id = (SELECT id FROM payments {AUTHORIZED})"),
        (
            "order_without_number",
            f"""INSERT INTO unnumbered_orders (orders, created_at)
            SELECT array_agg(id), now() - interval '61 seconds' FROM orders {SHORT}""",
        ),
        (
            "event_without_number",
            """INSERT INTO unsequenced_events (events, types, objects, lanes, created_at)
            SELECT ARRAY[uuidv7()], ARRAY['refund.requested'], ARRAY[uuidv7()], ARRAY[uuidv7()],
                now() - interval '61 seconds'""",
        ),
        ("stock_adds_up", "UPDATE stock_counters SET stock = stock + 1 WHERE stock = 7"),
        ("stock_adds_up", "UPDATE stock_counters SET stock = NULL WHERE stock = 7"),
        (
            "stock_adds_up",
            "INSERT INTO stock_counters (listing_id, stock) SELECT id, 1 FROM listings WHERE title = 'alone'",
        ),
        ("stock_adds_up", "UPDATE stock_counters SET reserved = reserved - 1 WHERE stock = 7"),
        ("stock_adds_up", "UPDATE stock_counters SET reserved = 0 WHERE stock = 3"),
        ("stock_adds_up", "DELETE FROM holds WHERE state = 'held'"),
        ("stock_adds_up", "UPDATE holds SET reserved = reserved - 1 WHERE state = 'held'"),
        ("stock_adds_up", f"UPDATE order_lines SET qty_fulfilled = 1 WHERE {OF_SHORT}"),
        ("stock_adds_up", f"UPDATE order_lines SET qty_short = 1 WHERE {OF_SHORT}"),
        ("stock_adds_up", "UPDATE orders SET status = 'canceled' WHERE status = 'placed' AND amount = 120"),
        ("stock_adds_up", "UPDATE holds SET payment_id = uuidv7() WHERE state = 'sold' AND qty = 2"),
        (
            "stock_adds_up",
            f"""WITH gone AS (DELETE FROM holds WHERE {HOLD_OF_SHORT} RETURNING *)
            UPDATE stock_counters SET reserved = 2 WHERE stock = 3""",
        ),
        ("hold_past_end", "UPDATE holds SET until = now() - interval '121 seconds' WHERE state = 'held'"),
    ],
)
def test_a_broken_promise_is_named_and_counted(
    app: Flask, sql: Sql, make_listing: MakeListing, name: str, breakage: str
) -> None:
    insert_payment(sql)
    insert_webhook(sql, webhook("mock_pi_any"))
    ((payment_id,),) = sql("SELECT id FROM payments")
    add_session(sql, payment_id)
    sql("INSERT INTO cancel_requests (payment_id, requested_by) VALUES (:id, :id)", id=payment_id)
    with_refund(sql)
    with_capture_request(sql)
    with_duplicate(sql)
    with_orders(sql, make_listing)
    sql(breakage)

    status, printed = _check(app)

    assert status == 1
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("WRONG")] == [name]
    assert "What to do:" in printed
    assert _counts(app) == {other: float(other == name) for other in NAMES}


def test_duplicates_of_what_was_entered_are_no_broken_promise(app: Flask, in_worker: InWorker, sql: Sql) -> None:
    body = webhook(insert_payment(sql), event_id="evt_1")
    in_worker(process, str(insert_webhook(sql, body)))
    again = insert_webhook(
        sql, webhook(sql("SELECT provider_ref FROM payments")[0].provider_ref, event_id="evt_1", n=2)
    )
    in_worker(process, str(again))
    again = insert_webhook(sql, body, state="'duplicate'", processed_at="now()")
    first = sql("SELECT id FROM webhook_deliveries WHERE state = 'applied'")[0].id
    sql(f"UPDATE webhook_deliveries SET detail = {CAME_BEFORE} || '{first}' WHERE id = '{again}'")
    assert sql("SELECT count(*) FROM webhook_deliveries WHERE state = 'duplicate'")[0].count == 2

    assert _counts(app)["duplicate_has_its_event"] == 0
    assert _check(app)[0] == 0


def test_a_hold_that_its_session_keeps_is_not_past_its_end(app: Flask, sql: Sql, make_listing: MakeListing) -> None:
    open_session(sql, (make_listing(stock=5), 2))
    sql("UPDATE holds SET until = now() - interval '1 hour'")

    assert _counts(app)["hold_past_end"] == 0
    sql("UPDATE checkout_sessions SET held_until = now() - interval '121 seconds'")
    assert _counts(app)["hold_past_end"] == 1


def test_it_says_what_is_not_as_the_entries_make_it(app: Flask, sql: Sql) -> None:
    payment, _ = paid_payment(sql)
    with_event(sql, payment)
    sql("UPDATE payments SET status = 'failed', review_reason = 'mismatch', amount_captured = 7")

    status, printed = _check(app)

    assert status == 1
    differs = "status failed instead of paid, reasons mismatch instead of none, amount_captured"
    assert f"payment {payment} is not what its entries make it: {differs}" in printed


@pytest.mark.parametrize("merged", [False, True], ids=["of one filling", "of carts that were merged"])
def test_a_duplicate_that_is_flagged_on_one_side_alone_is_noticed(app: Flask, sql: Sql, merged: bool) -> None:
    with_duplicate(sql)
    if merged:
        sql("UPDATE checkout_sessions SET generation = NULL")
        sql("""INSERT INTO payment_mates (payment_id, mate_id)
            SELECT one.id, other.id FROM payments AS one JOIN payments AS other ON other.id <> one.id""")
    sql("UPDATE payments SET review_reason = NULL WHERE id = (SELECT id FROM payments LIMIT 1)")

    printed = _check(app)[1]

    assert "is one of two for the same things, and nobody was told" in printed
    assert _counts(app) == {name: float(name in {"fold_is_clean", "duplicates_flagged"}) for name in NAMES}


def test_a_duplicate_that_was_seen_is_no_broken_promise(app: Flask, sql: Sql) -> None:
    with_duplicate(sql)
    for payment in sql("SELECT id FROM payments"):
        sql(
            """INSERT INTO payment_reviews (payment_id, reason, amounts)
            SELECT payment_id, reason, amounts
            FROM payment_reasons(ARRAY(SELECT s FROM payment_sums(ARRAY[CAST(:id AS uuid)]) AS s))""",
            id=payment.id,
        )
        fold(sql, payment.id)
    assert [row.review_reason for row in sql("SELECT review_reason FROM payments")] == [None, None]

    assert _check(app)[0] == 0
    assert _counts(app) == dict.fromkeys(NAMES, 0)


def test_more_given_back_than_came_is_a_reason_and_no_broken_promise(app: Flask, sql: Sql) -> None:
    payment, _ = paid_payment(sql)
    with_event(sql, payment)
    sql(
        "INSERT INTO refunds (payment_id, amount, status, provider_ref) VALUES (:id, 120, 'succeeded', 're_1')",
        id=payment,
    )
    fold(sql, payment)
    assert sql("SELECT review_reason FROM payments")[0].review_reason == "refund_too_large"

    assert _check(app)[0] == 0


def test_many_wrong_rows_are_counted_and_few_named(app: Flask, sql: Sql) -> None:
    for _ in range(5):
        paid_payment(sql)
    status, printed = _check(app, "--limit", "2")
    assert status == 1
    assert printed.count("and no event tells of it") == 2
    assert "and 3 more" in printed


def test_all_rows_are_walked_page_by_page(app: Flask, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        insert_payment(sql, provider_ref=f"mock_pi_{number}")
    sql("UPDATE payments SET status = 'failed'")
    monkeypatch.setattr(promises, "PAGE", 2)
    monkeypatch.setattr(invariants, "FOLDED", text(str(money_statements.FOLDED).replace("LIMIT 2000", "LIMIT 2")))

    assert _check(app)[1].count("status failed instead of pending") == 5


def test_the_limits_can_be_set(app: Flask, sql: Sql) -> None:
    insert_webhook(sql, webhook("mock_pi_any"), received_at="now() - interval '16 minutes'")
    assert _check(app)[0] == 1
    assert _check(app, "--pending", "20m")[0] == 0


def test_the_metrics_show_it(client: FlaskClient, sql: Sql) -> None:
    text = client.get("/metrics").text
    assert all(f'checkout_invariant_violations{{invariant="{name}"}}' in text for name in NAMES)


def test_a_scrape_goes_by_index(superuser: Engine, servers: Servers) -> None:
    """However many rows there are: each count of orders and stock begins at an index and ends after some thousands."""
    values = asdict(promises.Limits()) | {"limit": 1000}
    with superuser.connect() as connection:
        connection.execute(text("SET enable_seqscan = off"))
        for invariant in ORDER_INVARIANTS:
            plan = connection.execute(text(f"EXPLAIN {invariant.count}"), values)
            assert "Seq Scan" not in "\n".join(row[0] for row in plan), invariant.name
