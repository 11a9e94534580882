"""Reads of a large catalogue over HTTP, one after the other: each filter alone, each order, and words of every kind."""

from __future__ import annotations

import os
import time
from typing import Any
from urllib.parse import quote

import httpx
import psycopg

from benchmarks.report import Report, load_average, milliseconds, percentile, tell
from benchmarks.stand import Stand

LISTINGS = 1_000_000
STEP = 50_000
"""Listings that one statement writes."""

# Half of them are of one vendor; every word is in a seventh to a fifth of them, but for "school", which is in all, and
# the numbers of editions, each of which is in a hundred. One in twenty is off sale.
_NAMES = """
    INSERT INTO vendors (id, name) SELECT md5('vendor ' || n)::uuid,
        (ARRAY['Harbour', 'Northfield', 'Château', 'Meadow', 'Łódź'])[1 + n % 5] || ' Books ' || n
    FROM generate_series(0, 1999) AS n;
    INSERT INTO schools (id, name) SELECT md5('school ' || n)::uuid,
        (ARRAY['Riverside', 'Northgate', 'Saint Mary', 'Oak'])[1 + n % 4] || ' School ' || n
    FROM generate_series(0, 4999) AS n;
    INSERT INTO specs (id, name) SELECT md5('spec ' || n)::uuid, 'Spec ' || n FROM generate_series(0, 199) AS n;
"""
_LISTINGS = """
    INSERT INTO listings (id, vendor_id, school_id, spec_id, title, unit_price, currency, stock, active, created_at)
    SELECT md5('listing ' || n)::uuid, md5('vendor ' || CASE WHEN n %% 2 = 0 THEN 0 ELSE n %% 2000 END)::uuid,
        md5('school ' || n %% 5000)::uuid, md5('spec ' || n %% 200)::uuid,
        (ARRAY['Navy', 'Grey', 'Café', 'Bottle green', 'Maroon'])[1 + n %% 5] || ' '
            || (ARRAY['blazer', 'skirt', 'textbook', 'polo shirt', 'tie', 'scarf', 'shorts'])[1 + n %% 7]
            || ', size ' || n %% 40 || ', edition ' || to_char(n / 100, 'FM000000')
            || CASE WHEN n %% 33 = 0 THEN ' deluxe' ELSE '' END || CASE WHEN n %% 37 = 0 THEN ' woven' ELSE '' END
            || CASE WHEN n %% 97 = 0 THEN ' embroidered' ELSE '' END,
        5 + (n::bigint * 7919) %% 20000 / 100.0, CASE WHEN n %% 50 = 0 THEN 'EUR' ELSE 'USD' END,
        CASE WHEN n %% 3 = 0 THEN NULL ELSE n %% 97 END, n %% 20 <> 7, now() - n * interval '7 seconds'
    FROM generate_series(%s::integer, %s::integer) AS n
"""
_PRICES = """
    INSERT INTO listing_prices (listing_id, currency, unit_price)
    SELECT id, 'GBP', unit_price FROM listings WHERE currency = 'USD' AND id < '40000000-0000-0000-0000-000000000000'
"""
_IDS = "SELECT md5('vendor 0')::uuid, md5('vendor 9')::uuid, md5('school 5')::uuid, md5('spec 5')::uuid"


def run(stand: Stand, *, quick: bool) -> Report:
    count = int(os.environ.get("CATALOGUE_LISTINGS", 20_000 if quick else LISTINGS))
    rounds = 5 if quick else 200
    with stand.connect() as connection:
        ids = _load(connection, count)
    report = Report(title=f"A catalogue of {count:,} listings")
    report.remark(load_average())
    base = stand.serve()
    with httpx.Client(base_url=base, timeout=30) as client:
        for name, query in _cases(*ids).items():
            took = _measured(client, f"/api/listings{query}", rounds)
            found = len(client.get(f"/api/listings{query}").json()["data"])
            worst = milliseconds(percentile(took, 0.99))
            report.add(name, f"{milliseconds(percentile(took, 0.5))}, p99 {worst}, {found} found", target="p99 < 50 ms")
    return report


def _load(connection: psycopg.Connection[Any], count: int) -> Any:
    connection.execute(_NAMES)
    for first in range(1, count + 1, STEP):
        connection.execute(_LISTINGS, (first, min(first + STEP - 1, count)))
        tell(f"  {min(first + STEP - 1, count):,} listings")
    connection.execute(_PRICES)
    connection.execute("VACUUM ANALYZE")
    return connection.execute(_IDS).fetchone()


def _cases(vendor: Any, small: Any, school: Any, spec: Any) -> dict[str, str]:
    words = {
        "the commonest word": "school",
        "a common beginning": "bl",
        "a word of a fifth": "navy",
        "a word of a hundredth": "embroidered",
        "a word of a hundred listings": "000123",
        "two words of a fifth and a seventh": "blazer navy",
        "two words of a thirtieth": "deluxe woven",
        "a common word and a rare one": "school 000123",
        "two common words that never meet": "blazer skirt",
        "an accent": "chateau",
        "nothing": "zzzzz",
        "a common word and nothing": "school zzzzz",
    }
    return {
        **{name: f"?q={quote(text)}" for name, text in words.items()},
        "newest": "",
        "by title": "?sort=title",
        "by price": "?sort=price",
        "a vendor of half": f"?vendor={vendor}",
        "a small vendor": f"?vendor={small}",
        "a school": f"?school={school}",
        "a spec of 5,000": f"?spec={spec}",
        "price_min": "?price_min=100",
        "price_max": "?price_max=6",
        "available": "?available=true",
        "sold out": "?available=false",
        "currency of most": "?currency=USD",
        "currency of some": "?currency=EUR",
        "currency of a price list": "?currency=GBP",
        "currency of a price list, by price": "?currency=GBP&sort=price",
        "currency of nothing": "?currency=JPY",
        "a vendor of half and a common word": f"?vendor={vendor}&q=school",
    }


def _measured(client: httpx.Client, path: str, rounds: int) -> list[float]:
    """Seconds that each request took, once they are warm."""
    took = []
    for number in range(rounds + 20):
        started = time.perf_counter()
        client.get(path).raise_for_status()
        if number >= 20:
            took.append(time.perf_counter() - started)
    return took
