"""Reports are fetched by one command at a time. Expands.

Revision: 0037
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

LOCK: Final = Path(__file__).parent.parent / "settlements" / "lock.sql"


def upgrade() -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(LOCK.read_text(encoding="utf-8"), execution_options={"no_parameters": True})


def downgrade() -> None:
    op.execute("DROP TABLE settlement_leases")
