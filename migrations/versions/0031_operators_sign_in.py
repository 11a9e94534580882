"""The audit says when somebody signed in at the console, and with which role. Expands.

Revision: 0031

Under the id that their requests carry, so that these have a name. The release before goes on beside it, but for its
page of the audit, which cannot read such a row.
"""

from typing import Final

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

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

KNOWN: Final = """
    SELECT matched.words[1] AS known
    FROM pg_constraint, regexp_matches(pg_get_constraintdef(oid), '''([a-z_]+)''', 'g') AS matched (words)
    WHERE conrelid = 'audit'::regclass AND conname = 'audit_action_known'
"""

VALIDATE: Final = "ALTER TABLE audit VALIDATE CONSTRAINT audit_action_known"


def upgrade() -> None:
    # Each statement is a transaction of its own: what locks the table for a moment, and what reads it beside traffic.
    with op.get_context().autocommit_block():
        _run(CHANGE.format(known=f"{KNOWN} AND matched.words[1] <> 'sign_in' UNION ALL SELECT 'sign_in'"))
        _run(VALIDATE)


def downgrade() -> None:
    """The audit keeps who signed in: then the constraint holds for what comes from now on alone."""
    _run(CHANGE.format(known=f"{KNOWN} AND matched.words[1] <> 'sign_in'"))
    _run(f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM audit WHERE action = 'sign_in') THEN
                {VALIDATE};
            END IF;
        END $$
    """)


def _run(statement: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})
