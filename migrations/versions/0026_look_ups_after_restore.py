"""Payments that wait for their look-up after a restore, and nothing is asked for of them before. Expands.

Revision: 0026

The release before goes on beside it: the table is empty until ``flask after-restore`` fills it.
"""

import re
from pathlib import Path
from typing import Final

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "restores"

PARTS: Final = ("look_ups", "short_orders")

TRIGGERS: Final = (
    # By their names they come behind those that lock the payment.
    """CREATE OR REPLACE TRIGGER refunds_wait_for_look_up BEFORE INSERT ON refunds FOR EACH ROW
    WHEN (NEW.requested_by IS NOT NULL) EXECUTE FUNCTION requests_wait_for_look_up()""",
    """CREATE OR REPLACE TRIGGER capture_requests_wait_for_look_up BEFORE INSERT ON capture_requests FOR EACH ROW
    EXECUTE FUNCTION requests_wait_for_look_up()""",
)


def upgrade() -> None:
    # Each statement that locks a table that is there is a transaction of its own, and so is each file.
    with op.get_context().autocommit_block():
        for part in PARTS:
            _run((FOLDER / f"{part}.sql").read_text(encoding="utf-8"))
        for trigger in TRIGGERS:
            op.execute(trigger)


def downgrade() -> None:
    """What waits for its look-up waits no more: wait for it first."""
    op.execute("DROP TRIGGER refunds_wait_for_look_up ON refunds")
    op.execute("DROP TRIGGER capture_requests_wait_for_look_up ON capture_requests")
    before = (FOLDER.parent / "orders/requests.sql").read_text(encoding="utf-8")
    (found,) = re.findall(r"CREATE FUNCTION orders_cancel_short(\(.*?\n\$\$;)", before, re.DOTALL)
    _run(f"CREATE OR REPLACE FUNCTION orders_cancel_short{found}")
    _run("""
        DO $$ BEGIN
            EXECUTE format('ALTER FUNCTION orders_cancel_short(integer, uuid) SET search_path = %I, pg_temp',
                current_schema());
        END $$
    """)
    op.execute("DROP FUNCTION requests_wait_for_look_up(), refund_request_lost(uuid)")
    op.execute("DROP TABLE look_ups_after_restore")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
