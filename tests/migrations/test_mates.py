"""What migration 0024 makes of what is there: carts that guests' went into, and prices that somebody wrote by hand."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from tests.migrations.conftest import Alembic, run_as

OF_BEFORE = (
    "INSERT INTO vendors (name) VALUES ('A')",
    """INSERT INTO listings (vendor_id, title, unit_price, currency)
    SELECT id, title, 1, 'USD' FROM vendors, unnest(ARRAY['One', 'Two']) AS title""",
    """INSERT INTO listing_prices (listing_id, currency, unit_price)
    SELECT id, other, 2 FROM listings, unnest(ARRAY['USD', 'EUR']) AS other""",
    "INSERT INTO users (id) SELECT uuidv7() FROM generate_series(1, 4)",
    "INSERT INTO carts (user_id) SELECT id FROM users",
    """INSERT INTO guests (id, customer_id, linked_at, merged_cart_id, merged_generation, into_generation)
    SELECT max(carts.user_id::text)::uuid, min(carts.user_id::text)::uuid, now(), min(carts.id::text)::uuid, 0, 0
    FROM carts""",
)


def test_carts_that_guests_went_into_are_counted_and_second_prices_go(fresh_database: str, alembic: Alembic) -> None:
    alembic("upgrade", "0023")
    run_as(fresh_database, *OF_BEFORE)

    for _ in range(2):
        alembic("upgrade", "0024")
        engine = create_engine(fresh_database)
        with engine.connect() as connection:
            prices = connection.execute(text("SELECT DISTINCT currency, count(*) FROM listing_prices GROUP BY 1")).all()
            counted = connection.execute(
                text(
                    "SELECT merges, count(*), bool_or(id IN (SELECT merged_cart_id FROM guests)) FROM carts GROUP BY 1"
                )
            ).all()
            numbers = connection.execute(text("SELECT merge_number FROM guests")).scalars().all()
        engine.dispose()
        assert [tuple(row) for row in prices] == [("EUR", 2)]
        assert {tuple(row) for row in counted} == {(1, 1, True), (0, 3, False)}
        assert numbers == [None]
        alembic("downgrade", "0023")
