"""Plans of what makes an order are kept, and find other payments by their key. Expands.

Revision: 0038

For one payment PostgreSQL made three plans of ``orders_move_stock`` anew with each call, which took longer than to run
them. No table is read from end to end there, so the plan is the same for one and for many. And where the statistics
knew of no pending payment, ``orders_use_up_carts`` looked through all that there were by now. The functions are changed
as they stand, and nobody waits for it. The release before goes on beside it.
"""

from typing import Final

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

SETTLE: Final = "orders_settle(uuid[], payment_change[], uuid[], uuid[])"

# Without the fence the planner may begin with the payments of a status, of which it has only statistics.
BY_STATUS: Final = "JOIN payments AS other ON other.id = session.payment_id"
BY_KEY: Final = """CROSS JOIN LATERAL (
        SELECT * FROM payments AS payment WHERE payment.id = session.payment_id OFFSET 0) AS other"""

REPLACE: Final = """
    DO $$
    DECLARE
        written text;
    BEGIN
        SELECT pg_get_functiondef(to_regprocedure('orders_use_up_carts(uuid[], boolean)')) INTO STRICT written;
        IF strpos(written, $of${before}$of$) = 0 AND strpos(written, $of${after}$of$) = 0 THEN
            RAISE EXCEPTION 'orders_use_up_carts does not find other payments as it did';
        END IF;
        EXECUTE replace(written, $of${before}$of$, $of${after}$of$);
    END
    $$
"""


def upgrade() -> None:
    _run(REPLACE.format(before=BY_STATUS, after=BY_KEY))
    _run(f"ALTER FUNCTION {SETTLE} SET plan_cache_mode = force_generic_plan")


def downgrade() -> None:
    _run(f"ALTER FUNCTION {SETTLE} RESET plan_cache_mode")
    _run(REPLACE.format(before=BY_KEY, after=BY_STATUS))


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
