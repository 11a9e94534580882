"""Rejected webhooks by what they name, so that a flood drops no other's. Expands.

Revision: 0008

A rejected webhook has a class: 1 names an open payment of ours, 2 another payment of ours, 3 nothing that we know. The
release before writes none, and what it rejects is of the lowest. Rejecting locks a table of its own, which only the
owner and the worker may lock: an advisory lock is anybody's who may connect.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A constant default is kept beside the table: no row is written. Committed before the indexes are: where one of
    # them cannot be, all of this runs once more.
    op.execute("""
        ALTER TABLE webhook_deliveries
            ADD IF NOT EXISTS rejected_class smallint DEFAULT 3 NOT NULL,
            ADD IF NOT EXISTS rejected_payment uuid
    """)
    op.execute("""
        CREATE TABLE IF NOT EXISTS webhook_rejections (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT webhook_rejections_pkey PRIMARY KEY,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL
        )
    """)
    # Whoever may update a table may lock it. There is nothing in it to be updated.
    op.execute("GRANT SELECT, UPDATE ON webhook_rejections TO checkout_worker")
    # One that was broken off stays behind, invalid, under its name: so it is dropped first.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS webhook_deliveries_rejected_class")
        op.execute("""
            CREATE INDEX CONCURRENTLY webhook_deliveries_rejected_class
            ON webhook_deliveries (provider, rejected_class, received_at, id) WHERE state = 'rejected'
        """)
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS webhook_deliveries_rejected_payment")
        op.execute("""
            CREATE INDEX CONCURRENTLY webhook_deliveries_rejected_payment
            ON webhook_deliveries (rejected_payment, received_at, id)
            WHERE state = 'rejected' AND rejected_payment IS NOT NULL
        """)
        # Of those that could not be verified yet, and are tried again.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS webhook_deliveries_rejected_next_attempt_at")
        op.execute("""
            CREATE INDEX CONCURRENTLY webhook_deliveries_rejected_next_attempt_at
            ON webhook_deliveries (rejected_class, next_attempt_at)
            WHERE state = 'rejected' AND next_attempt_at IS NOT NULL
        """)


def downgrade() -> None:
    op.execute("DROP TABLE webhook_rejections")
    op.execute("UPDATE webhook_deliveries SET next_attempt_at = NULL WHERE state = 'rejected'")
    # The indexes go with their columns.
    op.execute("ALTER TABLE webhook_deliveries DROP rejected_payment, DROP rejected_class")
