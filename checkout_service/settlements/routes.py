"""/api/admin/payouts and /api/admin/balance-entries: what providers paid out and what it is made of, also as CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from flask import Response, url_for

from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import InsufficientScope, caller, scoped
from checkout_service.api.compressing import compressed
from checkout_service.api.links import leads_to
from checkout_service.api.problems import Invalid, NotFound, TooManyAtOnce
from checkout_service.api.responses import json_answer, show_time
from checkout_service.api.scopes import Scope
from checkout_service.cursors import BadCursorError
from checkout_service.server.downloads import ExportTooLarge, NoRoomForExport, csv_answer, csv_stream
from checkout_service.settlement_words import EntryKind, MatchState, PayoutState, PayoutStatus
from checkout_service.settlements import examples
from checkout_service.settlements.entry_queries import EntryFilters, entries_walk, show_entry
from checkout_service.settlements.exception_queries import exceptions_of_payout
from checkout_service.settlements.export import entry_pages, payout_pages
from checkout_service.settlements.queries import PayoutFilters, payout_of, payouts_walk, show_payout
from checkout_service.settlements.schemas import (
    EntriesQuery,
    EntryFiltersQuery,
    EntryPageSchema,
    PayoutFiltersQuery,
    PayoutPageSchema,
    PayoutsQuery,
    WholePayoutSchema,
)
from checkout_service.settlements.walking import Walk, find

HEADERS: Final = {"Cache-Control": "private, no-cache"}

blueprint = Blueprint(
    "settlements",
    __name__,
    url_prefix="/api/admin",
    tag="Settled money",
    description="What providers paid out, what that is made of, and what of ours it is matched with.",
)


@blueprint.get("/payouts")
@blueprint.doc(operationId="listPayouts")
@leads_to("getPayout", payout_id="/data/0/id")
@scoped(Scope.PAYOUTS_READ)
@blueprint.arguments(PayoutsQuery, location="query")
@blueprint.response(200, PayoutPageSchema, example=examples.PAYOUTS)
@blueprint.problems(Invalid, InsufficientScope)
@compressed
def list_payouts(query: dict[str, Any]) -> Response:
    """List payouts

    Takes the scope `payouts:read`. Those that all filters let through, the newest first by when they were entered
    here, in keyset pages: pass next_cursor as cursor to go on, with the same filters. A page looks through 20,000
    payouts at most, so it may hold fewer than limit while has_more says that there may be others.
    """
    return _page("settlements.list_payouts", query, *payouts_walk(_payout_filters(query)), show_payout)


@blueprint.get("/payouts/<uuid:payout_id>")
@blueprint.doc(operationId="getPayout")
@leads_to("adminGetPayment", payment_id="/open_exceptions/0/payment_id")
@scoped(Scope.PAYOUTS_READ)
@blueprint.response(200, WholePayoutSchema, example=examples.WHOLE_PAYOUT)
@blueprint.problems(NotFound, InsufficientScope)
@compressed
def read_payout(payout_id: UUID) -> Response:
    """Read a payout

    Takes the scope `payouts:read`. The payout with its sums by kind, what of it needs a person, the bank's entries
    that brought it, and the files that told of it.
    """
    found = payout_of(payout_id)
    if found is None:
        raise NotFound("There is no such payout.")
    return json_answer(found | {"open_exceptions": exceptions_of_payout(payout_id)}, headers=HEADERS)


@blueprint.get("/payouts.csv")
@blueprint.doc(operationId="exportPayouts")
@scoped(Scope.PAYOUTS_READ)
@blueprint.arguments(PayoutFiltersQuery, location="query")
@blueprint.response(
    200,
    {"type": "string"},
    content_type="text/csv",
    example="id,provider,account,reference,amount,…\r\n",
    description="One row a payout, after a header row",
)
@blueprint.problems(Invalid, InsufficientScope, ExportTooLarge, NoRoomForExport, TooManyAtOnce)
def export_payouts(query: dict[str, Any]) -> Response:
    """Export payouts as CSV

    Takes the scope `payouts:read`. The payouts that the filters let through, with the members of the list as
    columns: RFC 4180 in UTF-8, times in UTC, amounts with one decimal point. A cell that a spreadsheet would take for
    a formula begins with an apostrophe, but for amounts. The file is complete: its length is told before its first
    byte.
    """
    return csv_answer(payout_pages(_payout_filters(query)), name="payouts.csv", caller=caller().user_id)


@blueprint.get("/balance-entries")
@blueprint.doc(operationId="listBalanceEntries")
@leads_to("getPayout", payout_id="/data/0/payout_id")
@scoped(Scope.PAYOUTS_READ)
@blueprint.arguments(EntriesQuery, location="query")
@blueprint.response(200, EntryPageSchema, example=examples.ENTRIES)
@blueprint.problems(Invalid, InsufficientScope)
@compressed
def list_balance_entries(query: dict[str, Any]) -> Response:
    """List balance entries

    Takes the scope `payouts:read`. Movements of money that all filters let through, in keyset pages: pass
    next_cursor as cursor to go on, with the same filters. The newest first by `occurred_at`; with payout_id by when
    they were entered, and with a match_state that needs a person by when that was found. A page looks through 20,000
    entries at most, so it may hold fewer than limit while has_more says that there may be others.
    """
    return _page("settlements.list_balance_entries", query, *entries_walk(_entry_filters(query)), show_entry)


@blueprint.get("/balance-entries.csv")
@blueprint.doc(operationId="exportBalanceEntries")
@scoped(Scope.PAYOUTS_READ)
@blueprint.arguments(EntryFiltersQuery, location="query")
@blueprint.response(
    200,
    {"type": "string"},
    content_type="text/csv",
    example="id,provider,account,reference,kind,…\r\n",
    description="One row an entry, after a header row and before a last row that says how many they are",
)
@blueprint.problems(Invalid, InsufficientScope, TooManyAtOnce)
def export_balance_entries(query: dict[str, Any]) -> Response:
    """Export balance entries as CSV

    Takes the scope `payouts:read`. The entries that the filters let through, however many, in the form of the payouts'
    file: `match_states` has those of matches that nobody has settled, `resolved_states` those that a person has, and
    `payment_ids` those of all, with commas between. It is sent while it is read, so its length is not told before. Its
    last row has `end` in place of an id and then the number of rows before it: a file without that row is not whole,
    and is to be asked for again. A caller reads one at a time; who takes less than 1 MiB of it in 30 seconds is cut
    off.
    """
    return csv_stream(entry_pages(_entry_filters(query)), name="balance-entries.csv", caller=caller().user_id)


def _payout_filters(query: Mapping[str, Any]) -> PayoutFilters:
    names = ("provider", "currency", "arrival_since", "arrival_until", "reference")
    return PayoutFilters(
        state=_word(PayoutState, query["state"]),
        status=_word(PayoutStatus, query["status"]),
        **{name: query[name] for name in names},
    )


def _entry_filters(query: Mapping[str, Any]) -> EntryFilters:
    names = ("payout_id", "payment_id", "provider", "currency", "occurred_since", "occurred_until")
    return EntryFilters(
        kind=_word(EntryKind, query["kind"]),
        match_state=_word(MatchState, query["match_state"]),
        withdrawn=query["withdrawn"] == "true",
        **{name: query[name] for name in names},
    )


def _word(words: Callable[[str], Any], text: str | None) -> Any:
    return None if text is None else words(text)


def _page(
    endpoint: str, query: Mapping[str, Any], walk: Walk, values: Mapping[str, Any], show: Callable[[Any], Any]
) -> Response:
    try:
        found = find(walk, values, limit=query["limit"], cursor=query["cursor"])
    except BadCursorError as error:
        raise Invalid(errors=[{"pointer": "/cursor", "detail": "Not a cursor of this list."}]) from error
    headers = dict(HEADERS)
    if found.next_cursor:
        moments = {
            name: None if query.get(name) is None else show_time(query[name])
            for name in ("occurred_since", "occurred_until")
        }
        following = url_for(endpoint, **{**query, **moments, "cursor": found.next_cursor})
        headers["Link"] = f'<{following}>; rel="next"'
    shown = [show(row) for row in found.rows]
    answer = {"data": shown, "next_cursor": found.next_cursor, "has_more": found.next_cursor is not None}
    return json_answer(answer, headers=headers)
