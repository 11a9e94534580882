"""Which payouts a bank's entries name: the names of payouts are looked for in the texts of entries, as sets.

Names and texts are compared by A to Z and digits alone, without case, since banks insert blanks, break lines in
words, and write a blank for what was an underscore. A name begins and ends where a word of the text does. Where a text
ends within a name (banks cut at 18 or 30 characters), its beginning is enough if it is long.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from checkout_service.settlement_words import BANK
from checkout_service.settlements.banks.bookings import PART

SHORTEST: Final = 8
"""Characters of a name that may be looked for; four of them have to be digits."""

SHORTEST_CUT: Final = 12
"""Characters that are left of a name which the bank cut."""

SHORTEST_WORD: Final = 10
"""Of a word of a longer name that says by itself which payout it is; six of them have to be digits."""

DAYS_BEFORE: Final = 10
DAYS_AFTER: Final = 120
"""Days around a payout's own in which a text may name it: names are used again in other years."""

FEW: Final = 50
"""So many names are looked for in each text; more than that, and each word is looked for among the names."""

_DAY: Final = "coalesce(arrival_on, (issued_at AT TIME ZONE 'UTC')::date)"
_PLAIN: Final = "upper(regexp_replace({0}, '[^[:alnum:]]+', '', 'g'))"

# Each name of a payout that is long enough to be sure, and each such word of its bank reference.
_NAMES: Final = f"""
    payout AS MATERIALIZED (
        SELECT id, amount, currency, {_DAY} AS day, bank_reference, payout_ref FROM payouts WHERE {{of}}
    ), name AS MATERIALIZED (
        SELECT DISTINCT payout.id AS payout_id, payout.amount, payout.currency, payout.day, plain.name,
            left(plain.name, {SHORTEST}) AS start, left(plain.name, {SHORTEST_CUT}) AS longer_start
        FROM payout CROSS JOIN LATERAL (
            SELECT {_PLAIN.format("bank_reference")}, {SHORTEST}, 4
            UNION ALL SELECT {_PLAIN.format("payout_ref")}, {SHORTEST}, 4
            UNION ALL SELECT {_PLAIN.format("word")}, {SHORTEST_WORD}, 6
            FROM regexp_split_to_table(bank_reference, '[[:space:],;]+') AS word
        ) AS plain (name, shortest, digits)
        WHERE length(plain.name) >= plain.shortest
            AND length(regexp_replace(plain.name, '[^0-9]+', '', 'g')) >= plain.digits
    )
"""  # noqa: S608 (only our own constants)

# A start of a text is one of its words; what begins there is compared with the beginnings of names first, so that few
# are written out. Of what is found at one start, the longest name counts, and a cut one only where there is no other.
# Where several payouts have the name, the amount says which: that of one of them, or of all together.
_LINKS: Final = f"""
    WITH entry AS MATERIALIZED (
        SELECT id, net, currency, left(occurred_local, 10)::date AS day, description
        FROM balance_entries
        WHERE id = ANY (%(entries)s) AND provider = '{BANK}' AND withdrawn_by IS NULL AND description <> ''
    ), {
    _NAMES.format(
        of=f'''
        {_DAY} IS NULL OR {_DAY} BETWEEN (SELECT min(day) FROM entry) - {DAYS_AFTER}
            AND (SELECT max(day) FROM entry) + {DAYS_BEFORE}
    '''
    )
}, part AS MATERIALIZED (
        SELECT entry.id AS entry_id, entry.net, entry.currency, entry.day, part.number,
            regexp_split_to_array(upper(part.text), '[^[:alnum:]]+') AS words
        FROM entry CROSS JOIN LATERAL string_to_table(description, '{PART}') WITH ORDINALITY AS part (text, number)
        WHERE part.text ~ '[0-9]'
    ), start AS MATERIALIZED (
        SELECT part.*, place.at
        FROM part CROSS JOIN LATERAL generate_series(1, cardinality(part.words)) AS place (at)
        WHERE left(array_to_string(part.words[place.at:place.at + {SHORTEST - 1}], ''), {SHORTEST})
            IN (SELECT start FROM name)
    ), whole AS (
        SELECT DISTINCT ON (start.entry_id, start.number, start.at, name.payout_id)
            start.entry_id, start.number, start.at, start.net, start.currency, start.day, name.payout_id, name.amount,
            name.currency AS payout_currency, name.day AS payout_day, length(name.name) AS length
        FROM start
        CROSS JOIN LATERAL generate_series(start.at, least(start.at + 19, cardinality(words))) AS place (to_word)
        JOIN name ON name.name = array_to_string(start.words[start.at:place.to_word], '')
        ORDER BY start.entry_id, start.number, start.at, name.payout_id, length(name.name) DESC
    ), cut AS (
        SELECT DISTINCT start.entry_id, start.number, start.at, start.net, start.currency, start.day, name.payout_id,
            name.amount, name.currency AS payout_currency, name.day AS payout_day, 0 AS length
        FROM start CROSS JOIN LATERAL (SELECT array_to_string(start.words[start.at:], '')) AS rest (text)
        JOIN name ON name.longer_start = left(rest.text, {SHORTEST_CUT}) AND length(name.name) > length(rest.text)
            AND left(name.name, length(rest.text)) = rest.text
        WHERE length(rest.text) >= {SHORTEST_CUT}
    ), hit AS (
        SELECT *, currency = payout_currency AS is_same_currency,
            rank() OVER (PARTITION BY entry_id, number, at ORDER BY length DESC) AS place
        FROM (SELECT * FROM whole UNION ALL SELECT * FROM cut) AS found
        WHERE payout_day IS NULL OR day BETWEEN payout_day - {DAYS_BEFORE} AND payout_day + {DAYS_AFTER}
    ), shared AS (
        SELECT *, count(*) OVER same AS payouts,
            count(*) FILTER (WHERE is_same_currency AND amount = net) OVER same AS exact,
            sum(amount) FILTER (WHERE is_same_currency) OVER same AS total
        FROM hit WHERE place = 1
        WINDOW same AS (PARTITION BY entry_id, number, at)
    )
    SELECT entry_id, payout_id, bool_or(payouts = 1 OR (exact = 1 AND is_same_currency AND amount = net)
        OR (exact = 0 AND is_same_currency AND total = net)) AS is_certain
    FROM shared
    WHERE NOT EXISTS (
        SELECT FROM settlement_matches AS ended
        WHERE ended.entry_id = shared.entry_id AND ended.payout_id = shared.payout_id AND ended.undone_by IS NOT NULL
    )
    GROUP BY entry_id, payout_id
"""  # noqa: S608 (only our own constants)

_STARTS: Final = f"""
    WITH {_NAMES.format(of="id = ANY (%(payouts)s)")}
    SELECT array_agg(DISTINCT '%%' || longer_start || '%%') FILTER (WHERE longer_start IS NOT NULL) AS starts,
        min(payout.day) AS since, max(payout.day) AS until, bool_or(payout.day IS NULL) AS may_be_any_day
    FROM payout LEFT JOIN name ON name.payout_id = payout.id
"""  # noqa: S608 (only our own constants)

_NAMING: Final = f"""
    SELECT id FROM balance_entries
    WHERE provider = '{BANK}' AND withdrawn_by IS NULL AND description <> ''
        AND (%(is_any_day)s
            OR occurred_at BETWEEN %(since)s::date - {DAYS_BEFORE + 1} AND %(until)s::date + {DAYS_AFTER + 2})
        AND (NOT %(is_few)s OR {_PLAIN.format("description")} LIKE ANY (%(starts)s))
"""  # noqa: S608 (only our own constants)


class Link(NamedTuple):
    """An entry whose text names a payout; ``is_certain`` is False where it may be another payout of that name."""

    entry_id: UUID
    payout_id: UUID
    is_certain: bool


def find_links(connection: psycopg.Connection[Any], entries: Collection[UUID]) -> list[Link]:
    """What the texts of these entries name, of all payouts. What an operator has undone is left out."""
    if not entries:
        return []
    return [Link(*row) for row in connection.execute(_LINKS, {"entries": list(entries)}, prepare=False)]


def find_entries_naming(connection: psycopg.Connection[Any], payouts: Iterable[UUID]) -> set[UUID]:
    """The entries that may name one of these payouts; there may be some that do not."""
    row = connection.execute(_STARTS, {"payouts": list(payouts)}, prepare=False).fetchone()
    if row is None or not row[0]:
        return set()
    starts, since, until, is_any_day = row
    known = {
        "starts": starts,
        "is_few": len(starts) <= FEW,
        "since": since,
        "until": until,
        "is_any_day": is_any_day or False,
    }
    return {found for (found,) in connection.execute(_NAMING, known, prepare=False)}
