"""Pieces of a refund that failed here stay given back where its provider made it all the same. Expands.

Revision: 0033

The release before goes on beside it: it says of no refund for which of ours it was made, as until now. What it flagged
so before is entered here, by its own words; what it flags until its last worker has ended, by calling the same once
more (docs/migrations.md). The way back keeps which refund stands for which: its column stays, and nobody reads it.

Webhooks that wait until a refund of ours has its reference are found by their payment. A sync of the catalogue keeps
how many prices it moved far, which the next ones of the day count.
"""

import re
from pathlib import Path
from typing import Final

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent

INDEX: Final = "CREATE INDEX CONCURRENTLY refunds_made_for ON refunds (made_for) WHERE made_for IS NOT NULL"

WAITING: Final = """(provider, provider_ref, id)
    WHERE state IN ('received', 'parked')
        AND right(detail, 54) = 'a refund of ours with this amount has no reference yet'
"""
"""As checkout_service/refunds/settling.py asks for them."""

PARTS: Final = """
    SELECT name FROM webhooks_parts() UNION ALL SELECT 'webhook_deliveries_of_no_day' WHERE webhooks_in_parts()
"""

THERE: Final = "SELECT to_regclass('webhook_deliveries_waits_for_refund') IS NOT NULL"


def upgrade() -> None:
    # Each statement that locks a table that is there is a transaction of its own, and so is the file.
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE refunds ADD COLUMN IF NOT EXISTS made_for uuid")
        op.execute("""
            ALTER TABLE refunds DROP CONSTRAINT IF EXISTS refunds_made_for_fkey,
                ADD CONSTRAINT refunds_made_for_fkey FOREIGN KEY (made_for) REFERENCES refunds (id) NOT VALID
        """)
        op.execute("ALTER TABLE refunds VALIDATE CONSTRAINT refunds_made_for_fkey")
        # One that was broken off stays behind, invalid, under its name: so it is dropped first.
        _beside_traffic("DROP INDEX CONCURRENTLY IF EXISTS refunds_made_for")
        _beside_traffic(INDEX)
        op.execute("GRANT INSERT (made_for), UPDATE (made_for) ON refunds TO checkout_worker")
        parts = op.get_bind().exec_driver_sql(PARTS).scalars().all()
        if not parts:
            _make_index("webhook_deliveries")
        elif not op.get_bind().exec_driver_sql(THERE).scalar_one():
            # PostgreSQL makes none of a table in parts beside traffic: each part gets its own, and the table takes it.
            for part in parts:
                _make_index(part)
            op.execute(f"CREATE INDEX webhook_deliveries_waits_for_refund ON webhook_deliveries {WAITING}")
        _run((FOLDER / "pieces" / "made_for.sql").read_text(encoding="utf-8"))
        _run("CALL refunds_stand_in()")
        op.execute("""
            ALTER TABLE catalog_syncs ADD COLUMN IF NOT EXISTS moved jsonb DEFAULT '{}' NOT NULL,
                DROP CONSTRAINT IF EXISTS catalog_syncs_moved_is_object,
                ADD CONSTRAINT catalog_syncs_moved_is_object CHECK (jsonb_typeof(moved) = 'object')
        """)
        _run((FOLDER / "sources" / "moved.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Pieces of such a refund may be given back once more. Which stand for which is kept for the way forward."""
    # Each statement that locks a table is a transaction of its own here too.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX IF EXISTS webhook_deliveries_waits_for_refund")
        op.execute("DROP TRIGGER IF EXISTS refund_lines_question ON refund_lines")
        op.execute("DROP TRIGGER IF EXISTS refunds_check_pieces ON refunds")
        op.execute("DROP TRIGGER IF EXISTS refunds_check_made_for ON refunds")
        op.execute("DROP INDEX IF EXISTS refunds_made_for")
        op.execute("ALTER TABLE refunds DROP CONSTRAINT IF EXISTS refunds_made_for_fkey")
    # What this release calls goes with the version: one that was broken off before goes on as this release.
    for function in (
        "catalog_sync_end(uuid, catalog_sync_state, integer[], text, boolean, jsonb)",
        "catalog_sync_write_counted(uuid, interval, text[], jsonb, boolean)",
        "catalog_sync_retire_counted(uuid, interval, text[], boolean)",
        "refunds_check_pieces(), refunds_check_made_for(), refund_lines_question()",
        "order_line_in_question(uuid), refunds_of_before(uuid)",
    ):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP PROCEDURE refunds_stand_in()")
    op.execute("ALTER TABLE catalog_syncs DROP COLUMN moved")
    before = (FOLDER / "orders/orders.sql").read_text(encoding="utf-8")
    (found,) = re.findall(r"CREATE FUNCTION order_line_refunds(\(.*?\n\$\$;)", before, re.DOTALL)
    _run(f"CREATE OR REPLACE FUNCTION order_line_refunds{found}")
    op.execute("REVOKE INSERT (made_for), UPDATE (made_for) ON refunds FROM checkout_worker")


def _make_index(table: str) -> None:
    # One that was broken off stays behind, invalid, under its name: so it is dropped first.
    _beside_traffic(f"DROP INDEX CONCURRENTLY IF EXISTS {table}_waits_for_refund")
    _beside_traffic(f"CREATE INDEX CONCURRENTLY {table}_waits_for_refund ON {table} {WAITING}")


def _beside_traffic(statement: str) -> None:
    """Such a one waits for all transactions that are older than it, and stands in front of nobody meanwhile."""
    op.execute("SET lock_timeout = 0")
    try:
        op.execute(statement)
    finally:
        op.execute("RESET lock_timeout")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
