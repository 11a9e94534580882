"""``payment_status`` gets ``authorized`` and ``partially_paid``. Expands.

Revision: 0002

Apart from what uses them: PostgreSQL lets nobody use an enum's new value in the transaction that adds it. A value
cannot be taken away again, so the downgrade leaves both: nothing that an older release does writes or meets them.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TYPE payment_status ADD VALUE IF NOT EXISTS 'authorized' BEFORE 'expired'")
    op.execute("ALTER TYPE payment_status ADD VALUE IF NOT EXISTS 'partially_paid' BEFORE 'paid'")


def downgrade() -> None:
    """Nothing: see above."""
