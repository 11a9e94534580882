"""Who opened a session, so that one caller opens no more than a few at a time. Expands.

Revision: 0009
"""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
