"""Webhook endpoints of the shop, and what is sent there. Expands.

Revision: 0020
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "endpoints"

PARTS: Final = ("endpoints", "rules", "sender", "outgrowing")


def upgrade() -> None:
    for part in PARTS:
        # Without parameters, so that percent signs and colons are not read as placeholders.
        statements = (FOLDER / f"{part}.sql").read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    """The audit keeps what it says of endpoints; the endpoints themselves are gone."""
    op.execute("""
        ALTER TABLE audit DROP CONSTRAINT audit_action_known, ADD CONSTRAINT audit_action_known CHECK (
            action IN ('process', 'process_all', 'stop', 'look_up', 'review', 'accept', 'fail_capture', 'erase',
                'take_over', 'create_key', 'revoke_key')) NOT VALID
    """)
    # Where it can hold: rows that break it stay as they are, and no other of their kind comes.
    op.execute("""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM audit WHERE action IN ('create_endpoint', 'change_endpoint', 'delete_endpoint',
                    'rotate_secret', 'test_endpoint', 'replay_events', 'stop_replay')) THEN
                ALTER TABLE audit VALIDATE CONSTRAINT audit_action_known;
            END IF;
        END $$
    """)
    op.execute("""
        DROP FUNCTION endpoints_sweep_deleted(integer), events_outgrow(integer), event_untaken(bigint),
            webhook_endpoints_write_events(text, uuid[], bigint[], bigint)
    """)
    op.execute("DROP FUNCTION event_replay_plan(event_replays)")
    op.execute("DROP FUNCTION endpoint_move(uuid, uuid, integer, endpoint_state, text)")
    op.execute("DROP TABLE event_replays, event_attempts, pending_deliveries, endpoint_secrets, webhook_endpoints")
    op.execute("DROP TYPE endpoint_state")
    for function in (
        "event_replays_stop()",
        "event_replays_admit()",
        "event_numbers_since(timestamptz)",
        "endpoint_send_test(uuid)",
        "endpoint_rotate_secret(uuid, text, bytea, interval)",
        "endpoint_secrets_admit()",
        "webhook_endpoints_change()",
        "webhook_endpoint_body(uuid)",
        "events_last_seq()",
    ):
        op.execute(f"DROP FUNCTION {function}")
