"""Parts of webhooks and days of events leave their tables, and nobody queues up behind that. Expands.

Revision: 0039

The release before goes on beside it with its own functions. New ones alone; no table is locked.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent

FILES: Final = ("webhooks/detaching.sql", "events/detaching.sql")

CALLED: Final = (
    "webhooks_empty_part(interval)",
    "webhooks_detach_part(interval, boolean)",
    "events_detach_day(integer, boolean)",
)
"""Functions that run as the owner, which the worker may call."""

NARROW: Final = """
    DO $$ BEGIN
        EXECUTE format('ALTER FUNCTION {0} SET search_path = %I, pg_temp', current_schema());
        REVOKE EXECUTE ON FUNCTION {0} FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION {0} TO checkout_worker;
    END $$
"""


def upgrade() -> None:
    for file in FILES:
        _run((FOLDER / file).read_text(encoding="utf-8"))
    for function in CALLED:
        _run(NARROW.format(function))


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {', '.join(CALLED)}")
    op.execute("DROP FUNCTION webhooks_parts_over(interval)")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
