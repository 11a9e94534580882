"""Erasing a person: what is struck out, by a function that the worker alone may call. Expands.

Revision: 0012
"""

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
