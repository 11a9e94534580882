"""Payments for the same things in two carts that were merged, counted merges, and no second price. Expands.

Revision: 0024

The release before goes on beside it: its sessions have no count of merges, so they are told apart by time, as before.
Payments of sessions that were opened before have no mates in other carts. Prices in the listing's own currency, which
only somebody's hand can have written, are deleted: no page and no cart ever used them. It may be broken off at any
step, and run again.
"""

import re
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from alembic import op
from sqlalchemy import text

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "merges"

PARTS: Final = ("merging", "payment_mates", "mates", "fold", "bodies", "prices")
"""Files of functions, and one of the new table, which locks payments alone. Each is one transaction."""

TRIGGERS: Final = (
    """CREATE OR REPLACE TRIGGER checkout_sessions_pair AFTER INSERT ON checkout_sessions FOR EACH ROW
    WHEN (NEW.merges IS DISTINCT FROM 0) EXECUTE FUNCTION checkout_sessions_pair()""",
    """CREATE OR REPLACE TRIGGER listing_prices_guard BEFORE INSERT OR UPDATE OF listing_id, currency ON listing_prices
    FOR EACH ROW EXECUTE FUNCTION listing_prices_guard()""",
    """CREATE OR REPLACE TRIGGER listings_drop_price AFTER UPDATE OF currency ON listings FOR EACH ROW
    WHEN (OLD.currency <> NEW.currency) EXECUTE FUNCTION listings_drop_price()""",
)

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

# Whoever merges holds such a lock from the function's first statement on.
WRITERS: Final = text("""
    SELECT virtualtransaction FROM pg_locks
    WHERE relation = CAST('guests' AS regclass) AND mode IN ('RowShareLock', 'RowExclusiveLock')
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")

WAIT_FOR_MERGES: Final = 30
"""Seconds; the web ends its own statements and transactions long before."""


def upgrade() -> None:
    # Each statement that locks a table that is there is a transaction of its own, and so is each file: what is sent at
    # once is one. So none holds a table while it waits for another.
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE carts ADD IF NOT EXISTS merges integer DEFAULT 0 NOT NULL")
        op.execute("ALTER TABLE guests ADD IF NOT EXISTS merge_number integer")
        op.execute("ALTER TABLE checkout_sessions ADD IF NOT EXISTS merges integer")
        op.execute("GRANT INSERT (merges) ON checkout_sessions TO checkout_web")
        for part in PARTS:
            _run((FOLDER / f"{part}.sql").read_text(encoding="utf-8"))
        for trigger in TRIGGERS:
            op.execute(trigger)
        op.execute("""
            DELETE FROM listing_prices AS price USING listings AS listing
            WHERE listing.id = price.listing_id AND listing.currency = price.currency
        """)
        # A merge that began before its function was replaced counts nothing: those that committed are counted here, and
        # once more when the last one has ended.
        _count_merges()
        _wait_for_merges()
        _count_merges()


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


def _count_merges() -> None:
    after = BEGINNING
    while after:
        after = op.get_bind().execute(STEP, {"most": CARTS_A_STEP, "after": after}).scalar()


def _wait_for_merges() -> None:
    """Wait until everybody who writes guests now has ended. No table is locked for it."""
    until = monotonic() + WAIT_FOR_MERGES
    begun = set(op.get_bind().execute(WRITERS).scalars())
    while begun := begun & set(op.get_bind().execute(WRITERS).scalars()):
        if monotonic() > until:
            sys.exit(f"Somebody has held rows of guests for {WAIT_FOR_MERGES} seconds: run the migration again later.")
        sleep(0.05)


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
