"""Rights of the two login roles, to the column. Contracts.

Revision: 0011

A role may write what statements of ours name, and nothing else: ids, times and first states are the database's. No
statement of the release before names more, so it goes on beside this; what it takes away is a right that only a taken
process would use. Whoever may insert into, update or delete of a whole table may also lock it.
"""

from typing import Final

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NARROWED: Final = (
    ("checkout_web", "INSERT", "users", "id"),
    ("checkout_web", "INSERT", "cart_items", "cart_id, listing_id, qty"),
    ("checkout_web", "UPDATE", "cart_items", "qty, updated_at"),
    (
        "checkout_web",
        "INSERT",
        "checkout_sessions",
        (
            "user_id, cart_id, generation, idempotency_key, request_hash, payment_id, payment_token, amount, currency, "
            "lines, expires_at"
        ),
    ),
    ("checkout_web", "INSERT", "webhook_deliveries", "provider, headers, body"),
    (
        "checkout_worker",
        "UPDATE",
        "webhook_deliveries",
        (
            "state, attempts, next_attempt_at, provider_ref, names, detail, mismatch, replay_of, processed_at, "
            "updated_at, rejected_class, rejected_payment"
        ),
    ),
    (
        "checkout_worker",
        "INSERT",
        "payment_events",
        (
            "delivery_id, provider, event_id, payment_id, status, amount, currency, outcome, entries, occurred_at, "
            "received_at"
        ),
    ),
    (
        "checkout_worker",
        "INSERT",
        "refund_events",
        "delivery_id, provider, event_id, refund_id, status, amount, currency, outcome, occurred_at, received_at",
    ),
    ("checkout_worker", "INSERT", "command_runs", "id, state, replayed, all_taken"),
    (
        "checkout_worker",
        "UPDATE",
        "command_runs",
        "state, leased_until, after_id, replayed, all_taken, message, updated_at",
    ),
    ("checkout_worker", "INSERT", "command_results", "command_id, state, count"),
    ("checkout_worker", "UPDATE", "command_results", "count, updated_at"),
)
"""Role, right, table, and the columns to which the right is narrowed."""

UNUSED: Final = (
    ("checkout_worker", "UPDATE", "payments", "updated_at"),
    ("checkout_worker", "INSERT", "payment_attempts", "given_up_at"),
)
"""Columns that no statement names."""


def upgrade() -> None:
    for role, right, table, columns in NARROWED:
        # Of the whole table, and with it of each column.
        op.execute(f"REVOKE {right} ON {table} FROM {role}")
        op.execute(f"GRANT {right} ({columns}) ON {table} TO {role}")
    for role, right, table, column in UNUSED:
        op.execute(f"REVOKE {right} ({column}) ON {table} FROM {role}")


def downgrade() -> None:
    for role, right, table, column in UNUSED:
        op.execute(f"GRANT {right} ({column}) ON {table} TO {role}")
    for role, right, table, columns in NARROWED:
        op.execute(f"REVOKE {right} ({columns}) ON {table} FROM {role}")
        op.execute(f"GRANT {right} ON {table} TO {role}")
