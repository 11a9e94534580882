"""How listings are looked for, as SQL: along the order of the page, or all that one filter finds.

Which filter or word finds few listings is counted before, up to a bound. All that such a one finds are read, and
sorted. Where each finds many, the order's own index is walked along, and the filters are looked up in what is met:
``LOOK`` listings with a statement, and so many statements at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from checkout_service.catalog.filters import ListingFilters, Sort
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement

FEW: Final = 3_000
"""Listings that a filter finds, so that all of them are read."""

FEW_HITS: Final = 10_000
"""The same of words. Where they find more, as they may where words come together, these are some of them."""

FEW_POSTINGS: Final = 50_000
"""Listings with a word that is looked up in the index of words. Of a more frequent one that reads too much; and of a
beginning of many words where there are more than ``FEW_HITS``, since all that each of these finds is put together."""

FEW_WORDS: Final = 8
"""So few words that begin alike are looked up one by one."""

LOOK: Final = 1_000
"""Listings that one statement looks through. With many more PostgreSQL would read and sort all of them first."""

MOST_WORDS: Final = 10_000
"""So many known words that begin alike are counted: with more of them, there are many listings."""

WEIGHED: Final = 6
"""So many words of a search are counted, the longest. Any of the others may find many."""

LOOKED_UP: Final = 2
"""So many words are looked up in the index, the rarest; the others in what these find."""

_ORDER: Final[Mapping[Sort, str]] = {
    Sort.NEWEST: "{0}.created_at DESC, {0}.id DESC",
    Sort.TITLE: "{0}.title_key, {0}.id",
    Sort.PRICE: "{0}.price, {0}.id",
}

_EDGE: Final[Mapping[Sort, str]] = {
    Sort.NEWEST: "(created_at, id) < (CAST(:edge_key AS timestamptz), CAST(:edge_id AS uuid))",
    Sort.TITLE: "(title_key, id) > (CAST(:edge_key AS text), CAST(:edge_id AS uuid))",
    Sort.PRICE: "(price, id) > (CAST(:edge_key AS numeric), CAST(:edge_id AS uuid))",
}

# As a span: else PostgreSQL might read all listings, where a plan for any vendor is made and there are few vendors.
_OF: Final = {
    name: f"{name}_id BETWEEN CAST(:{name} AS uuid) AND CAST(:{name} AS uuid)" for name in ("vendor", "school", "spec")
}

# The currency as text: else PostgreSQL may look among all prices of the currency, since an index has both columns.
_IN_CURRENCY: Final = """
    CASE WHEN listings.currency = CAST(:currency AS char(3)) THEN listings.unit_price ELSE (
        SELECT other.unit_price FROM listing_prices AS other
        WHERE other.listing_id = listings.id AND other.currency::text = CAST(:currency AS text)
    ) END
"""

_SPAN: Final = {
    "price_min": "{} >= CAST(:price_min AS numeric)",
    "price_max": "{} <= CAST(:price_max AS numeric)",
}

# As a subquery: as a join PostgreSQL might read the counters of all listings.
_AVAILABLE: Final = """
    coalesce((SELECT counter.stock > counter.reserved FROM stock_counters AS counter
        WHERE counter.listing_id = listing.id), true) = CAST(:available AS boolean)
"""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to what is looked for.

    ``source`` gives rows of listings with their ``price``, and ``rest`` filters them. A ``whole`` source gives all that
    there is. Another one gives ``LOOK`` listings of the order, from its ``{edge}`` on.
    """

    source: str
    rest: str
    sort: Sort
    whole: bool
    words: bool

    def rows(self, *, goes_on: bool) -> str:
        """The source; of one that is walked along the part behind the cursor, or the first."""
        return self.source if self.whole else self.source.replace("{edge}", _EDGE[self.sort] if goes_on else "true")


@dataclass(frozen=True, slots=True, order=True)
class Counted:
    """A filter by which an index finds listings: as what is counted, and as what they are read by.

    ``order`` is that of the index which it is counted along. ``others`` is what is counted of prices in other
    currencies as well.
    """

    listings: str
    order: str
    driver: str
    others: str = ""


@dataclass(frozen=True, slots=True)
class Weights:
    """How many listings each filter finds, of none more than ``FEW + 1``; and of each word, of how many in all.

    ``words`` are all of the search, those that were counted first. ``alike`` has the words that begin with each of
    these, with spaces between; nothing where there are more than ``FEW_WORDS``.
    """

    filters: Mapping[str, int]
    words: Sequence[str] = ()
    counts: Sequence[int] = ()
    alike: Sequence[str] = ()
    total: int = 0

    @property
    def finds_nothing(self) -> bool:
        """Whether there is nothing to look for."""
        return 0 in self.filters.values() or 0 in self.counts

    @property
    def hits(self) -> float:
        """How many listings hold all words, if words come independently of each other."""
        found = float(self.total)
        for count in self.counts:
            found *= min(count / max(self.total, 1), 1)
        return found

    @property
    def rare(self) -> Sequence[str]:
        """The words that are to be looked up in their index, as tsqueries."""
        by_count = sorted(zip(self.counts, self.words, self.alike, strict=False))
        return [
            _any_of(alike.split()) if alike else _begins(word)
            for count, word, alike in by_count
            if count <= (FEW_POSTINGS if alike else FEW_HITS)
        ][:LOOKED_UP]


def weigh(filters: ListingFilters) -> Weights:
    """Count what the filters and the words of the search find, up to a bound, in one statement or none."""
    counted = _counted(filters)
    if not counted and filters.q is None:
        return Weights({})
    shape = tuple(sorted(counted.items()))
    values = values_of(filters) | {"most_words": MOST_WORDS, "weighed": WEIGHED, "few_words": FEW_WORDS}
    words, counts, alike, total, *found = execute(_weights(shape, filters.q is not None), values)[0]
    found_by = dict(zip((name for name, _ in shape), found, strict=True))
    return Weights(found_by, words or (), counts or (), alike or (), total or 0)


def way_to(filters: ListingFilters, weights: Weights) -> Way:
    """The way that reads the fewest listings, or one whose end is bounded."""
    rest, sort, words = conditions(filters), filters.sort or Sort.NEWEST, filters.q is not None

    def all_of(driver: str, *, bound: str = "OFFSET 0") -> Way:
        source = f"SELECT * FROM {_priced(filters)} AS listings WHERE active AND {driver} {bound}"  # noqa: S608 (only our own constants)
        return Way(source, " AND ".join(["true", *rest.values()]), sort, whole=True, words=words)

    if filters.ids is not None:
        return all_of(rest.pop("ids"))
    fewest, name = min(((count, name) for name, count in weights.filters.items()), default=(FEW + 1, ""))
    if words and weights.rare and weights.hits <= (fewest if fewest <= FEW else FEW_HITS):
        return all_of("search @@ CAST(:rare AS tsquery)", bound=f"LIMIT {FEW_HITS}")
    if fewest <= FEW:
        return all_of(_counted(filters)[name].driver)
    if words:
        sort = Sort.NEWEST
    return Way(_along(filters, sort), " AND ".join(["active", *rest.values()]), sort, whole=False, words=words)


def conditions(filters: ListingFilters) -> dict[str, str]:
    """Each filter that is given, as a condition on a row of a source."""
    given = {
        **_OF,
        "ids": "id = ANY(CAST(:ids AS uuid[]))",
        **{name: span.format("price") for name, span in _SPAN.items()},
        "currency": "price IS NOT NULL",
        "available": _AVAILABLE,
        # The function of the operator @@, which no index is used for: where the words are the way, the source says so.
        "q": "ts_match_vq(search, CAST(:words AS tsquery))",
    }
    return {name: condition for name, condition in given.items() if getattr(filters, name) is not None}


def values_of(filters: ListingFilters, weights: Weights | None = None) -> dict[str, Any]:
    """The values of a search with these filters."""
    words = weights.words if weights else ()
    return {
        "q": filters.q,
        **{name: getattr(filters, name) for name in ("vendor", "school", "spec", "price_min", "price_max")},
        "ids": None if filters.ids is None else list(filters.ids),
        "available": filters.available,
        "currency": filters.currency,
        "words": _query(words),
        "rare": " & ".join(weights.rare) if weights else "",
        "begins_title": _query(words, weight="A"),
        "in_title": _query(words, weight="A", whole=True),
    }


@lru_cache(maxsize=512)
def page_statement(way: Way, goes_on: bool) -> Statement:
    """Reads what a page is made of: up to ``:limit`` rows, each with the last listing that was looked at, where others
    follow it and the page is not full. A page with nothing is one row of NULL.
    """
    edge = _EDGE[way.sort] if way.whole and goes_on else "true"
    rank, first = "0", ""
    if way.words:
        # Whole words of the title come before its beginnings, and these before the names.
        rank = """CASE WHEN search @@ CAST(:in_title AS tsquery) THEN 2
            WHEN search @@ CAST(:begins_title AS tsquery) THEN 1 ELSE 0 END"""
        first = "rank DESC, " if way.whole else ""
    order = _ORDER[Sort.NEWEST if first else way.sort]
    seen = "SELECT NULL AS price, NULL AS title_key, NULL AS created_at, NULL::uuid AS id WHERE false"
    if not way.whole:
        seen = f"""
            SELECT looked.* FROM ({way.rows(goes_on=goes_on)}) AS looked
            WHERE (SELECT count(*) FROM page) < CAST(:limit AS integer)
            ORDER BY {order.format("looked")} OFFSET {LOOK} - 1 LIMIT 1
        """  # noqa: S608 (only our own constants)
    return Statement(f"""
        WITH page AS MATERIALIZED (
            SELECT id, {rank} AS rank, created_at, title_key, price FROM ({way.rows(goes_on=goes_on)}) AS listing
            WHERE {way.rest} AND {edge} ORDER BY {first}{order.format("listing")} LIMIT :limit
        )
        SELECT seen.{_KEY[way.sort]} AS seen_key, seen.id AS seen_id, page.*
        FROM (SELECT) AS always LEFT JOIN ({seen}) AS seen ON true LEFT JOIN page ON true
        ORDER BY {first}{order.format("page")}
    """)  # noqa: S608 (only our own constants)


_KEY: Final = {Sort.NEWEST: "created_at", Sort.TITLE: "title_key", Sort.PRICE: "price"}


def _along(filters: ListingFilters, sort: Sort) -> str:
    """``LOOK`` rows along the index of an order."""
    spans = _spans(filters, "price") if sort is Sort.PRICE else []
    if sort is Sort.PRICE and filters.currency is not None:
        # Of both lists of prices, each along its own index, which each does only with a bound of its own. Prices of
        # listings that are off sale are among them.
        behind = f"WHERE {' AND '.join(['{edge}', *spans])} ORDER BY price, id LIMIT {LOOK}"
        return f"""
            SELECT found.*, priced.price FROM (
                SELECT id, price FROM (
                    (SELECT * FROM (
                        SELECT id, unit_price AS price FROM listings
                        WHERE active AND currency = CAST(:currency AS char(3))
                    ) AS own {behind})
                    UNION ALL
                    (SELECT * FROM (
                        SELECT listing_id AS id, unit_price AS price FROM listing_prices
                        WHERE currency = CAST(:currency AS char(3))
                    ) AS others {behind})
                ) AS prices ORDER BY price, id LIMIT {LOOK}
            ) AS priced CROSS JOIN LATERAL (SELECT * FROM listings WHERE listings.id = priced.id OFFSET 0) AS found
        """  # noqa: S608 (only our own constants)
    return f"""
        SELECT * FROM {_priced(filters)} AS listings WHERE {" AND ".join(["active", "{edge}", *spans])}
        ORDER BY {_ORDER[sort].format("listings")} LIMIT {LOOK}
    """  # noqa: S608 (only our own constants)


def _priced(filters: ListingFilters) -> str:
    """Listings with the price that is shown: none where there is none in this currency."""
    price = "unit_price" if filters.currency is None else _IN_CURRENCY
    return f"(SELECT listings.*, {price} AS price FROM listings)"  # noqa: S608 (only our own constants)


def _spans(filters: ListingFilters, price: str) -> list[str]:
    return [span.format(price) for name, span in _SPAN.items() if getattr(filters, name) is not None]


def _counted(filters: ListingFilters) -> dict[str, Counted]:
    """The filters that are counted, by name."""
    if filters.ids is not None:
        return {}
    given = {name: condition for name, condition in _OF.items() if getattr(filters, name) is not None}
    found = {name: Counted(condition, f"{name}_id", condition) for name, condition in given.items()}
    spans = " AND ".join(["true", *_spans(filters, "unit_price")])
    if (spans == "true" and filters.currency is None) or (filters.sort is Sort.PRICE and filters.q is None):
        return found  # along the order of prices they are a part of the index
    if filters.currency is None:
        return found | {"price": Counted(f"active AND {spans}", "unit_price", spans)}
    spans = f"currency = CAST(:currency AS char(3)) AND {spans}"
    # As an array: their listings are found by their keys, and those of any other currency are not read for it.
    driver = f"""id = ANY(ARRAY(SELECT id FROM listings WHERE active AND {spans}
        UNION ALL SELECT listing_id FROM listing_prices WHERE {spans}))"""  # noqa: S608 (only our own constants)
    return found | {"price": Counted(f"active AND {spans}", "unit_price", driver, others=spans)}


@lru_cache(maxsize=64)
def _weights(counted: tuple[tuple[str, Counted], ...], has_words: bool) -> Statement:
    """One row: the words, the count of each that is counted, how many listings there are; the count of each filter."""
    words = """
        SELECT array_agg(word ORDER BY place) AS words,
            array_agg(CASE WHEN known > :most_words THEN total ELSE coalesce(listings, 0) END ORDER BY place)
                FILTER (WHERE place <= :weighed) AS counts,
            array_agg(CASE WHEN known <= :few_words THEN alike ELSE '' END ORDER BY place)
                FILTER (WHERE place <= :weighed) AS alike,
            min(total) AS total
        FROM (SELECT coalesce((SELECT listings FROM listing_words WHERE word = ''), 0) AS total) AS all_listings
        CROSS JOIN LATERAL (
            SELECT word, row_number() OVER (ORDER BY length(word) DESC, word) AS place
            FROM unnest(catalogue_words(CAST(:q AS text))) AS word
        ) AS given
        LEFT JOIN LATERAL (
            SELECT count(*) AS known, sum(alike.listings)::bigint AS listings,
                array_to_string((array_agg(alike.word))[:(CAST(:few_words AS integer))], ' ') AS alike
            FROM listing_words_alike(given.word, CAST(:most_words AS integer) + 1) AS alike
        ) AS known ON place <= :weighed
    """
    counts = "".join(
        f", {_count('listings', each.listings, each.order)}"
        + (f" + {_count('listing_prices', each.others, each.order)}" if each.others else "")
        + f" AS {name}_count"
        for name, each in counted
    )
    return Statement(
        f"SELECT given.*{counts} FROM ({words if has_words else _NO_WORDS}) AS given"  # noqa: S608 (only our own constants)
    )


def _count(table: str, condition: str, order: str) -> str:
    found = f"SELECT FROM {table} WHERE {condition} ORDER BY {order} LIMIT {FEW} + 1"
    return f"(SELECT count(*) FROM ({found}) AS counted)"  # noqa: S608 (only our own constants)


_NO_WORDS: Final = "SELECT NULL AS words, NULL AS counts, NULL AS alike, 0 AS total"


def _query(words: Sequence[str], *, weight: str = "", whole: bool = False) -> str:
    """Words, as a tsquery that all of them must match."""
    return " & ".join(f"'{word}':{weight}" if whole else _begins(word, weight) for word in words)


def _begins(word: str, weight: str = "") -> str:
    return f"'{word}':*{weight}"


def _any_of(words: Sequence[str]) -> str:
    return "(" + " | ".join(f"'{word}'" for word in words) + ")"
