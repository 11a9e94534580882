"""Rejected webhooks by what they name, so that a flood drops no other's. Expands.

Revision: 0008
"""

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
