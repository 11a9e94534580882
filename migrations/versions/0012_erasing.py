"""Erasing a person: what is struck out, by a function that the worker alone may call. Expands.

Revision: 0012

The release before goes on beside it. It reads the body of an erased webhook, which is NULL, only where an operator
looks at that one or replays it: so nobody is erased before the web tier and the workers are of this release.
"""

import re
from pathlib import Path
from typing import Final

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent

GUARDS: Final = ("payments_guard", "refunds_guard", "capture_requests_guard", "voids_guard")


def upgrade() -> None:
    _run((FOLDER / "bounds" / "erasing.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Fails where somebody was erased: then the audit says so, and a body is gone for good."""
    op.execute("DROP FUNCTION person_erase_step(uuid)")
    op.execute("DROP TABLE erasures")
    before = (FOLDER / "entries" / "guards.sql").read_text(encoding="utf-8")
    for guard in GUARDS:
        (found,) = re.findall(rf"CREATE (?:OR REPLACE )?(FUNCTION {guard}\(\).*?\n\$\$;)", before, re.DOTALL)
        _run(f"CREATE OR REPLACE {found}")
    op.execute("DROP FUNCTION person_is_erased(oid)")
    op.execute("""
        ALTER TABLE audit DROP CONSTRAINT audit_action_known, ADD CONSTRAINT audit_action_known CHECK (
            action IN ('process', 'process_all', 'stop', 'look_up', 'review', 'accept', 'fail_capture'))
    """)
    op.execute("ALTER TABLE webhook_deliveries DROP erased_at, ALTER body SET NOT NULL")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
