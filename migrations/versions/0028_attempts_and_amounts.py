"""What came of each attempt at a webhook, and payments by their amount. Expands.

Revision: 0028

The release before goes on beside it: it writes no attempts, so those that it makes are only counted.
"""

from typing import Final

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

# What erases a webhook's bytes erases what was written about them. By the function as it stands, with all its settings.
REPLACE: Final = """
    DO $$
    DECLARE
        written text;
    BEGIN
        SELECT pg_get_functiondef(to_regprocedure('person_erase_rows(uuid, interval)')) INTO STRICT written;
        IF strpos(written, '{after}') > 0 THEN
            RETURN;
        ELSIF strpos(written, '{before}') = 0 THEN
            RAISE EXCEPTION 'person_erase_rows does not erase webhooks as it did';
        END IF;
        EXECUTE replace(written, '{before}', '{after}');
    END
    $$
"""

ERASES: Final = "detail = NULL, next_attempt_at = NULL, erased_at = now()"
ERASES_ATTEMPTS: Final = "detail = NULL, attempt_log = NULL, next_attempt_at = NULL, erased_at = now()"


def upgrade() -> None:
    # Each statement is a transaction of its own, so that no table is held while another is waited for.
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE webhook_deliveries ADD COLUMN IF NOT EXISTS attempt_log jsonb")
        op.execute("GRANT UPDATE (attempt_log) ON webhook_deliveries TO checkout_worker")
        op.execute(_replace(ERASES, ERASES_ATTEMPTS))
        # One that was broken off stays behind, invalid, under its name: so it is dropped first.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments_amount_currency_created_at_id")
        op.execute("""
            CREATE INDEX CONCURRENTLY payments_amount_currency_created_at_id
            ON payments (amount, currency, created_at, id)
        """)


def downgrade() -> None:
    op.execute("DROP INDEX payments_amount_currency_created_at_id")
    op.execute(_replace(ERASES_ATTEMPTS, ERASES))
    op.execute("ALTER TABLE webhook_deliveries DROP COLUMN attempt_log")


def _replace(before: str, after: str) -> str:
    return REPLACE.format(before=before, after=after)
