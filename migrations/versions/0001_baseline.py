"""The baseline: every table of the first release, with its indexes, triggers and rights.

Revision: 0001

The SQL lies in ``migrations/baseline/``, a file for each room of ``checkout_service/``, with the reason of each rule
beside it. It names no schema: ``env.py`` sets the search_path. The login roles are made by ``env.py`` too, since they
belong to the whole cluster; a downgrade takes away their rights with the tables and never drops them.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROOMS: Final = ("catalog", "carts", "payments", "checkout", "webhooks", "refunds", "commands")
"""In this order, since tables refer to those of rooms before them."""

FOLDER: Final = Path(__file__).parent.parent / "baseline"

GRANT_VERSION: Final = "GRANT SELECT ON alembic_version TO checkout_web, checkout_worker"
"""/readyz compares the database's revision with the newest that the code knows."""

TAKE_AWAY: Final = (
    "REVOKE SELECT ON alembic_version FROM checkout_web, checkout_worker",
    "DROP TABLE command_results, command_runs, audit",
    "DROP TABLE refund_events, refunds",
    "DROP TABLE webhook_deliveries",
    "DROP TABLE checkout_sessions",
    "DROP TABLE cancel_requests, payment_events, payments",
    "DROP TABLE cart_items, carts, users",
    "DROP TABLE listings, specs, schools, vendors",
    "DROP FUNCTION audit_guard(), refunds_fill_from_payment(), refunds_guard(), refunds_update_sums()",
    "DROP FUNCTION checkout_lines_key(jsonb), payments_guard(), payments_guard_refund_sums()",
    "DROP TYPE refund_status, payment_status",
)


def upgrade() -> None:
    op.execute(GRANT_VERSION)
    for room in ROOMS:
        statements = (FOLDER / f"{room}.sql").read_text(encoding="utf-8")
        # Without parameters, so that percent signs and colons are not read as placeholders.
        op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    for statement in TAKE_AWAY:
        op.execute(statement)
