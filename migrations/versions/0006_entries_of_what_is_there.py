"""Payments from before entries get entries: an amount that came, a dispute, an attempt, a closing. Expands.

Revision: 0006

In steps, each a transaction of its own that locks its payments as a worker does, in the order of their ids. Traffic
goes on beside it: what the release before writes meanwhile is entered at once (``migrations/entries/bridge.sql``). It
may be broken off at any step, and begun again: it goes on where it was. A status must come out as it was, or the step
fails and names the payment.
"""

from pathlib import Path
from typing import Final

from alembic import op
from sqlalchemy import text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PAYMENTS_A_STEP: Final = 5_000

STEP_FILE: Final = Path(__file__).parent.parent / "entries" / "step.sql"

STEP: Final = text("SELECT payments_enter_step(:most, CAST(:after AS uuid))")

BEGINNING: Final = "00000000-0000-0000-0000-000000000000"


def upgrade() -> None:
    # Without parameters, so that percent signs are not read as placeholders.
    op.get_bind().exec_driver_sql(STEP_FILE.read_text(encoding="utf-8"), execution_options={"no_parameters": True})
    with op.get_context().autocommit_block():
        after = BEGINNING
        while after:
            after = op.get_bind().execute(STEP, {"most": PAYMENTS_A_STEP, "after": after}).scalar()


def downgrade() -> None:
    """The entries stay: 0003 takes them away with their tables."""
    op.execute("DROP FUNCTION payments_enter_step(integer, uuid)")
