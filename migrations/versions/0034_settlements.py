"""Settled money: files of providers and banks, payouts, what they are made of, and what that is matched with. Expands.

Revision: 0034

The release before goes on beside it: the tables are empty until ``checkout settlements`` runs, and nothing else writes
them.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "settlements"

PARTS: Final = ("tables", "rights")


def upgrade() -> None:
    for part in PARTS:
        _run((FOLDER / f"{part}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """What was entered is lost: it can be entered again from the same files. What persons settled cannot."""
    # What is given of a table's columns goes with it.
    op.execute("""
        REVOKE ALL ON payments, payment_attempts, captures, refunds, disputes, alembic_version FROM checkout_settlements
    """)
    op.execute("""
        DROP TABLE settlement_accounts, settlement_matches, balance_entries, payouts, settlement_lines, settlement_files
    """)
    op.execute("""
        DROP TYPE settlement_match_state, settlement_subject, balance_entry_kind, payout_state, payout_status,
            settlement_file_state
    """)


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
