"""Names of reports that webhooks told of, for who fetches settled money. Expands.

Revision: 0036

The release before goes on beside it: two functions, which only the role checkout_settlements calls, and which read
alone.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "settlements"


def upgrade() -> None:
    _run((FOLDER / "notices.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("DROP FUNCTION settlement_notices(timestamptz, integer), settlement_notices_in(bytea)")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
