"""${message}

Revision: ${up_revision}, after ${down_revision | comma,n}

Expand or contract: say here which of the two this is. While a release is rolled out, the release before it works on
the same tables, so a migration may add, but it takes away only what no running release reads or writes any more.
docs/migrations.md has an example. Name no schema. When this file is done, add its hash (tests/migrations).
"""

from alembic import op

revision = "${up_revision}"
down_revision = ${chr(34) + down_revision + chr(34) if down_revision else None}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
