"""Checks whether listings still come from their source, and whether what is on sale has a price that can be paid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from checkout_service.catalog.models import SyncState
from checkout_service.catalog.source_functions import functions_of
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.doctor.findings import Finding, advice, ok, wrong
from checkout_service.money import WITHDRAWN, why_withdrawn
from checkout_service.settings.catalog_source import source_of_environment, sync_every

ABOUT: Final = "catalogue's source"
ABOUT_PRICES: Final = "catalogue's prices"

LATE: Final = 3
"""Times of the schedule after which a source that was not read is wrong: one message may be lost."""

_last: Final = Statement("""
    SELECT state::text, detail, unusable, short,
        extract(epoch FROM now() - created_at)::float8 / 60 AS minutes,
        (SELECT extract(epoch FROM now() - max(good.finished_at))::float8 / 60 FROM catalog_syncs AS good
            WHERE good.state IN ('done', 'partial')) AS good_minutes
    FROM catalog_syncs WHERE state NOT IN ('running', 'tried') ORDER BY id DESC LIMIT 1
""")

MOST_NAMED: Final = 5
"""Listings of one currency that are named; up to a thousand are counted."""

# Along listings_currency_unit_price, which has those on sale alone.
_unpayable: Final = Statement(f"""
    SELECT given.currency, found.count, ARRAY(
        SELECT id::text FROM listings WHERE active AND currency = CAST(given.currency AS char(3)) LIMIT {MOST_NAMED}
    ) AS ids
    FROM unnest(CAST(:currencies AS text[])) AS given (currency) CROSS JOIN LATERAL (
        SELECT count(*) AS count FROM (
            SELECT FROM listings WHERE active AND currency = CAST(given.currency AS char(3)) LIMIT 1000
        ) AS counted
    ) AS found
    WHERE found.count > 0 ORDER BY given.currency
""")  # noqa: S608 (only our own constants)

# Along listing_prices_currency_unit_price.
_beside: Final = Statement("""
    SELECT given.currency, count(listing.id) AS count
    FROM unnest(CAST(:currencies AS text[])) AS given (currency) CROSS JOIN LATERAL (
        SELECT price.listing_id FROM listing_prices AS price
        WHERE price.currency = CAST(given.currency AS char(3)) LIMIT 1000
    ) AS found
    JOIN listings AS listing ON listing.id = found.listing_id AND listing.active
    GROUP BY given.currency ORDER BY given.currency
""")


def check_prices() -> Iterator[Finding]:
    """No listing on sale costs a currency that was withdrawn, be it beside its own: nobody can buy it in that."""
    rows = execute(_unpayable, {"currencies": sorted(WITHDRAWN)})
    for currency, count, ids in rows:
        number = f"{count} or more listings" if count == 1000 else f"{count} listing{'' if count == 1 else 's'}"
        yield advice(
            ABOUT_PRICES,
            f"{number} on sale cost{'s' if count == 1 else ''} {currency}, in which nothing is sold: {', '.join(ids)}",
            f"{why_withdrawn(currency)}. Import them with a price in it, or with active false: see docs/currencies.md.",
        )
    beside = execute(_beside, {"currencies": sorted(WITHDRAWN)})
    for currency, count in beside:
        yield advice(
            ABOUT_PRICES,
            f"of up to 1000 prices in {currency} beside listings' own, {count} are of listings on sale",
            f"{why_withdrawn(currency)}. An import, or a sync once the row changes, leaves them out.",
        )
    if not rows and not beside:
        yield ok(ABOUT_PRICES, "all listings on sale cost a currency of ISO 4217")


def check_catalog() -> Iterator[Finding]:
    """The source that ``CATALOG_SOURCE`` names is read as often as beat sends for it, and all of it can be used."""
    if called := functions_of(source_of_environment()):
        yield advice(
            ABOUT,
            f"its views call {', '.join(called)} with the rights of the worker, which reads all that customers have",
            "Whoever may replace these can read it too. Let the source be a table, or a materialized view: see "
            "docs/catalogue.md, Whom you trust with it.",
        )
    rows = execute(_last)
    every = sync_every()
    if not rows:
        if every is not None:
            remedy = "Run flask catalog sync once by hand, and see that beat has CATALOG_SOURCE too."
            yield advice(ABOUT, "CATALOG_SOURCE is set, and was never read", remedy)
        return
    [last] = rows
    if last.state in {SyncState.REFUSED, SyncState.FAILED, SyncState.ABANDONED}:
        yield wrong(
            ABOUT,
            f"the last sync, {last.minutes:.0f} minutes ago, was {last.state}: {last.detail or 'it was killed'}",
            "Listings are as the sync before left them. See docs/catalogue.md, From your own tables.",
        )
    elif every is not None and last.good_minutes > LATE * every.total_seconds() / 60:
        yield wrong(
            ABOUT,
            f"was last read {last.good_minutes:.0f} minutes ago",
            "Beat sends catalog.sync where it has CATALOG_SOURCE; housekeeping runs it.",
        )
    elif last.unusable or last.short:
        yield advice(
            ABOUT,
            f"{last.unusable} rows cannot be a listing, of {last.short} listings less lies there than is reserved",
            last.detail[:300],
        )
    else:
        yield ok(ABOUT, f"was read {last.minutes:.0f} minutes ago")
