"""Says which entries of a bank's file are here already, and which of several equal ones each is.

An entry is known by its account, its amount, and the bank's own reference; by its day where it has none. That is no
name of one alone: a bank uses a reference again, and equal sums come on one day. So statements say by their days and
balances whether they may have bookings in common: those of statements apart are others, of statements of one stretch
there are as many as the one has that has most. Parts of an entry are never compared: what came first, the entry or
its details, stays. Where nothing says which it is, the file is held.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

import psycopg

from checkout_service.settlement_words import BANK, FileState
from checkout_service.settlements.bank_stretches import Place, Relation, Stretch, Stretches, gaps_between, relation
from checkout_service.settlements.banks.bookings import BY_REFERENCE

_AROUND: Final = timedelta(days=60)
"""Around the days of a file, in which another statement may be its neighbour."""

_KEY: Final = "regexp_replace(entry_ref, '(/[a-z0-9]+)?:[0-9]+$', '')"
_IS_FIRST: Final = "entry_ref !~ '/(?!1:)[a-z0-9]+:[0-9]+$'"

_SECTIONS: Final = "SELECT sections FROM settlement_files WHERE id = %(file)s"

_KNOWN_SECTIONS: Final = f"""
    SELECT file.id, to_jsonb(section), file.accepted_by IS NULL
    FROM settlement_files AS file CROSS JOIN jsonb_to_recordset(file.sections)
        AS section (account text, name text, opening jsonb, expected jsonb, since text, until text, number bigint)
    WHERE file.provider = '{BANK}' AND file.state = '{FileState.ENTERED}' AND file.id <> %(file)s
        AND section.account = ANY(%(accounts)s)
        AND (section.since IS NULL OR (section.since <= %(until)s AND section.until >= %(since)s))
"""  # noqa: S608 (only our own constants)

# Entries with their parts: those whose name is here already, or which the file has several of.
_UNITS: Final = f"""
    WITH line AS (
        SELECT line, account, section, currency::text, net, description, left(occurred_local, 10) AS day,
            {_KEY} AS key, count(*) FILTER (WHERE {_IS_FIRST}) OVER (ORDER BY line) AS unit
        FROM settlement_lines WHERE file_id = %(file)s
    ), unit AS (
        SELECT account, section, currency, key, unit, min(line) AS first, max(line) AS last, sum(net) AS net,
            min(day) AS day, (array_agg(description ORDER BY line))[1] AS text
        FROM line GROUP BY account, section, currency, key, unit
    ), counted AS (
        SELECT *, count(*) OVER (PARTITION BY account, key) AS several FROM unit
    )
    SELECT account, section, currency, key, first, last, net, day, text FROM counted
    WHERE several > 1 OR (account, key) IN (
        SELECT account, {_KEY} FROM balance_entries
        WHERE provider = '{BANK}' AND account = ANY(%(accounts)s) AND withdrawn_by IS NULL)
    ORDER BY first
"""  # noqa: S608 (only our own constants)

_KNOWN_UNITS: Final = f"""
    SELECT account, {_KEY}, substring(entry_ref FROM '[0-9]+$')::bigint, file_id::text, section, description
    FROM balance_entries
    WHERE provider = '{BANK}' AND account = ANY(%(accounts)s) AND withdrawn_by IS NULL AND {_IS_FIRST}
        AND (account, {_KEY}) IN (SELECT account, {_KEY} FROM settlement_lines WHERE file_id = %(file)s)
    ORDER BY 1, 2, 3
"""  # noqa: S608 (only our own constants)

_KNOWN_SUMS: Final = f"""
    SELECT file_id::text, account, section, currency::text, left(occurred_local, 10), sum(net) FROM balance_entries
    WHERE provider = '{BANK}' AND account = ANY(%(accounts)s) AND withdrawn_by IS NULL
        AND occurred_at BETWEEN %(since)s::date - 1 AND %(until)s::date + 2
    GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608 (only our own constants)

_SUMS: Final = """
    SELECT account, section, currency::text, left(occurred_local, 10), sum(net) FROM settlement_lines
    WHERE file_id = %(file)s GROUP BY 1, 2, 3, 4
"""

_DROP: Final = """
    DELETE FROM settlement_lines AS line
    USING unnest(%(firsts)s::integer[], %(lasts)s::integer[]) AS known (first, last)
    WHERE line.file_id = %(file)s AND line.line BETWEEN known.first AND known.last
"""

_DROP_WHOLE: Final = """
    DELETE FROM settlement_lines AS line
    USING unnest(%(accounts)s::text[], %(names)s::text[], %(currencies)s::text[]) AS known (account, name, currency)
    WHERE line.file_id = %(file)s AND (line.account, line.section) = (known.account, known.name)
        AND line.currency = known.currency
"""

_NUMBER: Final = """
    UPDATE settlement_lines AS line SET entry_ref = regexp_replace(line.entry_ref, '[0-9]+$', own.number::text)
    FROM unnest(%(firsts)s::integer[], %(lasts)s::integer[], %(numbers)s::bigint[]) AS own (first, last, number)
    WHERE line.file_id = %(file)s AND line.line BETWEEN own.first AND own.last
"""


_Sums: TypeAlias = defaultdict[tuple[str, str], Decimal]
"""Sums by currency and day."""


class _Unit(NamedTuple):
    """An entry of the file, in these lines."""

    account: str
    section: str
    currency: str
    key: str
    first: int
    last: int
    net: Decimal
    day: str
    text: str


class _Known(NamedTuple):
    """An entry that is here, or was before in the file."""

    number: int
    place: Place
    text: str


@dataclass(slots=True)
class Identity:
    """What of a file is here already: entries by their lines, and whole statements; and how others are numbered."""

    known: list[tuple[int, int]] = field(default_factory=list)
    whole: list[tuple[Place, str]] = field(default_factory=list)
    numbers: list[tuple[int, int, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def identify(cursor: psycopg.Cursor[Any], file_id: UUID, sections: Sequence[Mapping[str, Any]]) -> Identity:
    """Compare the lines of a bank's file, which has these sections, with what is here. Raises psycopg.Error."""
    own = [Stretch.from_json(file_id, section, is_proved=True) for section in sections]
    since = min((each.since for each in own if each.since), default=date.min + _AROUND)
    until = max((each.until for each in own if each.until), default=date.max - _AROUND)
    values: dict[str, Any] = {
        "file": file_id,
        "accounts": sorted({each.place.account for each in own}),
        "since": _near(since, -_AROUND),
        "until": _near(until, _AROUND),
    }
    comparison = _Comparison(
        [
            Stretch.from_json(known, section, is_proved=is_proved)
            for known, section, is_proved in cursor.execute(_KNOWN_SECTIONS, values)
        ]
    )
    for account, key, number, known, section, text in cursor.execute(_KNOWN_UNITS, values):
        comparison.units[account, key].append(_Known(number, Place(known, account, section), text))
    for known, account, section, currency, day, net in cursor.execute(_KNOWN_SUMS, values):
        comparison.sums[Place(known, account, section)][currency, day] += net
    lines: dict[tuple[str, str], list[_Unit]] = defaultdict(list)
    for row in cursor.execute(_UNITS, values):
        unit = _Unit(*row)
        lines[unit.account, unit.section].append(unit)
    sums: dict[tuple[str, str], _Sums] = defaultdict(lambda: defaultdict(Decimal))
    for account, section, currency, day, net in cursor.execute(_SUMS, values):
        sums[account, section][currency, day] += net
    for stretch in own:
        name = (stretch.place.account, stretch.place.name)
        comparison.compare(stretch, lines[name], sums[name])
    return comparison.identity


def name_entries(cursor: psycopg.Cursor[Any], file_id: UUID) -> None:
    """Take those lines of a bank's file away that are here already, and number the others; before they are entered.

    Of a file that somebody accepted, what nothing says is new. Raises psycopg.Error.
    """
    [[sections]] = cursor.execute(_SECTIONS, {"file": file_id}).fetchall()
    if any(section["complete"] for section in sections):
        # It is compared by names alone, as a provider's is: no reader of a bank's files says so.
        return
    found = identify(cursor, file_id, sections)
    if found.numbers:
        firsts, lasts, numbers = (list(column) for column in zip(*found.numbers, strict=True))
        cursor.execute(_NUMBER, {"file": file_id, "firsts": firsts, "lasts": lasts, "numbers": numbers})
    if found.known:
        firsts, lasts = (list(column) for column in zip(*found.known, strict=True))
        cursor.execute(_DROP, {"file": file_id, "firsts": firsts, "lasts": lasts})
    if found.whole:
        cursor.execute(
            _DROP_WHOLE,
            {
                "file": file_id,
                "accounts": [place.account for place, _ in found.whole],
                "names": [place.name for place, _ in found.whole],
                "currencies": [currency for _, currency in found.whole],
            },
        )


class _Comparison:
    """What is known, and what of the file was compared with it so far, statement by statement."""

    def __init__(self, stretches: Iterable[Stretch]) -> None:
        self.stretches: dict[Place, Stretch] = {}
        self.accounts: defaultdict[str, Stretches] = defaultdict(Stretches)
        self.units: dict[tuple[str, str], list[_Known]] = defaultdict(list)
        self.sums: dict[Place, _Sums] = defaultdict(lambda: defaultdict(Decimal))
        """What each statement brought, by currency and day."""
        self.identity = Identity()
        for stretch in stretches:
            self._add(stretch)

    def compare(self, own: Stretch, units: Sequence[_Unit], sums: _Sums) -> None:
        others = self.accounts[own.place.account]
        self.identity.faults += gaps_between(own, others.neighbours(own))
        whole = {currency for currency in own.expected if others.is_known(own, currency)}
        self.identity.whole += [(own.place, currency) for currency in sorted(whole)]
        relations: dict[tuple[Place, str], Relation] = {}
        found: defaultdict[str, Decimal] = defaultdict(Decimal)
        new = defaultdict(Decimal, {each: net for each, net in sums.items() if each[0] not in whole})
        unclear: set[Place] = set()
        by_key: dict[str, list[_Unit]] = defaultdict(list)
        for unit in units:
            if unit.currency not in whole:
                by_key[unit.key].append(unit)
        for key, alike in by_key.items():
            currency = alike[0].currency
            here = self.units[own.place.account, key]
            same = []
            for known in here:
                pair = (known.place, currency)
                if pair not in relations:
                    other = self.stretches.get(known.place)
                    relations[pair] = Relation.SAME if other is None else relation(own, other, currency)
                is_same = relations[pair] is Relation.SAME or (
                    relations[pair] is Relation.NAMED and key.startswith(BY_REFERENCE)
                )
                if is_same:
                    same.append(known)
                elif relations[pair] is not Relation.APART:
                    unclear.add(known.place)
            taken, fresh = _divided(alike, same)
            for unit in taken:
                self.identity.known.append((unit.first, unit.last))
                found[currency] += unit.net
                new[currency, unit.day] -= unit.net
            used = max((known.number for known in here), default=0)
            for number, unit in enumerate(fresh, start=used + 1):
                self.identity.numbers.append((unit.first, unit.last, number))
                here.append(_Known(number, own.place, unit.text))
        self.identity.faults += [
            f"the statement {own.place.name} of {own.place.account} has entries that may be those of {place.name}: "
            "neither balances nor references say whether they came twice"
            for place in sorted(unclear)
        ]
        self._add_up(own, others, found, whole)
        self.sums[own.place] = new
        self._add(own)

    def _add(self, stretch: Stretch) -> None:
        self.stretches[stretch.place] = stretch
        self.accounts[stretch.place.account].add(stretch)

    def _add_up(self, own: Stretch, others: Stretches, found: defaultdict[str, Decimal], whole: set[str]) -> None:
        """What came before of the same days has to be in a statement that brings more of them."""
        if own.since is None or own.until is None:
            return
        since, until = own.since.isoformat(), own.until.isoformat()
        for currency, expected in own.expected.items():
            if currency in whole or found[currency] == expected:
                continue
            before = Decimal(0)
            for each in others.in_common(own, currency):
                before += sum(
                    (
                        net
                        for (own_currency, day), net in self.sums[each.place].items()
                        if own_currency == currency and since <= day <= until
                    ),
                    Decimal(0),
                )
            if before != found[currency]:
                self.identity.faults.append(
                    f"the statement {own.place.name} of {own.place.account} has {found[currency]} {currency} of the "
                    f"{before} {currency} that came before of the same days: they may be named otherwise"
                )


def _divided(units: Sequence[_Unit], same: Sequence[_Known]) -> tuple[list[_Unit], list[_Unit]]:
    """Those of equal entries that are known, those of the same text before others, and those that are new."""
    texts = Counter(known.text for known in same)
    taken, others = [], []
    for unit in units:
        if texts[unit.text] > 0:
            texts[unit.text] -= 1
            taken.append(unit)
        else:
            others.append(unit)
    left = len(same) - len(taken)
    return [*taken, *others[: max(left, 0)]], others[max(left, 0) :]


def _near(day: date, by: timedelta) -> str:
    try:
        return (day + by).isoformat()
    except OverflowError:
        return day.isoformat()
