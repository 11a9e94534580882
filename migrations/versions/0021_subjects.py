"""Customers whom their tokens name by any text: the text and who issued it, of which their id is computed. Expands.

Revision: 0021

The release before goes on beside it. It answers 401 to such tokens, and writes rows without the two columns, as this
release does for whoever is named by a UUID.
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# The C collation compares bytes: what looks alike is not the same. In regular expressions it takes ranges of characters
# by their numbers.
CHECKS = {
    "users_issuer_and_subject": "(issuer IS NULL) = (subject IS NULL)",
    "users_issuer_form": r"length(issuer) <= 255 AND issuer !~ '[\u0001-\u001f\u007f-\u009f]'",
    # A UUID is an id by itself, in whatever case. As a text it would name a second customer.
    "users_subject_form": (
        r"length(subject) BETWEEN 1 AND 255 AND subject !~ '[\u0001-\u001f\u007f-\u009f]' "
        r"AND subject !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"
    ),
    # Computed ids are of version 5: a text is never kept beside another id, such as a guest's.
    "users_id_of_subject": "subject IS NULL OR uuid_extract_version(id) IS NOT DISTINCT FROM 5",
}


def upgrade() -> None:
    # No row is written. Committed before the index is made: where it cannot be, all of this runs once more.
    op.execute("""
        ALTER TABLE users ADD IF NOT EXISTS issuer text COLLATE "C", ADD IF NOT EXISTS subject text COLLATE "C"
    """)
    for name, rule in CHECKS.items():
        op.execute(
            f"ALTER TABLE users DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} CHECK ({rule}) NOT VALID"
        )
    op.execute("GRANT INSERT (issuer, subject) ON users TO checkout_web")
    # One that was broken off stays behind, invalid, under its name: so it is dropped first.
    with op.get_context().autocommit_block():
        # Reads all rows, and keeps nobody from reading and writing them.
        for name in CHECKS:
            op.execute(f"ALTER TABLE users VALIDATE CONSTRAINT {name}")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS users_issuer_subject")
        op.execute("""
            CREATE UNIQUE INDEX CONCURRENTLY users_issuer_subject ON users (issuer, subject) WHERE subject IS NOT NULL
        """)


def downgrade() -> None:
    """Which text named a customer is forgotten. Their ids stay, and are computed alike by the next release."""
    op.execute("REVOKE INSERT (issuer, subject) ON users FROM checkout_web")
    # The index and the rules go with their columns.
    op.execute("ALTER TABLE users DROP CONSTRAINT users_id_of_subject, DROP issuer, DROP subject")
