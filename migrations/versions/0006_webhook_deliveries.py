"""Webhooks: what providers sent, as bytes, and how far the worker has come with each.

Revision: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE webhook_deliveries (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT webhook_deliveries_pkey PRIMARY KEY,
            provider text NOT NULL,
            headers jsonb DEFAULT '{}'::jsonb NOT NULL,
            body bytea NOT NULL,
            received_at timestamptz DEFAULT now() NOT NULL,
            state text DEFAULT 'received' NOT NULL CONSTRAINT webhook_deliveries_state_known CHECK (state IN
                ('received', 'parked', 'applied', 'duplicate', 'ignored', 'rejected', 'failed')),
            attempts integer DEFAULT 0 NOT NULL,
            next_attempt_at timestamptz DEFAULT now() + interval '00:00:05',
            provider_ref text,
            detail text,
            processed_at timestamptz,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT webhook_deliveries_owed_has_next_attempt
                CHECK (state NOT IN ('received', 'parked') OR next_attempt_at IS NOT NULL)
        )""")
    # Every webhook is updated twice within moments of its insert, so the dead rows are swept early.
    op.execute("""
        ALTER TABLE webhook_deliveries SET
            (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05)""")
    op.execute("""
        CREATE INDEX webhook_deliveries_next_attempt_at ON webhook_deliveries (next_attempt_at)
        WHERE state IN ('received', 'parked')""")
    op.execute("""
        CREATE INDEX webhook_deliveries_parked ON webhook_deliveries (provider, provider_ref)
        WHERE state = 'parked'""")
    op.execute("""
        CREATE INDEX webhook_deliveries_rejected ON webhook_deliveries (received_at)
        WHERE state = 'rejected'""")
    op.execute("CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (received_at) WHERE state = 'failed'")
    op.execute("GRANT SELECT, INSERT ON webhook_deliveries TO checkout_web")
    op.execute("GRANT SELECT, UPDATE, DELETE ON webhook_deliveries TO checkout_worker")


def downgrade() -> None:
    op.execute("DROP TABLE webhook_deliveries")
