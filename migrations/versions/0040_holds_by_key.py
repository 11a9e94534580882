"""What an order lacks is looked for among its own holds. Expands.

Revision: 0040

A connection to a new or a restored database makes its plans before anything is counted. This one walked all orders by
an index, to have them in the order of the answer, though nearly every set of paid webhooks asks for those of no order
at all; and it was kept while orders grew. The function is changed as it stands, and nobody waits for it. The release
before goes on beside it.
"""

from typing import Final

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

# A fence, as in 0038: orders come first, by their key, and for each its holds.
BY_KEY: Final = {
    "orders_move_stock(uuid[], uuid[], uuid[], uuid[])": (
        """JOIN holds AS hold ON hold.payment_id = made.payment_id AND hold.qty > hold.reserved
        WHERE made.id = ANY(lacking)
""",
        """CROSS JOIN LATERAL (
            SELECT * FROM holds AS own WHERE own.payment_id = made.payment_id OFFSET 0) AS hold
        WHERE made.id = ANY(lacking) AND hold.qty > hold.reserved
""",
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


def downgrade() -> None:
    for function, (before, after) in BY_KEY.items():
        _run(REPLACE.format(function=function, before=after, after=before))


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
