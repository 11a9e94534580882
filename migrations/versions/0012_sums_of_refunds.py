"""The sums of refunds on a payment, which its refunds alone may move.

The worker may update payments, but not these: refunds_count keeps them, and runs as the owner.

Revision: 0012
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE FUNCTION payments_sums_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
                RAISE EXCEPTION 'permission denied: the sums of refunds are kept by the refunds themselves'
                    USING ERRCODE = 'insufficient_privilege';
            END IF;
            RETURN NULL;
        END
        $$""")
    op.execute("""
        CREATE TRIGGER payments_sums_guard BEFORE UPDATE OF amount_refunded, amount_refunding ON payments
        FOR EACH STATEMENT EXECUTE FUNCTION payments_sums_guard()""")


def downgrade() -> None:
    op.execute("DROP TRIGGER payments_sums_guard ON payments")
    op.execute("DROP FUNCTION payments_sums_guard()")
