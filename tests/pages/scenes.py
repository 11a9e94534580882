"""What pages are looked at in: payments and orders brought there by entries and the fold, as the worker does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from tests.conftest import Sql
from tests.money import attempt, bring_to, dispute, fold
from tests.stock.holding import end_holds
from tests.webhook_bodies import insert_webhook, webhook

Scene = Callable[[Sql, str], None]


def number_orders(sql: Sql, prefix: str = "S-") -> None:
    """Give the orders their numbers, as the worker does right after they are made."""
    sql("SELECT orders_number(:prefix, 1000)", prefix=prefix)


def ordered(sql: Sql, payment_id: str) -> UUID:
    """The order of a payment that is paid."""
    found: UUID = sql("SELECT id FROM orders WHERE payment_id = :id", id=payment_id)[0].id
    return found


def refund(sql: Sql, payment_id: str, amount: str, status: str = "succeeded") -> None:
    """A refund in this status, and the fold."""
    sql(
        """INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash)
        SELECT id, CAST(:amount AS numeric), user_id, :key, '' FROM payments WHERE id = :id""",
        id=payment_id,
        amount=amount,
        key=str(uuid4()),
    )
    sql(
        """UPDATE refunds SET status = CAST(:status AS refund_status), provider_ref = 're_' || id
        WHERE payment_id = :id""",
        id=payment_id,
        status=status,
    )
    fold(sql, payment_id)


def ask_to_cancel(sql: Sql, payment_id: str) -> None:
    """Its customer asks to cancel it; no worker has looked yet."""
    sql(
        "INSERT INTO cancel_requests (payment_id, requested_by) SELECT id, user_id FROM payments WHERE id = :id",
        id=payment_id,
    )


def add_event(sql: Sql, payment_id: str, status: str, outcome: str, *, after: float) -> None:
    """An event with the webhook that brought it; a payment that expired is one that we asked about."""
    moment = f"now() + interval '{after} seconds'"
    webhook_id = None
    if status != "expired":
        body = webhook(f"mock_pi_{payment_id.replace('-', '')}", status)
        processed = f"now() + interval '{after + 0.023} seconds'"
        webhook_id = insert_webhook(
            sql, body, received_at=moment, state="'applied'", attempts="1", processed_at=processed
        )
    sql(
        f"""INSERT INTO payment_events (delivery_id, provider, event_id, payment_id, status, amount, currency, outcome,
            received_at)
        SELECT CAST(:webhook AS uuid), 'mock', :event, id, CAST(:status AS payment_status), amount + :more, currency,
            :outcome, {moment} FROM payments WHERE id = :id""",
        webhook=webhook_id,
        event=str(uuid4()),
        status=status,
        more=1 if outcome == "mismatch" else 0,
        outcome=outcome,
        id=payment_id,
    )


def reported(status: str) -> Scene:
    """The provider reported this status."""

    def bring(sql: Sql, payment_id: str) -> None:
        add_event(sql, payment_id, status, "applied", after=2.4)
        bring_to(sql, payment_id, status)

    return bring


def waiting(sql: Sql, payment_id: str) -> None:
    sql("UPDATE payments SET created_at = now() - interval '2 minutes' WHERE id = :id", id=payment_id)


def waiting_under_way(sql: Sql, payment_id: str) -> None:
    bring_to(sql, payment_id, "processing")
    waiting(sql, payment_id)


def begun(sql: Sql, payment_id: str) -> None:
    attempt(sql, payment_id, "started", ref="at_1")
    fold(sql, payment_id)


def review(sql: Sql, payment_id: str) -> None:
    add_event(sql, payment_id, "paid", "mismatch", after=1.2)
    sql("UPDATE payments SET review_reason = 'mismatch' WHERE id = :id", id=payment_id)


def review_of_failed(sql: Sql, payment_id: str) -> None:
    bring_to(sql, payment_id, "failed")
    sql("UPDATE payments SET review_reason = 'mismatch' WHERE id = :id", id=payment_id)


def paid(sql: Sql, payment_id: str) -> None:
    """With a webhook that nobody verified before, and news that came too late behind it."""
    reference = f"mock_pi_{payment_id.replace('-', '')}"
    done = {"attempts": "1", "processed_at": "now() + interval '930 milliseconds'"}
    insert_webhook(sql, webhook(reference, secret="x"), received_at="now() + interval '912 milliseconds'",
                   state="'rejected'", **done, detail="'the signature is not ours'")  # fmt: skip
    for stale, after in (("processing", 3.1), ("failed", 3.5)):
        add_event(sql, payment_id, stale, "stale", after=after)
    reported("paid")(sql, payment_id)
    number_orders(sql)


def number_coming(sql: Sql, payment_id: str) -> None:
    bring_to(sql, payment_id, "paid")


def refunding(sql: Sql, payment_id: str) -> None:
    paid(sql, payment_id)
    refund(sql, payment_id, "3.50", "processing")


def partly_refunded(sql: Sql, payment_id: str) -> None:
    paid(sql, payment_id)
    refund(sql, payment_id, "3.50")


def refunded(sql: Sql, payment_id: str) -> None:
    paid(sql, payment_id)
    (amount,) = sql("SELECT amount::text FROM payments WHERE id = :id", id=payment_id)[0]
    refund(sql, payment_id, amount)


def ending(sql: Sql, payment_id: str) -> None:
    ask_to_cancel(sql, payment_id)


def ending_under_way(sql: Sql, payment_id: str) -> None:
    bring_to(sql, payment_id, "processing")
    ask_to_cancel(sql, payment_id)


def failed_and_ending(sql: Sql, payment_id: str) -> None:
    bring_to(sql, payment_id, "failed")
    ask_to_cancel(sql, payment_id)


def canceled_on_request(sql: Sql, payment_id: str) -> None:
    ask_to_cancel(sql, payment_id)
    bring_to(sql, payment_id, "canceled")


def paid_all_the_same(sql: Sql, payment_id: str) -> None:
    ask_to_cancel(sql, payment_id)
    bring_to(sql, payment_id, "paid")
    number_orders(sql)


def paid_without_stock(sql: Sql, payment_id: str) -> None:
    """The money came when its holds had ended and others had bought the pieces."""
    end_holds(sql, payment_id)
    sql("SELECT holds_sweep(100, '{}')")
    sql("UPDATE listings SET stock = 0")
    bring_to(sql, payment_id, "paid")
    number_orders(sql)


def on_hold(sql: Sql, payment_id: str) -> None:
    bring_to(sql, payment_id, "paid")
    dispute(sql, payment_id, "1")
    number_orders(sql)


def overpaid(sql: Sql, payment_id: str) -> None:
    bring_to(sql, payment_id, "paid", amount="20.00")
    number_orders(sql)


def canceled_and_not_given_back(sql: Sql, payment_id: str) -> None:
    """Its order was canceled, and the refund for that failed."""
    bring_to(sql, payment_id, "paid")
    number_orders(sql)
    cancel_order(sql, ordered(sql, payment_id))
    sql("UPDATE refunds SET status = 'failed', decline = 'other', next_attempt_at = NULL")
    fold(sql, payment_id)


PAYMENT_SCENES: dict[str, tuple[str, Scene]] = {
    "pending": ("Waiting for your payment", lambda _sql, _id: None),
    "begun": ("Waiting for your payment", begun),
    "waiting": ("Still waiting", waiting),
    "waiting-under-way": ("Still waiting", waiting_under_way),
    "review": ("Somebody has to look at this", review),
    "review-of-failed": ("Somebody has to look at this", review_of_failed),
    "processing": ("Your bank is working on it", reported("processing")),
    "failed": ("The payment did not go through", reported("failed")),
    "authorized": ("Your payment is authorized", reported("authorized")),
    "expired": ("This payment has expired", reported("expired")),
    "canceled": ("This payment was canceled", reported("canceled")),
    "canceled-on-request": ("This payment was canceled", canceled_on_request),
    "ending": ("This payment is being canceled", ending),
    "ending-under-way": ("This payment is to be canceled", ending_under_way),
    "failed-and-ending": ("The payment did not go through", failed_and_ending),
    "paid": ("Paid. Thank you!", paid),
    "paid-number-coming": ("Paid. Thank you!", number_coming),
    "paid-all-the-same": ("Paid. Thank you!", paid_all_the_same),
    "paid-without-stock": ("Paid. Thank you!", paid_without_stock),
    "paid-on-hold": ("Paid. Thank you!", on_hold),
    "refunding": ("Paid. Thank you!", refunding),
    "partly-refunded": ("Paid, and partly refunded", partly_refunded),
    "refunded": ("Refunded", refunded),
    "overpaid": ("Paid. Thank you!", overpaid),
    "canceled-and-not-given-back": ("Your order was canceled", canceled_and_not_given_back),
    "reversed": ("The money went back", reported("reversed")),
}
"""States of a payment's page by name: its headline, and what brings a payment there."""


def fulfil(sql: Sql, order_id: UUID, *, every_line: bool, tracking: str | None) -> None:
    """Hand over one piece of the first line, or all of them, as staff ask for it."""
    lines: list[dict[str, Any]] = [
        {"line_id": str(row.id), "qty": row.qty if every_line else 1}
        for row in sql("SELECT id, qty FROM order_lines WHERE order_id = :id ORDER BY place", id=order_id)
    ]
    sql(
        """INSERT INTO fulfilments (order_id, lines, carrier, tracking, requested_by, idempotency_key, request_hash)
        SELECT id, CAST(:lines AS jsonb), 'Northern Parcels', :tracking, user_id, :key, ''
        FROM orders WHERE id = :id""",
        id=order_id,
        lines=str(lines if every_line else lines[:1]).replace("'", '"'),
        tracking=tracking,
        key=str(uuid4()),
    )


def cancel_order(sql: Sql, order_id: UUID) -> None:
    """Staff cancel the order."""
    sql(
        """INSERT INTO order_cancellations (order_id, requested_by, idempotency_key, request_hash)
        SELECT id, user_id, :key, '' FROM orders WHERE id = :id""",
        id=order_id,
        key=str(uuid4()),
    )
