"""Plans of what makes an order are kept, and find other payments by their key. Expands.

Revision: 0038

For one payment PostgreSQL made three plans of ``orders_move_stock`` anew with each call, which took longer than to run
them. No table is read from end to end there, so the plan is the same for one and for many. And where the statistics
knew of no pending payment and of no hold, each order looked through all that there were by now. Of up
to a hundred thousand carts, those of a set were found by reading all, until a connection had its plan for any set. The
functions are changed as they stand, and nobody waits for it. The release before goes on beside it.

Carts that come from now on lie in half full pages, as orders do: where all carts of a page are paid for, each keeps its
place, and no entry is written into three indexes whose keys are random. Beside 2 million payments those were an eighth
of what a paid webhook reads from beyond the cache.
"""

from typing import Final

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

SETTLE: Final = "orders_settle(uuid[], payment_change[], uuid[], uuid[])"
LOCK_CARTS: Final = "carts_lock_for_payments(text[], text[])"

# The planner would begin with the payments of a status, and with the holds of a state, of which it has only statistics.
# A fence keeps it from the first, and words that no index has from the second.
BY_KEY: Final = {
    "orders_use_up_carts(uuid[], boolean)": (
        "JOIN payments AS other ON other.id = session.payment_id",
        """CROSS JOIN LATERAL (
        SELECT * FROM payments AS payment WHERE payment.id = session.payment_id OFFSET 0) AS other""",
    ),
    "orders_move_stock(uuid[], uuid[], uuid[], uuid[])": (
        "WHERE payment_id = ANY(owners) AND state = 'held'",
        "WHERE payment_id = ANY(owners) AND state::text = 'held'",
    ),
}
"""By function, what it says and what it shall say. Neither is a part of the other."""

REPLACE: Final = """
    DO $$
    DECLARE
        written text;
    BEGIN
        SELECT pg_get_functiondef(to_regprocedure('{function}')) INTO STRICT written;
        IF strpos(written, $of${before}$of$) = 0 AND strpos(written, $of${after}$of$) = 0 THEN
            RAISE EXCEPTION '{function} is not as it was';
        END IF;
        EXECUTE replace(written, $of${before}$of$, $of${after}$of$);
    END
    $$
"""


def upgrade() -> None:
    for function, (before, after) in BY_KEY.items():
        _run(REPLACE.format(function=function, before=before, after=after))
    _run(f"ALTER FUNCTION {SETTLE} SET plan_cache_mode = force_generic_plan")
    # The plan is made while carts may be few, and kept when they are many.
    _run(f"ALTER FUNCTION {LOCK_CARTS} SET plan_cache_mode = force_generic_plan")
    _run(f"ALTER FUNCTION {LOCK_CARTS} SET enable_seqscan = off")
    _run("ALTER TABLE carts SET (fillfactor = 50)")


def downgrade() -> None:
    _run("ALTER TABLE carts SET (fillfactor = 70)")
    _run(f"ALTER FUNCTION {LOCK_CARTS} RESET enable_seqscan")
    _run(f"ALTER FUNCTION {LOCK_CARTS} RESET plan_cache_mode")
    _run(f"ALTER FUNCTION {SETTLE} RESET plan_cache_mode")
    for function, (before, after) in BY_KEY.items():
        _run(REPLACE.format(function=function, before=after, after=before))


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
