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

PARTS: Final = ("tables", "guards", "rights")

OURS: Final = """
    'enter_file', 'accept_file', 'dismiss_file', 'hold_file', 'accept_payout', 'undo_match', 'resolve_match',
    'link_payout'
"""

# By what the constraint holds now: several migrations before this one add to it.
CHANGE: Final = """
    DO $$
    DECLARE
        actions text;
    BEGIN
        SELECT string_agg(quote_literal(known), ', ') INTO actions FROM (
            {known}
        ) AS listed;
        EXECUTE format('ALTER TABLE audit DROP CONSTRAINT audit_action_known,
            ADD CONSTRAINT audit_action_known CHECK (action IN (%s)) NOT VALID', actions);
    END
    $$
"""

KNOWN: Final = f"""
    SELECT matched.words[1] AS known
    FROM pg_constraint, regexp_matches(pg_get_constraintdef(oid), '''([a-z_]+)''', 'g') AS matched (words)
    WHERE conrelid = 'audit'::regclass AND conname = 'audit_action_known' AND matched.words[1] NOT IN ({OURS})
"""  # noqa: S608 (only our own constants)

VALIDATE: Final = "ALTER TABLE audit VALIDATE CONSTRAINT audit_action_known"

FUNCTIONS: Final = ", ".join(
    f"{table}_guard()"
    for table in ("settlement_files", "payouts", "balance_entries", "settlement_matches", "settlement_accounts")
)


def upgrade() -> None:
    # Each statement is a transaction of its own: what locks the audit for a moment, and what reads it beside traffic.
    with op.get_context().autocommit_block():
        _run(CHANGE.format(known=f"{KNOWN} UNION ALL SELECT unnest(ARRAY[{OURS}])"))
        _run(VALIDATE)
    for part in PARTS:
        _run((FOLDER / f"{part}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """What was entered is lost: it can be entered again from the same files. What persons settled cannot.

    The audit keeps what they did: then the constraint holds for what comes from now on alone.
    """
    # What is given of a table's columns goes with it.
    op.execute("""
        REVOKE ALL ON payments, payment_attempts, captures, refunds, disputes, audit, alembic_version
        FROM checkout_settlements
    """)
    op.execute("""
        DROP TABLE settlement_accounts, settlement_matches, balance_entries, payouts, settlement_lines, settlement_files
    """)
    op.execute("""
        DROP TYPE settlement_match_state, settlement_subject, balance_entry_kind, payout_state, payout_status,
            settlement_file_state
    """)
    op.execute(f"DROP FUNCTION {FUNCTIONS}")
    _run(CHANGE.format(known=KNOWN))
    _run(f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM audit WHERE action IN ({OURS})) THEN
                {VALIDATE};
            END IF;
        END $$
    """)


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
