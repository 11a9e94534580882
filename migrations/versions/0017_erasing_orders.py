"""Erasing a person, with what orders hold of them: what an invoice needs is kept for a time. Expands.

Revision: 0017

The release before goes on beside it: its workers do not say for how long orders are kept, so all of them keep their
buyer and address until a worker of this release strikes them out.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent


def upgrade() -> None:
    _run((FOLDER / "orders" / "erasing.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """What an order keeps of somebody who was erased goes: nobody would strike it out any more."""
    op.execute("UPDATE orders SET buyer = NULL, delivery_address = NULL WHERE erased_at IS NOT NULL")
    op.execute("DROP FUNCTION person_erase_step(uuid, interval), orders_strike_out(interval, integer)")
    before = (FOLDER / "bounds" / "erasing.sql").read_text(encoding="utf-8")
    _run(before[before.index("CREATE FUNCTION person_erase_step(") :])
    op.execute("DROP INDEX orders_kept")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
