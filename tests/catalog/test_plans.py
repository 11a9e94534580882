"""What listings cost among 30,000: each filter and search goes by an index, reads a bounded number, and sorts few."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from hashlib import md5
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask

from checkout_service.catalog import ways
from checkout_service.catalog.filters import ListingFilters, Sort
from checkout_service.catalog.queries import _statement
from checkout_service.catalog.searching import find_listings
from checkout_service.catalog.ways import LOOK, page_statement, values_of, way_to, weigh
from checkout_service.database.statements import Statement
from tests.conftest import Servers, Sql, Statements

LISTINGS = 30_000
COMMON, RARE = (UUID(f"00000000-0000-4000-8000-00000000000{number}") for number in (1, 2))

LARGE = {"listings", "listing_prices", "listing_words", "stock_counters"}


@pytest.fixture
def _many(sql: Sql) -> None:
    """Listings of two vendors and schools, one of which has nearly all; "navy" is in all titles, "n…" is a number each.

    Written past the triggers, which take seconds; so what these write is here as they would.
    """
    for table in ("listing_prices", "listings", "listing_words", "stock_counters", "vendors", "schools"):
        sql(f"DELETE FROM {table}")
    of = f"CASE WHEN n % 1000 = 0 THEN '{RARE}' ELSE '{COMMON}' END::uuid"
    for statement in (
        f"INSERT INTO vendors (id, name) VALUES ('{COMMON}', 'Harbour'), ('{RARE}', 'Books')",
        f"INSERT INTO schools (id, name) VALUES ('{COMMON}', 'Harbour'), ('{RARE}', 'Books')",
        f"""INSERT INTO listings (id, vendor_id, school_id, title, unit_price, currency, stock, created_at, title_key,
            search)
        SELECT md5(n::text)::uuid, {of}, {of}, 'Navy n' || n, 1 + n % 5000,
            CASE WHEN n % 500 = 0 THEN 'EUR' ELSE 'USD' END, 5, now() - n * interval '1 minute', 'navy n' || n,
            array_to_tsvector(ARRAY['navy', 'n' || n, CASE WHEN n % 3 = 0 THEN 'wool' ELSE 'cotton' END])
        FROM generate_series(1, {LISTINGS}) AS n""",
        "INSERT INTO stock_counters (listing_id, stock) SELECT id, 5 FROM listings",
        """INSERT INTO listing_prices (listing_id, currency, unit_price)
        SELECT id, 'GBP', unit_price FROM listings WHERE currency = 'USD'""",
        f"INSERT INTO listing_words SELECT 'n' || n, 1 FROM generate_series(1, {LISTINGS}) AS n",
        f"INSERT INTO listing_words VALUES ('', {LISTINGS}), ('navy', {LISTINGS}), ('wool', {LISTINGS // 3})",
        "ANALYZE listings, listing_prices, listing_words, stock_counters",
    ):
        sql(f"SET session_replication_role = replica; {statement}; RESET session_replication_role")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def faults(connection: psycopg.Connection[Any], statement: Statement, values: dict[str, Any], most: int) -> list[str]:
    """What is wrong with how PostgreSQL answers, as it plans for any values and for these."""
    found = []
    for mode in ("force_generic_plan", "force_custom_plan"):
        connection.execute(f"SET plan_cache_mode = {mode}")
        ((explained,),) = connection.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", {**statement.constants, **values}, prepare=True
        ).fetchall()
        for node in nodes(explained[0]["Plan"]):
            rows = node["Actual Rows"] * node["Actual Loops"]
            if "Seq Scan" in node["Node Type"] and node.get("Relation Name") in LARGE:
                found.append(f"{mode} reads all of {node['Relation Name']}\n{json.dumps(explained, indent=1)[:5000]}")
            if "Scan" in node["Node Type"] and rows > most:
                found.append(f"{mode} reads {rows} rows: {json.dumps(node)[:1000]}")
    return found


CASES = {
    "all": ListingFilters(),
    "by title": ListingFilters(sort=Sort.TITLE),
    "by price": ListingFilters(sort=Sort.PRICE),
    "a large vendor": ListingFilters(vendor=COMMON),
    "a small vendor": ListingFilters(vendor=RARE),
    "a small vendor by price": ListingFilters(vendor=RARE, sort=Sort.PRICE),
    "a large school": ListingFilters(school=COMMON),
    "a small school": ListingFilters(school=RARE),
    "some ids": ListingFilters(ids=[UUID(md5(b"1", usedforsecurity=False).hexdigest()), RARE]),
    "dear ones": ListingFilters(price_min=Decimal(4990)),
    "cheap ones by price": ListingFilters(price_max=Decimal(9), sort=Sort.PRICE),
    "not too dear": ListingFilters(price_max=Decimal(4990), sort=Sort.TITLE),
    "to be had": ListingFilters(available=True),
    "sold out": ListingFilters(available=False),
    "a currency of many": ListingFilters(currency="GBP"),
    "a currency of many by price": ListingFilters(currency="GBP", sort=Sort.PRICE),
    "a currency of few": ListingFilters(currency="EUR"),
    "a currency of few by price": ListingFilters(currency="EUR", sort=Sort.PRICE),
    "a word of all": ListingFilters(q="navy"),
    "a word of many": ListingFilters(q="wool"),
    "a word of one": ListingFilters(q="n17000"),
    "a beginning of many": ListingFilters(q="n1"),
    "words of all and one": ListingFilters(q="navy n17000"),
    "a word of all and a small vendor": ListingFilters(q="navy", vendor=RARE),
    "a word in a currency": ListingFilters(q="navy", currency="GBP"),
    "nothing": ListingFilters(q="nothing"),
}


@pytest.mark.usefixtures("_many")
def test_each_way_goes_by_an_index_and_is_bounded(
    app: Flask, servers: Servers, monkeypatch: pytest.MonkeyPatch, statements: Statements
) -> None:
    # As for a million: few are a thirtieth of what there is.
    monkeypatch.setattr(ways, "FEW", 1_000)
    monkeypatch.setattr(ways, "FEW_HITS", 1_000)
    monkeypatch.setattr(ways, "FEW_POSTINGS", 2_000)
    monkeypatch.setattr(ways, "MOST_WORDS", 1_000)
    ways._weights.cache_clear()
    wrong = []
    try:
        with (
            app.app_context(),
            psycopg.connect(servers.web_url.replace("+psycopg", ""), autocommit=True) as connection,
        ):
            find_listings(ListingFilters(), limit=1, cursor=None)  # the first connection asks more
            for name, filters in CASES.items():
                with statements() as seen:
                    page = find_listings(filters, limit=20, cursor=None)
                # What is sold out is looked for as long as a page may, since nothing is; so are hits, up to 200.
                looks = 5 if filters.available is False else 10 if filters.q == "n1" else 1
                assert len(seen) <= looks + (0 if filters.q == "nothing" else 2), (name, len(seen))
                assert filters.available is False or bool(page.listings) == (filters.q != "nothing"), name
                weights = weigh(filters)
                way, values = way_to(filters, weights), values_of(filters, weights) | {"limit": 21}
                values |= {"most_words": 1_000, "weighed": 6, "few_words": 8}
                counted = tuple(sorted(ways._counted(filters).items()))
                parts = [(page_statement(way, False), 2 * LOOK + 30)]
                if counted or filters.q:
                    parts.append((ways._weights(counted, filters.q is not None), 1_010))
                for statement, bound in parts:
                    wrong += [f"{name}: {fault}" for fault in faults(connection, statement, values, bound)]
            shown = {"ids": [row.id for row in page.listings] or [COMMON], "currency": "GBP"}
            wrong += faults(connection, _statement(True), shown, 100)
    finally:
        ways._weights.cache_clear()
    assert not wrong, "\n\n".join(wrong)
