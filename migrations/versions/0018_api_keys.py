"""Keys of programs, and indexes by which staff and programs find payments. Expands.

Revision: 0018

The release before goes on beside it: it knows no keys, and answers 401 to whoever sends one.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

FILE: Final = Path(__file__).parent.parent / "events" / "api_keys.sql"


def upgrade() -> None:
    # One that was broken off stays behind, invalid, under its name: so it is dropped first.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments_created_at_id")
        op.execute("CREATE INDEX CONCURRENTLY payments_created_at_id ON payments (created_at, id)")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments_updated_at_id")
        op.execute("CREATE INDEX CONCURRENTLY payments_updated_at_id ON payments (updated_at, id)")
    # After the indexes, as they may fail: what stands before is committed with them, and would stay. Without
    # parameters, so that percent signs and colons are not read as placeholders.
    statements = FILE.read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    """The audit keeps what it says of keys; the keys themselves are gone, and with them what they opened."""
    op.execute("""
        ALTER TABLE audit DROP CONSTRAINT audit_action_known, ADD CONSTRAINT audit_action_known CHECK (
            action IN ('process', 'process_all', 'stop', 'look_up', 'review', 'accept', 'fail_capture', 'erase',
                'take_over')) NOT VALID
    """)
    # Where it can hold: rows that break it stay as they are, and no other of their kind comes.
    op.execute("""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM audit WHERE action IN ('create_key', 'revoke_key')) THEN
                ALTER TABLE audit VALIDATE CONSTRAINT audit_action_known;
            END IF;
        END $$
    """)
    op.execute("DROP TABLE api_keys")
    op.execute("DROP FUNCTION api_keys_guard()")
    op.execute("DROP INDEX payments_updated_at_id")
    op.execute("DROP INDEX payments_created_at_id")
