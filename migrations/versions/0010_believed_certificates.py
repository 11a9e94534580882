"""Certificate chains that were believed once, and turns of look-ups. Expands.

Revision: 0010
"""

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
