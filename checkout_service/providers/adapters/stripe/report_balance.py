"""Stripe's balance as a whole, where payouts are made of what nobody lists: by hand, or at once.

The balance that payments go to is ``available`` and ``pending`` together (docs.stripe.com/api/balance), and each
movement of it is a balance transaction whose ``balance_type`` is ``payments``. So what came and went between two
moments adds up to the difference of the two balances, the payouts' own lines included. Other balances of an account
(issuing, prefunded refunds, what is reserved for risks) are others: their movements are left out.

A balance is only ever that of now. What it was at a moment before is that, less the movements since; and those are
listed, with the balance, until two times in a row nothing moved between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any, Final

from checkout_service.providers.adapters.stripe.objects import optional_id_of
from checkout_service.providers.adapters.stripe.report_amounts import currency_in
from checkout_service.providers.adapters.stripe.report_movements import line_of
from checkout_service.providers.adapters.stripe.report_pages import Pages, readable
from checkout_service.providers.adapters.stripe.report_payouts import minor_amount
from checkout_service.providers.adapters.stripe.report_places import Place, Point, Totals, Window
from checkout_service.providers.adapters.stripe.report_rows import Faults, Seen
from checkout_service.providers.base import ProviderUnavailableError
from checkout_service.providers.fields import items, text
from checkout_service.providers.reports import (
    FetchContext,
    Report,
    ReportLine,
    ReportSection,
    UnreadableReportError,
)
from checkout_service.settlement_words import EntryKind

RULE: Final = "what came and went, payouts too, is the difference of the balance before and after"

SETTLED: Final = 60
"""Seconds after which no movement of a time is added any more: Stripe's clock and ours may differ by as much."""

TRIES: Final = 6
"""How often the balance is read before it is said that it does not rest."""

MOST_WINDOWS: Final = 10
"""That are listed again, the newest. An older one that does not prove itself waits for a person."""

MOST_PAGES: Final = 20_000
"""Of one window: two million lines."""

_FORM: Final = "balance"
_PAYMENTS: Final = "payments"


def balances(pages: Pages, context: FetchContext, place: Place, live: bool | None) -> Iterator[Report]:
    """A report of what came and went since the point of ``place``, or one of the first point alone.

    Windows of before that were not entered are listed again before it: the same answers are the same report, which
    changes nothing. Raises ProviderUnavailableError where the balance did not rest.
    """
    again = [window for window in place.windows if not context.is_entered(window.name)][-MOST_WINDOWS:]
    for window in again:
        report = _window(pages, window)
        if report is not None:
            yield report
    until = int(context.now.timestamp()) - SETTLED
    if place.point is not None and until <= place.point.at:
        return
    point = Point(at=until, totals=_totals_at(pages, until, live))
    if place.point is None:
        yield _first(point, cursor=replace(place, point=point).written())
        return
    before, after = place.point.totals, point.totals
    window = Window(
        since=place.point.at,
        until=until,
        expected={
            currency: after.get(currency, Decimal(0)) - before.get(currency, Decimal(0))
            for currency in sorted({*before, *after})
        },
    )
    report = _window(pages, window)
    if report is not None:
        # How it proves itself is known once it was entered, and whether it was, to the next run.
        report.cursor = replace(place, point=point, windows=(*again, window)[-MOST_WINDOWS:]).written()
        yield report


def moves_payments(found: Mapping[str, Any]) -> bool:
    """Whether a movement is one of the balance that payments go to; versions of before 2024 have no other."""
    return found.get("balance_type") in (None, _PAYMENTS)


def _totals_at(pages: Pages, second: int, live: bool | None) -> Totals:
    """What the balance held before that second began."""
    before = None
    for _ in range(TRIES):
        moved, totals = _moved(pages, second), _totals(pages, live)
        if before == (moved, totals):
            sums = dict(totals)
            for currency, net in moved.values():
                sums[currency] = sums.get(currency, Decimal(0)) - net
            return sums
        before = (moved, totals)
    raise ProviderUnavailableError(f"Stripe's balance moved each of the {TRIES} times that it was read")


def _moved(pages: Pages, since: int) -> dict[str, tuple[str, Decimal]]:
    """The movements from that second on: currency and net by id."""
    query = {"created": {"gte": since}}
    found: dict[str, tuple[str, Decimal]] = {}
    for each in pages.objects(lambda stripe, sent: stripe.balance_transactions.list(sent), query, MOST_PAGES):
        if moves_payments(each):
            with readable():
                currency = _currency(each)
                found[text(each, "id")] = currency, minor_amount(each, "net", currency)
    return found


def _totals(pages: Pages, live: bool | None) -> Totals:
    """What is available and pending, together, by currency."""
    balance = pages.one(lambda stripe: stripe.balance.retrieve())
    if balance.get("object") != "balance":
        raise UnreadableReportError("Stripe's balance is none")
    if live is not None and balance.get("livemode") is not live:
        raise UnreadableReportError("the balance is of the other mode than the key")
    totals: dict[str, Decimal] = {}
    with readable():
        for each in (*items(balance, "available"), *items(balance, "pending")):
            currency = _currency(each)
            totals[currency] = totals.get(currency, Decimal(0)) + minor_amount(each, "amount", currency)
    return totals


def _currency(found: Mapping[str, Any]) -> str:
    currency = currency_in(text(found, "currency"))
    if currency is None:
        raise UnreadableReportError("a currency of the balance is not three characters")
    return currency.code


def _first(point: Point, *, cursor: str) -> Report:
    """The point that the first window begins at. Nothing is entered by it."""
    digest = hashlib.sha256(f"{_FORM}\n{cursor}".encode()).digest()
    return Report(form=_FORM, name=f"{_FORM} from {point.at}", lines=iter(()), sha256=digest, cursor=cursor)


def _window(pages: Pages, window: Window) -> Report | None:
    """The lines of a window, listed while they are read; None where there is none, and none was to be expected."""
    query = {"created": {"gte": window.since, "lt": window.until}, "expand": ["data.source"]}
    listed = pages.objects(lambda stripe, sent: stripe.balance_transactions.list(sent), query, MOST_PAGES)
    payments = filter(moves_payments, listed)
    first = next(payments, None)
    if first is None and not any(window.expected.values()):
        return None
    # A currency that came and went has nothing in either balance.
    expected = dict(window.expected)
    report = Report(form=_FORM, name=window.name, lines=iter(()))
    report.sections.append(ReportSection(account="", name=window.name, rule=RULE, expected=expected))
    report.lines = _lines(chain([] if first is None else [first], payments), window, report, expected)
    return report


def _lines(
    listed: Iterator[dict[str, Any]], window: Window, report: Report, expected: dict[str, Decimal]
) -> Iterator[ReportLine]:
    amounts = sorted((currency, format(amount, "f")) for currency, amount in expected.items())
    digest = hashlib.sha256(f"{_FORM}\n{window.name}\n{amounts}\n".encode())
    seen, faults = Seen(), Faults(report)
    for number, found in enumerate(listed, 1):
        line = line_of(found, number, payout_ref=window.name)
        # A payout's own line is the payout. What came back is part of what a later one pays out.
        own = optional_id_of(found.get("source")) if line.kind is EntryKind.PAYOUT else ""
        line = line._replace(payout_ref=own)
        seen.add(line.entry_ref, number)
        if line.net != line.gross - line.fee:
            faults.add(number, f"net {line.net} is not amount {line.gross} less fee {line.fee}")
        if not _is_within(line.occurred_at, window):
            raise UnreadableReportError(f"{window.name}: movement {number} is of another time")
        expected.setdefault(line.currency, Decimal(0))
        digest.update("\x1f".join(map(str, line[1:])).encode() + b"\n")
        yield line
    if next(seen.doubled(), None) is not None:
        raise UnreadableReportError(f"{window.name}: a movement is in Stripe's list twice")
    faults.close()
    report.sha256 = digest.digest()


def _is_within(moment: datetime, window: Window) -> bool:
    return window.since <= moment.timestamp() < window.until
