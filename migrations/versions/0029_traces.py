"""The trace that a row comes from: a column of what is done about later, and of events. Expands.

Revision: 0029

The release before goes on beside it: it neither reads nor writes the columns. None writes a row anew or reads a table:
each is NULL without a default, and its type is its bound, so that there is no CHECK whose rows would be looked through.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "traces"

TABLES: Final = (
    "webhook_deliveries",
    "payments",
    "cancel_requests",
    "refunds",
    "capture_requests",
    "voids",
    "command_runs",
    "events",
)

BY_WEB: Final = TABLES[:-1]
"""Tables that the web tier inserts into, each by columns. Events are written by the owner's functions alone."""

# Where nothing is traced it is one look at a setting that is not there, and the function is not called.
TRIGGER: Final = """
    CREATE OR REPLACE TRIGGER events_take_trace BEFORE INSERT ON events FOR EACH ROW
    WHEN (current_setting('checkout.trace', true) <> '' AND (
        current_setting('checkout.trace', true) <> 'lanes'
        OR current_setting('checkout.trace_' || right(NEW.lane::text, 2), true) <> ''
    ))
    EXECUTE FUNCTION events_take_trace()
"""


def upgrade() -> None:
    # Each statement that locks a table that is there is a transaction of its own, and so is the file.
    with op.get_context().autocommit_block():
        _run((FOLDER / "contexts.sql").read_text(encoding="utf-8"))
        for table in TABLES:
            op.execute(f"ALTER TABLE {table} ADD IF NOT EXISTS trace_context varchar(55)")
        for table in BY_WEB:
            op.execute(f"GRANT INSERT (trace_context) ON {table} TO checkout_web")
        op.execute(TRIGGER)


def downgrade() -> None:
    """What is under way goes on without its trace."""
    op.execute("DROP TRIGGER events_take_trace ON events")
    op.execute("DROP FUNCTION events_take_trace(), traced(text), traced_lanes(uuid[], text[])")
    for table in reversed(TABLES):
        op.execute(f"ALTER TABLE {table} DROP trace_context")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
