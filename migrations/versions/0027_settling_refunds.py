"""An operator may settle a refund that is in doubt, and have a payment canceled. Expands.

Revision: 0027

The release before goes on beside it. A worker of it that takes such a command up fails at it; one of this release does
so once the lease is over.
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

VALIDATE: Final = "ALTER TABLE audit VALIDATE CONSTRAINT audit_action_known"


def upgrade() -> None:
    # Each statement is a transaction of its own: what locks the table for a moment, and what reads it beside traffic.
    with op.get_context().autocommit_block():
        op.execute(ADD.format(actions=f"{BEFORE}, 'settle_refund', 'cancel'"))
        op.execute(VALIDATE)


def downgrade() -> None:
    """The audit keeps what was settled: then the constraint holds for what comes from now on alone."""
    op.execute("""
        UPDATE command_runs AS run SET state = 'refused', message = 'this release cannot do it', updated_at = now()
        FROM audit WHERE audit.id = run.id AND audit.action = 'settle_refund' AND run.state IN ('waiting', 'running')
    """)
    op.execute(ADD.format(actions=BEFORE))
    op.execute(f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM audit WHERE action IN ('settle_refund', 'cancel')) THEN
                {VALIDATE};
            END IF;
        END $$
    """)
