"""Says which payouts a bank's entries brought, by what they name, or by their amounts where they name nothing.

A reference in the text, with currency and amount, is sure. An amount alone is proposed to a person. What is decided
does not depend on the order in which entries and payouts came: what a new one may change is decided anew, from all
that is known, and only what differs is written. What a person decided stays, and counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from checkout_service.settlement_words import MatchState
from checkout_service.settlements import bank_queries as queries
from checkout_service.settlements.bank_references import Link, find_entries_naming, find_links

PIECE: Final = 20_000
"""Entries for which payouts of their amount are looked for at a time: a row of each is in memory meanwhile."""


class _Row(NamedTuple):
    """A match that has to be there."""

    entry_id: UUID
    payout_id: UUID | None
    state: str
    amount: Decimal | None
    currency: str
    payout_amount: Decimal | None
    payout_currency: str | None
    differs: Sequence[str]
    detail: str


@dataclass(slots=True)
class _Scope:
    """What is decided anew: entries, with what their texts name, and the payouts that are added up again."""

    entries: set[UUID] = field(default_factory=set)
    payouts: set[UUID] = field(default_factory=set)
    links: list[Link] = field(default_factory=list)


def match_bank_entries(
    connection: psycopg.Connection[Any],
    *,
    file_id: UUID | None = None,
    payout_ids: Collection[UUID] | None = None,
) -> None:
    """Decide again what the entries of a bank's file brought, or what brought these payouts, which are new or changed.

    It is called in the transaction of entry, after entries and payouts were written, while nobody else changes settled
    money. Writes matches and ``payouts.amount_at_bank``: the sum of what was matched with each, in its currency,
    none where nothing was. Raises psycopg.Error.
    """
    scope = _Scope(payouts=set(payout_ids or ()))
    if file_id is not None:
        found = connection.execute(queries.OF_FILE, {"file": file_id}).fetchall()
        scope.payouts |= _ids(connection, queries.PAYOUTS_OF, entries=[entry for entry, _ in found])
        for statement in (queries.UNDO_WITHDRAWN, queries.OPEN_WITHDRAWN, queries.CLOSE_WITHDRAWN):
            connection.execute(statement, {"file": file_id}, prepare=False)
        _widen(connection, scope, {entry for entry, is_current in found if is_current}, are_given=True)
    _widen(connection, scope, _entries_of(connection, scope.payouts), are_given=False)
    if not (scope.entries or scope.payouts):
        return
    connection.execute(queries.LOCK, {"payouts": list(scope.payouts)})
    decided = _ids(connection, queries.DECIDED, entries=list(scope.entries))
    certain = [link for link in scope.links if link.is_certain and link.entry_id not in decided]
    linked = {link.entry_id for link in certain}
    _write(
        connection,
        _rows(
            connection,
            queries.BY_REFERENCE,
            entries=[link.entry_id for link in certain],
            payouts=[link.payout_id for link in certain],
        ),
        linked,
        of=tuple(MatchState),
        others=scope.entries - linked - decided,
    )
    connection.execute(queries.ADD_UP, {"payouts": list(scope.payouts)})
    _propose(connection, scope, decided, linked)


def _widen(connection: psycopg.Connection[Any], scope: _Scope, entries: set[UUID], *, are_given: bool) -> None:
    """Takes entries into the scope, with all that is tied to them by names, one after the other, until nothing is new.

    Of those that are not given, and only may name a payout of the scope, those are taken that do.
    """
    while entries := entries - scope.entries:
        links = find_links(connection, entries)
        before = _pairs(connection, entries)
        if not are_given:
            tied = {link.entry_id for link in links if link.payout_id in scope.payouts}
            tied |= {entry for entry, payout in before if payout in scope.payouts}
            entries &= tied
        scope.entries |= entries
        scope.links += [link for link in links if link.entry_id in entries]
        payouts = {link.payout_id for link in links if link.entry_id in entries}
        payouts |= {payout for entry, payout in before if entry in entries}
        new = payouts - scope.payouts
        scope.payouts |= new
        if not new:
            return
        entries, are_given = _entries_of(connection, new), False


def _entries_of(connection: psycopg.Connection[Any], payouts: Collection[UUID]) -> set[UUID]:
    if not payouts:
        return set()
    return find_entries_naming(connection, payouts) | _ids(connection, queries.ENTRIES_OF, payouts=list(payouts))


def _pairs(connection: psycopg.Connection[Any], entries: Collection[UUID]) -> list[tuple[UUID, UUID]]:
    return connection.execute(queries.PAIRS, {"entries": list(entries)}, prepare=False).fetchall()


def _propose(connection: psycopg.Connection[Any], scope: _Scope, decided: set[UUID], linked: set[UUID]) -> None:
    """What no text names for sure: by amounts, of those payouts that the bank has not shown yet."""
    near = _ids(connection, queries.OF_AMOUNT, payouts=list(scope.payouts)) - scope.entries
    near -= _ids(connection, queries.DECIDED, entries=list(near))
    links = [*scope.links, *find_links(connection, near)]
    linked = linked | {link.entry_id for link in links if link.is_certain}
    named: dict[UUID, int] = {}
    for link in links:
        named[link.entry_id] = named.get(link.entry_id, 0) + 1
    free = (scope.entries | near) - decided - linked
    # What comes of one entry here does not depend on another: payouts were added up before.
    every = list(free)
    for start in range(0, len(every), PIECE):
        entries = every[start : start + PIECE]
        rows = _rows(connection, queries.BY_AMOUNT, entries=entries, named=list(named), counts=list(named.values()))
        _write(connection, rows, entries, of=(MatchState.PROPOSED, MatchState.NOT_OURS))


def _ids(connection: psycopg.Connection[Any], query: str, **known: list[UUID]) -> set[UUID]:
    return {found for (found,) in connection.execute(query, known, prepare=False)}


def _rows(connection: psycopg.Connection[Any], query: str, **known: Any) -> list[_Row]:
    return [_Row(*row) for row in connection.execute(query, known, prepare=False)]


def _write(
    connection: psycopg.Connection[Any],
    rows: Sequence[_Row],
    scope: Iterable[UUID],
    *,
    of: Iterable[MatchState],
    others: Iterable[UUID] = (),
) -> None:
    """Ends the matches of these entries that are of these states and not among the rows, and makes those that lack.

    Of ``others`` those end that a reference made.
    """
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in _Row._fields]
    values = dict(
        zip(
            ("entries", "payouts", "states", "amounts", "currencies", "payout_amounts", "payout_currencies"),
            columns,
            strict=False,
        )
    )
    values["differs"] = [",".join(row.differs) for row in rows]
    values["details"] = [row.detail for row in rows]
    connection.execute(queries.UNDO, {**values, "scope": list(scope), "of": list(of)}, prepare=False)
    if others := list(others):
        by_reference = [MatchState.MATCHED, MatchState.DIFFERS]
        connection.execute(queries.UNDO, {**values, "scope": others, "of": by_reference}, prepare=False)
    connection.execute(queries.MAKE, values, prepare=False)
