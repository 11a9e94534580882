"""Another application in the same database: its schema ``shop``, with brands, products and variants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from checkout_service.catalog.syncing import Synced, sync_catalog
from checkout_service.settings.catalog_source import CatalogSource
from checkout_service.settings.origins import read_origins
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import DEVELOPMENT_NAMESPACE
from tests.conftest import Servers, Sql

SELECT = """
SELECT v.id, p.name AS title, v.price_cents / 100.0 AS unit_price, 'USD' AS currency, b.name AS vendor,
    b.id AS vendor_id, p.name AS spec, jsonb_build_object('size', v.size) AS attributes, p.about AS description,
    v.on_hand AS stock, v.for_sale AS active, v.other_prices AS prices, v.pictures AS images
FROM shop.variants AS v JOIN shop.products AS p ON p.id = v.product_id JOIN shop.brands AS b ON b.id = p.brand_id
"""

IMAGES, _ = read_origins("https://images.example")

MakeVariant = Callable[..., int]
Sync = Callable[..., Synced]


@pytest.fixture
def shop(sql: Sql) -> Iterator[MakeVariant]:
    """The other application's tables, and a function that inserts a variant; overrides are columns of it."""
    drop = "DROP SCHEMA IF EXISTS shop CASCADE"
    sql(drop)
    sql("CREATE SCHEMA shop")
    sql("CREATE TABLE shop.brands (id integer PRIMARY KEY, name text)")
    sql("CREATE TABLE shop.products (id integer PRIMARY KEY, brand_id integer, name text, about text)")
    sql("""CREATE TABLE shop.variants (id serial PRIMARY KEY, product_id integer, price_cents integer, size text,
        on_hand integer, for_sale boolean DEFAULT true, other_prices jsonb, pictures jsonb)""")
    sql("INSERT INTO shop.brands VALUES (1, 'Harbour Books')")
    sql("INSERT INTO shop.products VALUES (1, 1, 'Blazer, navy', 'Lined.')")
    sql("GRANT USAGE ON SCHEMA shop TO checkout_worker")
    sql("GRANT SELECT ON ALL TABLES IN SCHEMA shop TO checkout_worker")

    def make(**columns: Any) -> int:
        values = {"product_id": 1, "price_cents": 4725, "size": "M", "on_hand": 10} | columns
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        key: int = sql(f"INSERT INTO shop.variants ({names}) VALUES ({marks}) RETURNING id", **values)[0].id
        return key

    yield make
    sql(drop)


@pytest.fixture
def sync(servers: Servers) -> Sync:
    """Sync from the shop: ``sync(select=…, most_gone=…)``, and what ``sync_catalog`` takes."""

    def run(
        select: str = SELECT, *, most_gone: int = 20, namespace: UUID = DEVELOPMENT_NAMESPACE, **options: Any
    ) -> Synced:
        return sync_catalog(
            source=CatalogSource(select=select, most_gone=most_gone, image_origins=IMAGES),
            database_url=Secret(servers.worker_url),
            namespace=namespace,
            statement_seconds=options.pop("statement_seconds", 30),
            **options,
        )

    return run


def on_sale(sql: Sql) -> list[tuple[Any, ...]]:
    """The listings of the source that are on sale, by key."""
    rows = sql("""SELECT key, title, unit_price::text AS price, stock FROM source_listings
        JOIN listings ON listings.id = listing_id WHERE active ORDER BY key""")
    return [tuple(row) for row in rows]
