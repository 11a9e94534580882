"""Payouts and what they are made of, from Stripe's API: by a restricted key that may read them, and nothing else.

Payouts are listed from where the last run came to, and 14 days before that: one may fail within five business days
after it was paid. What an automatic payout is made of is listed once Stripe says that it is whole
(``reconciliation_status``). Formats are those of docs.stripe.com/api/payouts and /api/balance_transactions, as of the
version that the SDK names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from checkout_service.providers.adapters.stripe.client import Calls
from checkout_service.providers.adapters.stripe.objects import optional_id_of
from checkout_service.providers.adapters.stripe.report_balance import balances
from checkout_service.providers.adapters.stripe.report_files import section_of
from checkout_service.providers.adapters.stripe.report_movements import line_of
from checkout_service.providers.adapters.stripe.report_pages import PAGE, Pages, readable
from checkout_service.providers.adapters.stripe.report_payouts import MOST_PAYOUTS, payout_of
from checkout_service.providers.adapters.stripe.report_places import Place, read_place
from checkout_service.providers.adapters.stripe.report_rows import Faults, Seen
from checkout_service.providers.fields import unix_moment_of
from checkout_service.providers.reports import FetchContext, Report, ReportLine, ReportPayout, UnreadableReportError
from checkout_service.settlement_words import EntryKind, PayoutStatus

LISTED_AGAIN: Final = timedelta(days=14)
"""Before where the last run came to."""

AT_FIRST: Final = timedelta(days=30)
"""How far back the first run goes, where nobody says another day."""

GIVEN_UP_AFTER: Final = timedelta(days=90)
"""After which a payout that never becomes whole, or never ends, no longer holds the place of the next run back."""

MOST_PAGES: Final = 20_000
"""Of one payout: two million lines. A list that is longer does not end, for all that we know."""

PAGES_A_RUN: Final = 10_000
"""After which a run begins no further payout: the next one goes on."""

_PAYOUTS: Final = "payouts"
_FORM: Final = "balance_transactions"


def fetch(context: FetchContext) -> Iterator[Report]:
    """What is new: a report for each payout with its lines, the oldest first, then one of the payouts alone.

    That one has how far each payout is, and ``cursor``. Where a payout is one that nobody can list, what came and went
    in the balance follows (``report_balance``), last, so that it holds nothing of the others up; a run from a day that
    an operator named leaves it to the next one. See ``checkout_service.providers.reports.FetchReports``.
    """
    key = context.account.option("reports_key") or ""
    live = True if "_live_" in key else False if "_test_" in key else None
    pages = Pages(Calls(key, context.account.option("reports_base")))
    place = None if context.cursor is None else read_place(context.cursor)
    known = None if place is None else datetime.fromtimestamp(place.payouts, UTC) - LISTED_AGAIN
    since = context.since or known or context.now - AT_FIRST
    listed = _payouts(pages, since, live)
    unread: list[_Listed] = []
    for one in reversed(listed):
        if not one.is_whole or context.is_entered(report_name(one.payout.payout_ref)):
            continue
        if pages.read >= PAGES_A_RUN:
            unread.append(one)
            continue
        yield _itemized(pages, one)
    next_place = Place(
        payouts=_next(listed, unread, context.now),
        point=place.point if place else None,
        windows=place.windows if place else (),
    )
    # A run from a later day than the place has not seen what is between.
    has_gap = known is not None and since > known
    yield _states(listed, cursor=None if has_gap else next_place.written())
    is_followed = next_place.point is not None or any(not one.payout.itemized for one in listed)
    if is_followed and (place is None or context.since is None):
        yield from balances(pages, context, next_place, live)


def report_name(payout_ref: str) -> str:
    """What the report with a payout's lines is called."""
    return f"{_FORM} {payout_ref}"


class _Listed(NamedTuple):
    """A payout of the list: ``is_whole`` where all that it is made of can be listed."""

    payout: ReportPayout
    created: datetime
    is_whole: bool
    own_refs: frozenset[str]


def _payouts(pages: Pages, since: datetime, live: bool | None) -> list[_Listed]:
    """The payouts since then, the newest first."""
    query = {"created": {"gte": int(since.timestamp())}, "expand": ["data.failure_balance_transaction"]}
    found: dict[str, _Listed] = {}
    for each in pages.objects(lambda stripe, sent: stripe.payouts.list(sent), query, MOST_PAYOUTS // PAGE):
        if live is not None and each.get("livemode") is not live:
            raise UnreadableReportError("a payout is of the other mode than the key")
        with readable():
            payout, created = payout_of(each, account=""), unix_moment_of(each.get("created"))
        if payout.payout_ref in found:
            raise UnreadableReportError("a payout is in Stripe's list twice")
        own = (each.get("balance_transaction"), each.get("failure_balance_transaction"))
        found[payout.payout_ref] = _Listed(
            payout=payout,
            created=created,
            is_whole=payout.itemized and each.get("reconciliation_status") == "completed",
            own_refs=frozenset(optional_id_of(ref) for ref in own if ref is not None),
        )
    return list(found.values())


def _next(listed: Sequence[_Listed], unread: Sequence[_Listed], now: datetime) -> int:
    """Where the next run begins, less what it lists again: the oldest payout that is not done, or this moment."""
    open_yet = [
        one.created
        for one in listed
        if now - one.created < GIVEN_UP_AFTER
        and (
            (one.payout.itemized and not one.is_whole)
            or one.payout.status in (PayoutStatus.PENDING, PayoutStatus.IN_TRANSIT)
        )
    ]
    return int(min([now, *open_yet, *(one.created for one in unread)]).timestamp())


def _states(listed: Sequence[_Listed], *, cursor: str | None) -> Report:
    """How far each payout is. Whatever is the same as before has the same hash."""
    payouts = sorted((one.payout for one in listed), key=lambda payout: payout.payout_ref)
    digest = hashlib.sha256(_PAYOUTS.encode())
    for payout in payouts:
        digest.update(_canonical(payout))
    return Report(form=_PAYOUTS, name=_PAYOUTS, lines=iter(()), payouts=payouts, sha256=digest.digest(), cursor=cursor)


def _canonical(payout: ReportPayout) -> bytes:
    return "\x1f".join(f"{name}={getattr(payout, name)}" for name in payout.__dataclass_fields__).encode() + b"\n"


def _itemized(pages: Pages, one: _Listed) -> Report:
    """A payout and what it is made of, which is listed while the lines are read."""
    ref = one.payout.payout_ref
    report = Report(form=_FORM, name=report_name(ref), lines=iter(()), payouts=[one.payout])
    report.sections.append(section_of("", ref))
    report.lines = _lines(pages, one, report)
    return report


def _lines(pages: Pages, one: _Listed, report: Report) -> Iterator[ReportLine]:
    ref = one.payout.payout_ref
    query = {"payout": ref, "expand": ["data.source"]}
    digest = hashlib.sha256(_FORM.encode() + b"\n" + _canonical(one.payout))
    seen, faults = Seen(), Faults(report)
    listed = pages.objects(lambda stripe, sent: stripe.balance_transactions.list(sent), query, MOST_PAGES)
    for number, found in enumerate(listed, 1):
        line = line_of(found, number, payout_ref=ref)
        seen.add(line.entry_ref, number)
        if line.net != line.gross - line.fee:
            faults.add(number, f"net {line.net} is not amount {line.gross} less fee {line.fee}")
        if _is_own(line, found, one):
            if line.kind is EntryKind.PAYOUT and line.gross != -one.payout.amount:
                faults.add(number, f"the payout's own line has {line.gross}, and the payout {one.payout.amount}")
            continue
        digest.update("\x1f".join(map(str, line[1:])).encode() + b"\n")
        yield line
    if next(seen.doubled(), None) is not None:
        raise UnreadableReportError(f"{ref}: a movement is in Stripe's list twice")
    faults.close()
    report.sha256 = digest.digest()


def _is_own(line: ReportLine, found: Mapping[str, Any], one: _Listed) -> bool:
    """Whether a line is the payout itself, going out or coming back: neither is what it is made of.

    Stripe lists the first among the lines (with the other sign, so that all add up to nothing).
    """
    if line.entry_ref in one.own_refs:
        return True
    own = (EntryKind.PAYOUT, EntryKind.PAYOUT_REVERSAL)
    return line.kind in own and optional_id_of(found.get("source")) == one.payout.payout_ref
