"""GET /ops/payouts: what providers paid out, what it is made of, and what of it needs a person.

Nothing is changed here: ``checkout settlements`` does, by a role of its own, and the pages show its commands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from flask import Response, request, url_for

from checkout_service.api.problems import MalformedBody, NotFound
from checkout_service.console.access import for_operators, operator
from checkout_service.console.filters import read_choice, read_place
from checkout_service.console.page import ConsoleBlueprint, address, listing
from checkout_service.console.settlement_filters import NAMES, read_payout_search
from checkout_service.cursors import read_cursor
from checkout_service.server.downloads import csv_answer
from checkout_service.settlement_words import EXCEPTIONS, MatchState, PayoutState, PayoutStatus
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
    return _with_entries(
        "payout.html",
        "console_settlements.show_payout_page",
        EntryFilters(payout_id=payout_id),
        {"payout_id": payout_id},
        payout=payout,
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
    kinds = [state.value for state in EXCEPTIONS]
    filters = read_choice(request.args, "kind", kinds)
    before = read_place(request.args, read_cursor, filters.faults).before
    counts = open_counts()
    # Where none is chosen, the first kind of which there are some; a fee of no payment keeps nothing from being done.
    kind = filters.chosen or next((each for each in kinds if counts.by_kind[each]), kinds[0])
    found = Found((), None)
    if not filters.faults:
        found = open_exceptions(MatchState(kind), limit=PAGE, cursor=before)
    place = "console_settlements.show_exceptions"
    return listing(
        "exceptions.html",
        faults=filters.faults,
        filters=filters,
        kinds=[(each, counts.by_kind[each]) for each in kinds],
        kind=kind,
        remedies=REMEDIES,
        held_remedy=REMEDIES[HELD],
        exceptions=[_shown(row) for row in found.rows],
        held=held_files(),
        most=COUNTED,
        older=address(place, {"kind": kind}, before=found.next_cursor) if found.next_cursor else None,
        first=address(place, {"kind": kind}) if before else None,
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
        entries=[show_entry(row) for row in found.rows],
        older=older,
        first=url_for(endpoint, **place) if before else None,
        **values,
    )


def _shown(row: OpenException) -> dict[str, Any]:
    """An exception with its amounts as texts: what is there, and what we have."""
    there = None if row.net is None else show_exactly(row.net, row.entry_currency or "")
    here = None if row.amount_here is None else show_exactly(row.amount_here, row.currency_here or "")
    return row._asdict() | {"there": there, "here": here}


def _sums(payouts: Iterable[Mapping[str, Any]]) -> list[tuple[str, int, Decimal, Decimal]]:
    """Of payouts that are shown: by currency how many, their amounts, and their fees."""
    sums: dict[str, list[Any]] = defaultdict(lambda: [0, Decimal(0), Decimal(0)])
    for payout in payouts:
        sums[payout["currency"]][0] += 1
        sums[payout["currency"]][1] += Decimal(payout["amount"])
        sums[payout["currency"]][2] += Decimal(payout["fee"])
    return [(currency, *sums[currency]) for currency in sorted(sums)]
