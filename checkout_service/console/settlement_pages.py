"""GET /ops/payouts: what providers paid out, what it is made of, and what of it needs a person.

Nothing is changed here: ``checkout settlements`` does, by a role of its own, and the pages show its commands.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from flask import Response, request, url_for

from checkout_service.api.problems import MalformedBody, NotFound
from checkout_service.console.access import for_operators, operator
from checkout_service.console.filters import read_place
from checkout_service.console.page import ConsoleBlueprint, address, listing
from checkout_service.console.settlement_filters import NAMES, read_exception_search, read_payout_search
from checkout_service.cursors import read_cursor
from checkout_service.server.downloads import csv_answer
from checkout_service.settlement_words import EXCEPTIONS, EntryKind, PayoutState, PayoutStatus
from checkout_service.settlements.amounts import show_exactly
from checkout_service.settlements.entry_queries import EntryFilters, entries_walk, show_entry
from checkout_service.settlements.exception_queries import (
    COUNTED,
    OpenException,
    exceptions_of_payout,
    held_files,
    open_counts,
    open_exceptions,
)
from checkout_service.settlements.export import payout_pages
from checkout_service.settlements.queries import payout_of, payouts_walk, show_payout
from checkout_service.settlements.remedies import HELD, REMEDIES
from checkout_service.settlements.walking import LOOKED_THROUGH, MOST_LOOKS, Found, find

blueprint = ConsoleBlueprint("console_settlements", __name__)

PAGE: Final = 50

_MADE: Final = re.compile(r"[0-9a-f]{32}:[0-9]+")
"""The name of a line that has none: a digest, and which of equal lines it is."""


@blueprint.get("/payouts")
@for_operators
def show_payouts() -> tuple[str, int]:
    """Payouts, newest first."""
    search = read_payout_search(request.args)
    before = read_place(request.args, read_cursor, search.faults).before
    found = Found((), None)
    if not search.faults:
        found = find(*payouts_walk(search.filters), limit=PAGE, cursor=before)
    shown = [show_payout(row) for row in found.rows]
    place = "console_settlements.show_payouts"
    return listing(
        "payouts.html",
        faults=search.faults,
        filters=search,
        payouts=shown,
        sums=_sums(shown),
        states=[state.value for state in PayoutState],
        statuses=[status.value for status in PayoutStatus],
        looked_through=LOOKED_THROUGH * MOST_LOOKS,
        older=address(place, search.given, before=found.next_cursor) if found.next_cursor else None,
        first=address(place, search.given) if before else None,
        csv=address("console_settlements.export_payouts", search.given),
    )


@blueprint.get("/payouts.csv")
@for_operators
def export_payouts() -> Response:
    """The payouts that the filters let through, as the API's file."""
    search = read_payout_search(request.args)
    if search.faults or request.args.keys() - NAMES:
        # All payouts are not what was looked for.
        raise MalformedBody("A filter cannot be read, so there is no file: go back and mend it.")
    return csv_answer(payout_pages(search.filters), name="payouts.csv", caller=operator().name)


@blueprint.get("/payouts/<uuid:payout_id>")
@for_operators
def show_payout_page(payout_id: UUID) -> tuple[str, int]:
    """One payout: its sum, what it is made of, what needs a person, and what the bank shows."""
    payout = payout_of(payout_id)
    if payout is None:
        raise NotFound(f"There is no payout {payout_id}.")
    # An account that is listed as a whole has a line of the payout itself, which is no part of what it is made of.
    own = [each for each in payout["sums"] or () if each["kind"] == EntryKind.PAYOUT]
    return _with_entries(
        "payout.html",
        "console_settlements.show_payout_page",
        EntryFilters(payout_id=payout_id),
        {"payout_id": payout_id},
        payout=payout,
        parts=[each for each in payout["sums"] or () if each not in own],
        own=own,
        exceptions=exceptions_of_payout(payout_id),
        remedies=REMEDIES,
    )


@blueprint.get("/payments/<uuid:payment_id>/settled")
@for_operators
def show_settled(payment_id: UUID) -> tuple[str, int]:
    """The entries that are matched with something of a payment."""
    return _with_entries(
        "settled.html",
        "console_settlements.show_settled",
        EntryFilters(payment_id=payment_id),
        {"payment_id": payment_id},
        payment_id=payment_id,
    )


@blueprint.get("/exceptions")
@for_operators
def show_exceptions() -> tuple[str, int]:
    """What needs a person, a kind at a time, and the files that are held."""
    search = read_exception_search(request.args)
    before = read_place(request.args, read_cursor, search.faults).before
    counts = open_counts()
    # Where none is chosen, the first kind of which there are some; a fee of no payment keeps nothing from being done.
    kind = search.kind or next((each for each in EXCEPTIONS if counts.by_kind[each]), EXCEPTIONS[0])
    found = Found((), None)
    if not search.faults:
        found = open_exceptions(kind, provider=search.provider, payout_id=search.payout_id, limit=PAGE, cursor=before)
    place, given = "console_settlements.show_exceptions", search.given | {"kind": kind.value}
    return listing(
        "exceptions.html",
        faults=search.faults,
        filters=search,
        kinds=[(each.value, counts.by_kind[each]) for each in EXCEPTIONS],
        kind=kind.value,
        remedies=REMEDIES,
        held_remedy=REMEDIES[HELD],
        exceptions=[_shown(row) for row in found.rows],
        held=held_files(),
        most=COUNTED,
        looked_through=LOOKED_THROUGH * MOST_LOOKS,
        older=address(place, given, before=found.next_cursor) if found.next_cursor else None,
        first=address(place, given) if before else None,
    )


def _with_entries(
    template: str, endpoint: str, filters: EntryFilters, place: Mapping[str, Any], **values: Any
) -> tuple[str, int]:
    """A page with the entries that these filters let through, and the ways to further ones."""
    faults: dict[str, str] = {}
    before = read_place(request.args, read_cursor, faults).before
    found = Found((), None) if faults else find(*entries_walk(filters), limit=PAGE, cursor=before)
    older = url_for(endpoint, **place, before=found.next_cursor) if found.next_cursor else None
    return listing(
        template,
        faults=faults,
        fault=next(iter(faults.values()), None),
        entries=[_line(show_entry(row)) for row in found.rows],
        older=older,
        first=url_for(endpoint, **place) if before else None,
        **values,
    )


def _line(entry: dict[str, Any]) -> dict[str, Any]:
    of = ("subject_reference", "payment_reference", "merchant_reference", "reference")
    return entry | {"names": _names(*(entry[name] for name in of))}


def _names(*names: str | None) -> list[str]:
    """What something is called at the provider, each name once. Nobody there knows one that was made of a row."""
    given = [name for name in dict.fromkeys(names) if name]
    return [name for name in given if not _MADE.fullmatch(name)] or given


def _shown(row: OpenException) -> dict[str, Any]:
    """An exception with its amounts as texts: what is there, and what we have. With its names at the provider."""
    there = None if row.amount is None else show_exactly(row.amount, row.currency or "")
    here = None if row.amount_here is None else show_exactly(row.amount_here, row.currency_here or "")
    names = _names(row.subject_ref, row.payment_ref, row.merchant_ref, row.entry_ref)
    return row._asdict() | {"there": there, "here": here, "names": names}


def _sums(payouts: Iterable[Mapping[str, Any]]) -> list[tuple[str, int, str, str, str]]:
    """Of payouts that are shown: by currency how many, their amounts, those of what is paid, and their fees."""
    numbers: dict[str, int] = defaultdict(int)
    sums: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for payout in payouts:
        amount, of = Decimal(payout["amount"]), sums[payout["currency"]]
        numbers[payout["currency"]] += 1
        of[0] += amount
        of[1] += amount if payout["status"] == PayoutStatus.PAID else 0
        of[2] += Decimal(payout["fee"])
    shown = []
    for currency, (amount, paid, fee) in sorted(sums.items()):
        texts = (show_exactly(amount, currency), show_exactly(paid, currency), show_exactly(fee, currency))
        shown.append((currency, numbers[currency], *texts))
    return shown
