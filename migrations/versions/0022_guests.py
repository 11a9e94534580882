"""Guests of the API, known by a secret token, in one table with those of the shop. Expands.

Revision: 0022

The release before goes on beside it: it knows no Cart-Token, and answers 401 to whoever sends one. Guests of its shop
have no row until this release renews their cookie.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "guests"


def upgrade() -> None:
    _run((FOLDER / "guests.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Cart-Tokens open nothing any more. What guests bought stays, under ids that lead to nobody."""
    op.execute("DROP TABLE guests")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
