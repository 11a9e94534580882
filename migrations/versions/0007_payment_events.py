"""Events: what providers reported of payments, each once.

Revision: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE payment_events (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT payment_events_pkey PRIMARY KEY,
            delivery_id uuid,
            provider text NOT NULL,
            event_id text NOT NULL,
            payment_id uuid NOT NULL CONSTRAINT payment_events_payment_id_fkey REFERENCES payments (id),
            status payment_status NOT NULL,
            amount numeric(10,2),
            currency char(3),
            outcome text NOT NULL CONSTRAINT payment_events_outcome_known
                CHECK (outcome IN ('applied', 'stale', 'mismatch')),
            occurred_at timestamptz,
            received_at timestamptz DEFAULT now() NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL
        )""")
    op.execute("CREATE UNIQUE INDEX payment_events_provider_event_id ON payment_events (provider, event_id)")
    op.execute("CREATE INDEX payment_events_payment_id ON payment_events (payment_id)")
    op.execute("GRANT SELECT ON payment_events TO checkout_web")
    op.execute("GRANT SELECT, INSERT, DELETE ON payment_events TO checkout_worker")
    op.execute("GRANT UPDATE (outcome) ON payment_events TO checkout_worker")


def downgrade() -> None:
    op.execute("DROP TABLE payment_events")
