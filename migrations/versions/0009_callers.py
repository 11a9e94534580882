"""Who opened a session, so that one caller opens no more than a few at a time. Expands.

Revision: 0009

A table for the addresses of those who did, which a process of the release before leaves empty, and an index of the
payments that nobody has paid or tries to pay. Of a customer they are few, however many they have bought.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

FILE: Final = Path(__file__).parent.parent / "bounds" / "callers.sql"


def upgrade() -> None:
    # One that was broken off stays behind, invalid, under its name: so it is dropped first.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments_open")
        op.execute("""
            CREATE INDEX CONCURRENTLY payments_open ON payments (user_id, created_at)
            WHERE status = 'pending' AND NOT under_way
        """)
    # After the index, as it may fail: what stands before is committed with it, and would stay. Without parameters, so
    # that percent signs and colons are not read as placeholders.
    statements = FILE.read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    op.execute("DROP INDEX payments_open")
    op.execute("DROP TABLE session_addresses")
