"""What was asked about a payment and answered, so that an operator sees the look-ups that learned nothing too.

Revision: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE payments ADD look_up_log jsonb DEFAULT '[]'::jsonb NOT NULL")


def downgrade() -> None:
    op.execute("ALTER TABLE payments DROP look_up_log")
