"""Stock: counters of listings, and holds of payments. Expands.

Revision: 0013

The release before goes on beside it: its sessions take no holds, and their orders take what is there once they are
paid.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "orders"


def upgrade() -> None:
    statements = (FOLDER / "stock.sql").read_text(encoding="utf-8")
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    op.execute("DROP TRIGGER checkout_sessions_prove_holds ON checkout_sessions")
    op.execute("DROP TRIGGER listings_carry_stock_of_new ON listings")
    op.execute("DROP TRIGGER listings_carry_stock ON listings")
    op.execute("""
        DROP FUNCTION checkout_sessions_prove_holds(), listings_carry_stock(), hold_release(uuid),
            hold_take(uuid, uuid, uuid, integer, uuid[], integer[], integer, bytea, integer),
            holds_sweep(integer, jsonb), payment_before(uuid, uuid, integer), holds_end(uuid[], hold_state),
            counters_add(uuid[], integer[])
    """)
    op.execute("DROP TABLE holds, stock_counters")
    op.execute("DROP TYPE hold_state")
    op.execute("""
        ALTER TABLE checkout_sessions DROP held_until, DROP also_under_way,
            ADD lines_key bigint GENERATED ALWAYS AS (checkout_lines_key(lines)) STORED NOT NULL
    """)
    op.execute("""
        CREATE OR REPLACE FUNCTION currency_decimals(currency text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN CASE
            WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV',
                'XAF', 'XOF', 'XPF') THEN 0
            WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
            ELSE 2
        END
    """)
