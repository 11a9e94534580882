"""Marks of how far pruning is, and webhooks in parts by time, where the owner chooses so. Expands.

Revision: 0025

The release before goes on beside it, as long as the table is one: the command that turns it into parts comes after the
last process of that release has ended. New tables and functions alone; nothing that is there is locked.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "webhooks"

PARTS: Final = ("marks", "parts")

REFUSE: Final = """
    DO $$ BEGIN
        IF webhooks_in_parts() THEN
            RAISE EXCEPTION 'webhook_deliveries is in parts, which the release before does not know: stay on this one';
        END IF;
    END $$
"""

# What a conversion that was killed left there: no worker of the release before would take it away before its day comes,
# from which on it refuses every webhook.
UNBIND: Final = """
    DO $$
    DECLARE
        bound text;
    BEGIN
        FOR bound IN SELECT name FROM webhooks_bounds() LOOP
            EXECUTE format('ALTER TABLE webhook_deliveries DROP CONSTRAINT %I', bound);
        END LOOP;
    END $$
"""


def upgrade() -> None:
    for part in PARTS:
        _run((FOLDER / f"{part}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Not of a table in parts: workers of the release before find rows by a place that is not theirs alone there."""
    _run(REFUSE)
    _run(UNBIND)
    op.execute("DROP FUNCTION webhooks_turn_into_parts(integer, integer), webhooks_drop_bound()")
    op.execute("DROP FUNCTION webhooks_drop_part(interval), webhooks_make_part(integer), webhooks_validate_bound()")
    op.execute("DROP FUNCTION webhooks_untried(uuid, integer)")
    op.execute("DROP FUNCTION webhooks_prunable_below(interval), webhooks_in_parts()")
    op.execute("DROP FUNCTION webhooks_parts(), webhooks_bounds()")
    op.execute("DROP TABLE prune_marks")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
