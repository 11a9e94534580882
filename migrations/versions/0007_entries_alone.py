"""Only ``payments_fold`` writes what became of a payment. Contracts.

Revision: 0007

Runs once no worker of the release before is left: one that is would be refused, and its webhooks stay due. The web tier
of either release goes on. What that release alone needed goes: the bridge to entries, the triggers' functions that kept
the sums of refunds, and the index that found duplicates by their lines.
"""

from pathlib import Path
from typing import Final

from alembic import op
from sqlalchemy import text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

PAYMENTS_A_STEP: Final = 5_000

STEP: Final = text("SELECT payments_enter_step(:most, CAST(:after AS uuid))")

BEGINNING: Final = "00000000-0000-0000-0000-000000000000"

FOLDER: Final = Path(__file__).parent.parent / "entries"


def upgrade() -> None:
    # Whoever was missed, as in 0006; nearly always nobody.
    with op.get_context().autocommit_block():
        after = BEGINNING
        while after:
            after = op.get_bind().execute(STEP, {"most": PAYMENTS_A_STEP, "after": after}).scalar()
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS checkout_sessions_cart_id_lines_key")
    # These wait for the last statement of an old worker, and what it wrote was entered with it.
    op.execute("DROP TRIGGER payments_bridge ON payments")
    op.execute("REVOKE UPDATE ON payments FROM checkout_worker")
    op.execute("GRANT UPDATE (next_look_up_at, look_ups, look_up_log, updated_at) ON payments TO checkout_worker")
    op.execute("DROP TRIGGER refunds_bridge_payment ON refunds")
    op.execute("DROP TRIGGER refunds_bridge_sums ON refunds")
    op.execute("""
        DROP FUNCTION payments_bridge(), refunds_bridge_payment(), refunds_bridge_sums(),
            payments_enter_step(integer, uuid), payments_enter(uuid[]),
            refunds_update_sums(), payments_guard_refund_sums()
    """)


def downgrade() -> None:
    for part in ("sums_of_before", "bridge", "step"):
        statements = (FOLDER / f"{part}.sql").read_text(encoding="utf-8")
        # Without parameters, so that percent signs and colons are not read as placeholders.
        op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
    op.execute("REVOKE UPDATE (next_look_up_at, look_ups, look_up_log, updated_at) ON payments FROM checkout_worker")
    op.execute("GRANT UPDATE ON payments TO checkout_worker")
    op.execute("CREATE INDEX checkout_sessions_cart_id_lines_key ON checkout_sessions (cart_id, lines_key)")
