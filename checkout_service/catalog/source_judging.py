"""Judges what a source has, against the listings that are its own, before anything is written.

A price counts as moved where it becomes more than ``PRICE_FACTOR`` times as much or as little, or is gone: in each
currency in which a listing has one. A shop may sell for nothing in euros alone, since only these are suddenly in
cents: so each currency is judged by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from psycopg import sql

from checkout_service.catalog.jsonl import LONGEST_LINE
from checkout_service.terminal import printable

PRICE_FACTOR: Final = 5
"""A price that becomes more than so many times as much, or as little, counts as moved."""

MOST_STORED: Final = 4 * LONGEST_LINE
"""Bytes of a jsonb value before it is written as text; numbers are shorter then. Of a compressed one a quarter."""

NAMED: Final = 20
"""Keys that stand twice which are named."""


class MovedPrices(NamedTuple):
    """Of listings on sale: how many have a price in this currency, and of how many it would move.

    ``before`` were moved within the last 24 hours, since somebody last allowed it.
    """

    currency: str
    had: int
    moved: int
    before: int

    def is_far(self, most: int, before: int = 0) -> bool:
        """Whether these, with so many of before, are more than so many percent."""
        return (self.moved + before) * 100 > most * self.had


class Judged(NamedTuple):
    """What a source has, against the listings that are its own: ``active`` are those on sale now.

    ``gone`` of these it no longer has, ``turned_off`` it says are not on sale. ``twice`` are keys of two rows.
    ``gone_before`` were made inactive within the last 24 hours, since somebody last allowed it.
    """

    rows: int
    nameless: int
    twice: Sequence[str]
    active: int
    gone: int
    turned_off: int
    moved: Sequence[MovedPrices]
    gone_before: int

    @classmethod
    def of(cls, row: Sequence[Any]) -> Judged:
        """From what ``judging`` returned."""
        *others, moved, gone_before = row
        return cls._make([*others, [MovedPrices._make(each) for each in moved], gone_before])

    def refusal(self, most_gone: int, *, allow_gone: bool) -> str:
        """Why nothing is to be changed, in words; nothing where it may be."""
        if not self.rows:
            return "the source is empty"
        if self.twice:
            return f"the source has more than one row of {', '.join(printable(key)[:100] for key in self.twice)}"
        if allow_gone:
            return ""
        rest = f"and CATALOG_SYNC_MAX_GONE allows {most_gone} percent {{}}. If that is right: catalog sync --allow-gone"
        gone = self.gone + self.turned_off
        if gone * 100 > most_gone * self.active:
            return f"{gone} of {self.active} listings would be made inactive, " + rest.format("in one sync")
        of_day, before = gone + self.gone_before, self.active + self.gone_before
        if gone and of_day * 100 > most_gone * before:
            return f"with {gone} more, {of_day} of {before} listings would be made inactive, " + rest.format(
                "in 24 hours"
            )
        would = f"listings would become more than {PRICE_FACTOR} times as much or as little, or be gone, "
        if at_once := [
            f"{each.moved} of {each.had} in {each.currency}" for each in self.moved if each.is_far(most_gone)
        ]:
            return f"the prices of {', '.join(at_once)} of the {would}" + rest.format("in one sync")
        by_day = [
            f"{each.moved + each.before} of {each.had} in {each.currency}"
            for each in self.moved
            if each.moved and each.is_far(most_gone, each.before)
        ]
        if by_day:
            return f"with those of before, the prices of {', '.join(by_day)} of the {would}" + rest.format(
                "in 24 hours"
            )
        return ""


def moved_currencies(before: Mapping[str, str], after: Mapping[str, Decimal]) -> list[str]:
    """In which currencies a listing's price moved: both by currency, and a price that is gone has moved."""
    return [currency for currency, price in before.items() if _is_far(Decimal(price), after.get(currency))]


def _is_far(before: Decimal, after: Decimal | None) -> bool:
    return after is None or after > before * PRICE_FACTOR or after * PRICE_FACTOR < before


def judging(columns: Collection[str], *, source: sql.Composable, schema: str) -> sql.Composed:
    """The query that a source with these columns is judged by: one row, for ``Judged.of``."""
    with_prices = "prices" in columns
    return sql.SQL(_JUDGE).format(
        source=source,
        ours=sql.Identifier(schema),
        factor=sql.Literal(PRICE_FACTOR),
        active_column=sql.SQL(", item.active" if "active" in columns else ""),
        # A column that was left out is on sale.
        active=sql.SQL("source.active" if "active" in columns else "true"),
        prices_column=sql.SQL(_PRICES).format(most=sql.Literal(MOST_STORED)) if with_prices else sql.SQL(""),
        other_prices=sql.SQL(_OTHER_PRICES).format(ours=sql.Identifier(schema)) if with_prices else sql.SQL(""),
        price=sql.SQL("source.prices ->> had.currency" if with_prices else "NULL::text"),
        is_missing=sql.SQL(_MISSING if with_prices else "true"),
        named=sql.Literal(NAMED),
    )


# What is no JSON, or too long, makes its row unusable: then its listing keeps its prices.
_PRICES: Final = """
, CASE WHEN item.prices IS NULL THEN '{{}}'::jsonb
    WHEN pg_column_size(item.prices) > {most} / CASE WHEN pg_column_compression(item.prices) IS NULL THEN 1 ELSE 4 END
        THEN NULL
    WHEN pg_input_is_valid(item.prices::text, 'jsonb') THEN item.prices::text::jsonb END AS prices
"""

_OTHER_PRICES: Final = """
UNION ALL
SELECT own.key, other.currency::text, other.unit_price
FROM own JOIN {ours}.listing_prices AS other ON other.listing_id = own.listing_id
"""

_MISSING: Final = "jsonb_typeof(source.prices) = 'object' AND NOT source.prices ? had.currency"

_JUDGE: Final = """
WITH source AS MATERIALIZED (
    SELECT left(item.id::text, 256) AS key, left(item.currency::text, 4) AS currency,
        CASE WHEN item.unit_price < 1e15 THEN item.unit_price::numeric END AS price{active_column}{prices_column}
    FROM {source} AS item
), own AS MATERIALIZED (
    SELECT known.key, known.listing_id, listing.unit_price AS price, listing.currency::text AS currency
    FROM {ours}.source_listings AS known JOIN {ours}.listings AS listing ON listing.id = known.listing_id
    WHERE listing.active
), had AS (
    SELECT own.key, own.currency, own.price FROM own {other_prices}
), moved AS (
    SELECT had.currency, count(*) AS had, count(*) FILTER (WHERE read.is_gone
        OR read.price > 0 AND (read.price > had.price * {factor} OR read.price * {factor} < had.price)) AS moved
    FROM had LEFT JOIN source USING (key) CROSS JOIN LATERAL (
        SELECT CASE WHEN source.currency = had.currency THEN source.price
                WHEN {price} ~ '^[0-9]{{1,15}}([.][0-9]{{1,15}})?$' THEN ({price})::numeric END,
            source.price > 0 AND source.currency <> had.currency AND source.currency ~ '^[A-Z]{{3}}$' AND {is_missing}
    ) AS read (price, is_gone)
    GROUP BY had.currency
), runs AS (
    SELECT made_inactive, moved FROM {ours}.catalog_syncs AS run
    WHERE created_at > now() - interval '24 hours' AND state NOT IN ('refused', 'tried') AND NOT allowed
        AND NOT EXISTS (SELECT FROM {ours}.catalog_syncs AS later WHERE later.allowed AND later.id > run.id)
), moved_before AS (
    SELECT each.key AS currency, sum(each.value::integer) AS moved
    FROM runs CROSS JOIN LATERAL jsonb_each_text(runs.moved) AS each GROUP BY each.key
)
SELECT (SELECT count(*) FROM source),
    (SELECT count(*) FROM source WHERE key IS NULL),
    ARRAY(SELECT key FROM source WHERE length(key) < 256 GROUP BY key HAVING count(*) > 1 ORDER BY key LIMIT {named}),
    (SELECT count(*) FROM own),
    (SELECT count(*) FROM own WHERE NOT EXISTS (SELECT FROM source WHERE source.key = own.key)),
    (SELECT count(*) FROM own JOIN source USING (key) WHERE NOT {active}),
    (SELECT coalesce(jsonb_agg(jsonb_build_array(moved.currency, moved.had, moved.moved, coalesce(before.moved, 0))
            ORDER BY moved.currency), '[]')
        FROM moved LEFT JOIN moved_before AS before USING (currency)),
    (SELECT coalesce(sum(made_inactive), 0) FROM runs)
"""
