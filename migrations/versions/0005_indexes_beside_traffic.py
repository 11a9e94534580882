"""Indexes of tables that are large already, made while everybody reads and writes. Expands.

Revision: 0005

Sessions of one filling of a cart, so that two payments of it are found. Parked webhooks by any of their names: each is
put into the index at once, since a list of those that are not in it yet would be read for every name that is looked
for. The few payments for which money is under way or authorized, among all that ever were. And a key of refunds is one
request of as many rows as it takes sources: the release before this one writes part 0 alone, so the new index holds for
it too.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # One that was broken off stays behind, invalid, under its name: so it is dropped first.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS checkout_sessions_cart_id_generation")
        op.execute("""
            CREATE INDEX CONCURRENTLY checkout_sessions_cart_id_generation ON checkout_sessions (cart_id, generation)
        """)
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS webhook_deliveries_parked_names")
        op.execute("""
            CREATE INDEX CONCURRENTLY webhook_deliveries_parked_names ON webhook_deliveries USING gin (names)
            WITH (fastupdate = off) WHERE state = 'parked'
        """)
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments_under_way")
        op.execute("CREATE INDEX CONCURRENTLY payments_under_way ON payments (id) WHERE under_way")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments_authorized")
        op.execute("""
            CREATE INDEX CONCURRENTLY payments_authorized ON payments (id)
            WHERE amount_authorized > 0 AND closed IS NULL
        """)
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS refunds_requested_by_idempotency_key_part")
        op.execute("""
            CREATE UNIQUE INDEX CONCURRENTLY refunds_requested_by_idempotency_key_part
            ON refunds (requested_by, idempotency_key, part)
        """)
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS refunds_requested_by_idempotency_key")


def downgrade() -> None:
    # Further parts of a request get keys of their own, since a key was one refund.
    op.execute("ALTER TABLE refunds DISABLE TRIGGER refunds_guard")
    op.execute("UPDATE refunds SET idempotency_key = idempotency_key || '/' || part, part = 0 WHERE part > 0")
    op.execute("ALTER TABLE refunds ENABLE TRIGGER refunds_guard")
    op.execute("CREATE UNIQUE INDEX refunds_requested_by_idempotency_key ON refunds (requested_by, idempotency_key)")
    op.execute("DROP INDEX refunds_requested_by_idempotency_key_part")
    op.execute("DROP INDEX payments_authorized")
    op.execute("DROP INDEX payments_under_way")
    op.execute("DROP INDEX webhook_deliveries_parked_names")
    op.execute("DROP INDEX checkout_sessions_cart_id_generation")
