"""The catalogue that everybody may read: words, orders, texts, images and prices. Expands.

Revision: 0022

The release before goes on beside it: its import fills what is new by the triggers. Listings that are there are filled
in steps by their ids, each a statement of its own, while everybody reads and buys. It may be broken off at any step,
and run again.
"""

from pathlib import Path
from typing import Final

from alembic import op
from sqlalchemy import text

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "catalogue"

LISTINGS_A_STEP: Final = 1_000

BEGINNING: Final = "00000000-0000-0000-0000-000000000000"

# By id, as everybody who locks several listings.
STEP: Final = text("""
    WITH page AS MATERIALIZED (
        SELECT id FROM listings WHERE id > CAST(:after AS uuid) ORDER BY id LIMIT :most
    ), filled AS (
        UPDATE listings SET search = NULL FROM (
            SELECT id FROM listings WHERE id IN (SELECT id FROM page) AND search IS NULL ORDER BY id FOR NO KEY UPDATE
        ) AS bare
        WHERE listings.id = bare.id
    )
    SELECT id FROM page ORDER BY id DESC LIMIT 1
""")

CHECKS: Final = {
    "listings_description_length": "length(description) <= 4000",
    "listings_images_form": "jsonb_typeof(images) = 'array' AND jsonb_array_length(images) <= 10",
}

INDEXES: Final = {
    "listings_search": "USING gin (search) WITH (fastupdate = off) WHERE active",
    "listings_newest": "(created_at DESC, id DESC) WHERE active",
    "listings_title_key": "(title_key, id) WHERE active",
    "listings_unit_price": "(unit_price, id) WHERE active",
    "listings_currency_unit_price": "(currency, unit_price, id) WHERE active",
}


def upgrade() -> None:
    op.execute("""
        ALTER TABLE listings ADD IF NOT EXISTS description text,
            ADD IF NOT EXISTS images jsonb DEFAULT '[]'::jsonb NOT NULL
    """)
    for name, rule in CHECKS.items():
        op.execute(
            f"ALTER TABLE listings DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} CHECK ({rule}) NOT VALID"
        )
    for part in ("search", "prices", "carts"):
        run(part)
    with op.get_context().autocommit_block():
        after = BEGINNING
        while after:
            after = op.get_bind().execute(STEP, {"most": LISTINGS_A_STEP, "after": after}).scalar()
        # Reads all rows, and keeps nobody from reading and writing them.
        for name in CHECKS:
            op.execute(f"ALTER TABLE listings VALIDATE CONSTRAINT {name}")
        op.execute("ALTER TABLE listings DROP CONSTRAINT IF EXISTS listings_title_key_not_null")
        op.execute("ALTER TABLE listings ADD CONSTRAINT listings_title_key_not_null NOT NULL title_key NOT VALID")
        op.execute("ALTER TABLE listings VALIDATE CONSTRAINT listings_title_key_not_null")
        op.execute("ALTER TABLE cart_items DROP CONSTRAINT IF EXISTS cart_items_currency_fkey")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS carts_id_currency")
        op.execute("CREATE UNIQUE INDEX CONCURRENTLY carts_id_currency ON carts (id, currency)")
        op.execute("""
            ALTER TABLE cart_items ADD CONSTRAINT cart_items_currency_fkey
            FOREIGN KEY (cart_id, currency) REFERENCES carts (id, currency) NOT VALID
        """)
        op.execute("ALTER TABLE cart_items VALIDATE CONSTRAINT cart_items_currency_fkey")
        for name, rows in INDEXES.items():
            # One that was broken off stays behind, invalid, under its name: so it is dropped first.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON listings {rows}")


def run(part: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    statements = (FOLDER / f"{part}.sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    """What a cart's lines cost in another currency than the listings' own is lost: they cost those prices again."""
    op.execute("ALTER TABLE cart_items DROP currency")
    op.execute("DROP INDEX carts_id_currency")
    op.execute("ALTER TABLE carts DROP currency, DROP currency_chosen")
    for table in ("vendors", "schools", "specs"):
        op.execute(f"DROP TRIGGER {table}_rename_listings ON {table}")
    for trigger in ("fill_search", "count_words", "count_words_of_new", "count_words_of_gone"):
        op.execute(f"DROP TRIGGER listings_{trigger} ON listings")
    # The indexes go with their columns; these have none of their own.
    op.execute("DROP INDEX listings_newest, listings_unit_price, listings_currency_unit_price")
    op.execute("ALTER TABLE listings DROP search, DROP title_key, DROP description, DROP images")
    op.execute("DROP TABLE listing_words, listing_prices")
    op.execute("DROP FUNCTION listings_count_words(), listings_follow_name(), listings_fill_search()")
    op.execute("DROP FUNCTION listing_words_alike(text, integer), catalogue_words(text), catalogue_plain(text)")
