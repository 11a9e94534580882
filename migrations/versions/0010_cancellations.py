"""Cancellations: payments that somebody asked to call off, and how far the worker has come with each.

Revision: 0010
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE cancellations (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT cancellations_pkey PRIMARY KEY,
            payment_id uuid NOT NULL CONSTRAINT cancellations_payment_id_fkey REFERENCES payments (id),
            requested_by uuid NOT NULL,
            attempts integer DEFAULT 0 NOT NULL,
            next_attempt_at timestamptz DEFAULT now() + interval '00:00:05',
            detail text,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL
        )""")
    op.execute("CREATE UNIQUE INDEX cancellations_payment_id ON cancellations (payment_id)")
    op.execute("""
        CREATE INDEX cancellations_next_attempt_at ON cancellations (next_attempt_at)
        WHERE next_attempt_at IS NOT NULL""")
    op.execute("GRANT SELECT ON cancellations TO checkout_web")
    op.execute("GRANT INSERT (payment_id, requested_by) ON cancellations TO checkout_web")
    op.execute("GRANT SELECT ON cancellations TO checkout_worker")
    op.execute("GRANT UPDATE (attempts, next_attempt_at, detail, updated_at) ON cancellations TO checkout_worker")


def downgrade() -> None:
    op.execute("DROP TABLE cancellations")
