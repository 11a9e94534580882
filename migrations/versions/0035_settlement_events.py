"""Events of settled money, and the indexes that its lists go along. Expands.

Revision: 0035

The release before goes on beside it: it knows no such type of event, and delivers what it finds to endpoints that take
all types.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

STATEMENTS: Final = Path(__file__).parent.parent / "settlements" / "events.sql"


def upgrade() -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(STATEMENTS.read_text(encoding="utf-8"), execution_options={"no_parameters": True})


def downgrade() -> None:
    """Events that were written stay in the log."""
    op.execute("DROP TRIGGER payouts_mark_new ON payouts")
    op.execute("DROP TRIGGER payouts_mark ON payouts")
    op.execute("DROP TRIGGER settlement_matches_mark ON settlement_matches")
    op.execute("DROP TABLE settlement_marks")
    op.execute("""
        DROP FUNCTION settlements_tell(), settlement_matches_mark(), payouts_mark(),
            settlement_exceptions_of(settlement_match_state[], uuid, timestamptz), payout_bodies(uuid[]),
            settled_amount(numeric, text)
    """)
    op.execute("DROP INDEX settlement_matches_of_entries, balance_entries_kind, payouts_payout_ref")
