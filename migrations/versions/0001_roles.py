"""What the two login roles may see of the schema itself.

The roles are made by env.py, since they belong to the whole cluster; a downgrade revokes and never drops them.

Revision: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("GRANT SELECT ON alembic_version TO checkout_web, checkout_worker")


def downgrade() -> None:
    op.execute("REVOKE SELECT ON alembic_version FROM checkout_web, checkout_worker")
