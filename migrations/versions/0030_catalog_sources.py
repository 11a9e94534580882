"""Listings out of tables of an application beside this one. Expands.

Revision: 0030

The release before goes on beside it: both tables are empty until ``flask catalog sync`` runs.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "sources"

PARTS: Final = ("tables", "sync")


def upgrade() -> None:
    for part in PARTS:
        _run((FOLDER / f"{part}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Listings stay as they are; which of them are the source's is forgotten, and the next sync finds it out anew."""
    op.execute("""
        DROP FUNCTION catalog_sync_retire(uuid, interval, text[]), catalog_sync_write(uuid, interval, text[], jsonb),
            catalog_sync_rows(jsonb), catalog_sync_end(uuid, catalog_sync_state, integer[], text, boolean),
            catalog_sync_go_on(uuid, interval), catalog_sync_begin(interval)
    """)
    op.execute("DROP TABLE source_listings, catalog_syncs")
    op.execute("DROP TYPE catalog_sync_state")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
