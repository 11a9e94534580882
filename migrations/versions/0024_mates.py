"""Payments for the same things in two carts that were merged, counted merges, and no second price. Expands.

Revision: 0024

The release before goes on beside it: its sessions have no count of merges, so they are told apart by time, as before.
Payments of sessions that were opened before have no mates in other carts. Prices in the listing's own currency, which
only somebody's hand can have written, are deleted: no page and no cart ever used them. It may be broken off at any
step, and run again.
"""

import re
from pathlib import Path
from typing import Final

from alembic import op
from sqlalchemy import text

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "merges"

PARTS: Final = ("merging", "mates", "fold", "bodies", "prices")

BEFORE: Final = {
    "payment_reasons": "orders/fold.sql",
    "payments_compute": "orders/fold.sql",
    "payments_and_orders": "events/bodies.sql",
    "guest_merge": "guests/merging.sql",
    "carts_lock_for_payments": "guests/merging.sql",
    "order_carts": "guests/merging.sql",
    "orders_use_up_carts": "guests/merging.sql",
}
"""Functions that are replaced, and where each was written before."""

OWNED: Final = (
    "carts_lock_for_payments(text[])",
    "guest_merge(bytea, interval, uuid, text, text, text, integer, integer, numeric)",
)
"""Those of them that run as the owner."""

CARTS_A_STEP: Final = 1_000

BEGINNING: Final = "00000000-0000-0000-0000-000000000000"

# Carts that guests' went into before that was counted: what is opened of them looks for mates. By id, as everybody who
# locks several.
STEP: Final = text("""
    WITH page AS MATERIALIZED (
        SELECT DISTINCT merged_cart_id AS id FROM guests WHERE merged_cart_id > CAST(:after AS uuid)
        ORDER BY merged_cart_id LIMIT :most
    ), counted AS (
        UPDATE carts SET merges = 1 FROM (
            SELECT id FROM carts WHERE id IN (SELECT id FROM page) AND merges = 0 ORDER BY id FOR NO KEY UPDATE
        ) AS bare
        WHERE carts.id = bare.id
    )
    SELECT id FROM page ORDER BY id DESC LIMIT 1
""")


def upgrade() -> None:
    # Each step by itself: none holds one table while it waits for another.
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE carts ADD IF NOT EXISTS merges integer DEFAULT 0 NOT NULL")
        op.execute("ALTER TABLE guests ADD IF NOT EXISTS merge_number integer")
        op.execute("ALTER TABLE checkout_sessions ADD IF NOT EXISTS merges integer")
        op.execute("GRANT INSERT (merges) ON checkout_sessions TO checkout_web")
        for part in PARTS:
            _run((FOLDER / f"{part}.sql").read_text(encoding="utf-8"))
        after = BEGINNING
        while after:
            after = op.get_bind().execute(STEP, {"most": CARTS_A_STEP, "after": after}).scalar()
        op.execute("""
            DELETE FROM listing_prices AS price USING listings AS listing
            WHERE listing.id = price.listing_id AND listing.currency = price.currency
        """)


def downgrade() -> None:
    """Payments of merged carts are mates no more; a review that they had goes when they next change."""
    op.execute("DROP TRIGGER checkout_sessions_pair ON checkout_sessions")
    op.execute("DROP FUNCTION checkout_sessions_pair()")
    op.execute("DROP TRIGGER listing_prices_guard ON listing_prices")
    op.execute("DROP TRIGGER listings_drop_price ON listings")
    op.execute("DROP FUNCTION listing_prices_guard(), listings_drop_price()")
    for function, file in BEFORE.items():
        before = (FOLDER.parent / file).read_text(encoding="utf-8")
        (found,) = re.findall(rf"CREATE (?:OR REPLACE )?FUNCTION {function}(\(.*?\n\$\$;)", before, re.DOTALL)
        _run(f"CREATE OR REPLACE FUNCTION {function}{found}")
    for function in OWNED:
        _run(f"""
            DO $$ BEGIN
                EXECUTE format('ALTER FUNCTION {function} SET search_path = %I, pg_temp', current_schema());
            END $$
        """)
    op.execute("DROP FUNCTION session_has_merge(integer, timestamptz, integer, timestamptz)")
    op.execute("DROP TABLE payment_mates")
    op.execute("ALTER TABLE checkout_sessions DROP merges")
    op.execute("ALTER TABLE guests DROP merge_number")
    op.execute("ALTER TABLE carts DROP merges")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
