"""Orders of operators: the audit of what they asked for, how far the worker is with it, and indexes to find webhooks by.

Both indexes on webhooks are partial, on states that few webhooks end in: a webhook that is applied pays for neither, nor
do the webhook receiver's INSERT and the worker's claim.

Revision: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE audit (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT audit_pkey PRIMARY KEY,
            key uuid NOT NULL,
            operator text NOT NULL CONSTRAINT audit_operator_named
                CHECK (operator <> '' AND length(operator) <= 200),
            action text NOT NULL CONSTRAINT audit_action_known
                CHECK (action IN ('process', 'process_all', 'stop', 'look_up', 'review')),
            subject text NOT NULL,
            why text NOT NULL CONSTRAINT audit_why_bounded CHECK (length(why) <= 2000),
            details jsonb DEFAULT '{}'::jsonb NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL
        )""")
    op.execute("CREATE UNIQUE INDEX audit_key ON audit (key)")
    op.execute("CREATE INDEX audit_subject ON audit (subject, id)")
    op.execute("""
        CREATE INDEX audit_for_the_worker ON audit (id)
        WHERE action IN ('process_all', 'look_up', 'review')""")
    op.execute("""
        CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'what was asked for is never changed nor taken back' USING ERRCODE = '23514';
        END $$""")
    op.execute("""
        CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE ON audit
        FOR EACH ROW EXECUTE FUNCTION audit_guard()""")
    op.execute("""
        CREATE TABLE runs (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT runs_pkey PRIMARY KEY
                CONSTRAINT runs_id_fkey REFERENCES audit (id),
            state text DEFAULT 'running' NOT NULL CONSTRAINT runs_state_known
                CHECK (state IN ('running', 'done', 'stopped', 'stalled', 'refused')),
            leased_until timestamptz DEFAULT now() NOT NULL,
            until_at timestamptz NOT NULL,
            after_at timestamptz,
            after_id uuid,
            notified integer DEFAULT 0 NOT NULL,
            became jsonb DEFAULT '{}'::jsonb NOT NULL,
            said text,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL
        )""")
    op.execute("CREATE INDEX runs_running ON runs (leased_until) WHERE state = 'running'")
    op.execute("""
        CREATE INDEX webhook_deliveries_aside ON webhook_deliveries (state, id)
        WHERE state IN ('parked', 'duplicate', 'ignored', 'rejected', 'failed')""")
    op.execute("""
        CREATE INDEX webhook_deliveries_aside_reference ON webhook_deliveries (provider_ref, id)
        WHERE state IN ('parked', 'duplicate', 'ignored', 'failed') AND provider_ref IS NOT NULL""")
    op.execute("GRANT SELECT ON audit TO checkout_web, checkout_worker")
    op.execute("GRANT INSERT (key, operator, action, subject, why, details) ON audit TO checkout_web")
    op.execute("GRANT SELECT ON runs TO checkout_web, checkout_worker")
    op.execute("GRANT INSERT, UPDATE ON runs TO checkout_worker")


def downgrade() -> None:
    op.execute("DROP INDEX webhook_deliveries_aside_reference, webhook_deliveries_aside")
    op.execute("DROP TABLE runs")
    op.execute("DROP TABLE audit")
    op.execute("DROP FUNCTION audit_guard")
