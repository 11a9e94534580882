"""Certificates that were believed once; and look-ups in turn by provider. Expands.

Revision: 0010

The certificates are read by workers alone, and verified again each time that they are used.

The index to find what is due of each provider is made beside traffic, since the table is large. It takes the place of
the one by time alone, which would be taken for the due ones of one provider too, and then read through all others'. The
release before this one skips along the new one.
"""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # One that was broken off stays behind, invalid, under its name: so it is dropped first.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments_provider_next_look_up_at")
        op.execute("""
            CREATE INDEX CONCURRENTLY payments_provider_next_look_up_at ON payments (provider, next_look_up_at)
            WHERE next_look_up_at IS NOT NULL
        """)
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments_next_look_up_at")
    op.execute((Path(__file__).parent.parent / "bounds" / "certificates.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("""
        CREATE INDEX payments_next_look_up_at ON payments (next_look_up_at) WHERE next_look_up_at IS NOT NULL
    """)
    op.execute("DROP INDEX payments_provider_next_look_up_at")
    op.execute("DROP TABLE believed_certificates")
