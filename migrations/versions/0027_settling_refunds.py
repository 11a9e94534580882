"""An operator may settle a refund that is in doubt, and give commands about money in the console. Expands.

Revision: 0027

The release before goes on beside it. A worker of it that takes such a command up fails at it; one of this release does
so once the lease is over.

What an operator calls a refund gives way to what the provider calls it: until that confirms a name, it may change.

A request to cancel a payment that was given up may be tried again. Flagged payments are listed in the order of time.
"""

from typing import Final

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

BEFORE: Final = """'process', 'process_all', 'stop', 'look_up', 'review', 'accept', 'fail_capture', 'erase',
    'take_over', 'create_key', 'revoke_key', 'create_endpoint', 'change_endpoint', 'delete_endpoint', 'rotate_secret',
    'test_endpoint', 'replay_events', 'stop_replay'"""

ADD: Final = """
    ALTER TABLE audit DROP CONSTRAINT audit_action_known,
        ADD CONSTRAINT audit_action_known CHECK (action IN ({actions})) NOT VALID
"""

ACTIONS: Final = ("settle_refund", "cancel", "capture", "void", "refund")

COLUMN: Final = "ALTER TABLE refunds ADD COLUMN IF NOT EXISTS named_by_operator boolean DEFAULT false NOT NULL"

# By the function as it stands: migrations before this one added columns to it.
GUARD: Final = """
    DO $$
    DECLARE
        written text;
    BEGIN
        SELECT pg_get_functiondef(to_regprocedure('refunds_guard()')) INTO STRICT written;
        IF strpos(written, '{after}') > 0 THEN
            RETURN;
        ELSIF strpos(written, '{before}') = 0 THEN
            RAISE EXCEPTION 'refunds_guard does not keep the reference as it did';
        END IF;
        EXECUTE replace(written, '{before}', '{after}');
    END
    $$
"""

KEPT: Final = "coalesce(OLD.provider_ref, NEW.provider_ref)"
KEPT_ONCE_CONFIRMED: Final = "CASE WHEN OLD.named_by_operator THEN NEW.provider_ref ELSE " + KEPT + " END"

GIVEN_UP: Final = """
    CREATE INDEX CONCURRENTLY cancel_requests_given_up ON cancel_requests (updated_at)
    WHERE next_attempt_at IS NULL AND detail LIKE 'the payment is still %'
"""

FLAGGED: Final = """
    CREATE INDEX CONCURRENTLY payments_flagged_created_at_id ON payments (created_at, id)
    WHERE review_reason IS NOT NULL
"""

VALIDATE: Final = "ALTER TABLE audit VALIDATE CONSTRAINT audit_action_known"


def upgrade() -> None:
    # Each statement is a transaction of its own: what locks the table for a moment, and what reads it beside traffic.
    with op.get_context().autocommit_block():
        op.execute(ADD.format(actions=f"{BEFORE}, {_listed(ACTIONS)}"))
        op.execute(VALIDATE)
        op.execute(COLUMN)
        op.execute("GRANT UPDATE (named_by_operator) ON refunds TO checkout_worker")
        op.execute(GUARD.format(before=KEPT, after=KEPT_ONCE_CONFIRMED))
        op.execute("ALTER TABLE cancel_requests ADD COLUMN IF NOT EXISTS revived_at timestamptz")
        op.execute("GRANT INSERT (payment_id, requested_by), UPDATE (revived_at) ON cancel_requests TO checkout_worker")
        # One that was broken off stays behind, invalid, under its name: so it is dropped first.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS cancel_requests_given_up")
        op.execute(GIVEN_UP)
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments_flagged_created_at_id")
        op.execute(FLAGGED)


def downgrade() -> None:
    """The audit keeps what was settled: then the constraint holds for what comes from now on alone."""
    op.execute("DROP INDEX cancel_requests_given_up")
    op.execute("DROP INDEX payments_flagged_created_at_id")
    op.execute("ALTER TABLE cancel_requests DROP COLUMN revived_at")
    op.execute("REVOKE INSERT (payment_id, requested_by) ON cancel_requests FROM checkout_worker")
    op.execute("""
        UPDATE command_runs AS run SET state = 'refused', message = 'this release cannot do it', updated_at = now()
        FROM audit WHERE audit.id = run.id AND audit.action IN ('settle_refund', 'cancel')
            AND run.state IN ('waiting', 'running')
    """)
    op.execute(ADD.format(actions=BEFORE))
    op.execute(f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM audit WHERE action IN ({_listed(ACTIONS)})) THEN
                {VALIDATE};
            END IF;
        END $$
    """)
    op.execute(f"""
        DO $$ BEGIN
            EXECUTE replace(pg_get_functiondef(to_regprocedure('refunds_guard()')), '{KEPT_ONCE_CONFIRMED}', '{KEPT}');
        END $$
    """)
    op.execute("ALTER TABLE refunds DROP COLUMN named_by_operator")


def _listed(actions: tuple[str, ...]) -> str:
    return ", ".join(f"'{action}'" for action in actions)
