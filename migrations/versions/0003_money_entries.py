"""Entries of money: attempts, captures, disputes, requests, and ``payments_fold``, which computes the payment. Expands.

Revision: 0003

The SQL lies in ``migrations/entries/``, as the baseline's does. The release before this one works on beside it: it may
still move a payment's status by itself, and ``bridge.sql`` enters what it wrote. ``0007`` takes both away.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PARTS: Final = ("tables", "fold", "requests", "guards", "rights", "bridge")

FOLDER: Final = Path(__file__).parent.parent / "entries"


def upgrade() -> None:
    for part in PARTS:
        _run(part)


def downgrade() -> None:
    _run("take_away")


def _run(part: str) -> None:
    statements = (FOLDER / f"{part}.sql").read_text(encoding="utf-8")
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
