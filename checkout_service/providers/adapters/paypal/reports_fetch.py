"""Fetches an account's movements by PayPal's transaction search, a window at a time.

PayPal searches by the date of a movement's last update, both ends included, and shows a movement up to three hours
late. So the next fetch begins hours before the end of what was loaded, and a window may show again what an earlier one
had, with another status: a movement has the same name each time, and nothing that a window lacks is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from checkout_service.providers.adapters.paypal.reports_balances import Balances
from checkout_service.providers.adapters.paypal.reports_lines import (
    DECIMALS,
    ZERO,
    UnlikeError,
    Withdrawals,
    line_of,
    payout_of,
    reference,
)
from checkout_service.providers.adapters.paypal.reports_search import (
    NotLoadedError,
    Search,
    TooManyRowsError,
    Window,
    moment_text,
)
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import moment_of, nested, text
from checkout_service.providers.reports import (
    FetchContext,
    NotFetched,
    Report,
    ReportLine,
    ReportSection,
    UnreadableReportError,
)
from checkout_service.settlement_words import EntryKind, PayoutStatus

LONGEST: Final = timedelta(days=31) - timedelta(seconds=1)
"""PayPal takes 31 days, both ends included."""

SHORTEST: Final = timedelta(minutes=1)
"""A window that has too many rows is halved down to this."""

LATE: Final = timedelta(hours=3)
"""So late a movement may be shown; less than this before now nothing is asked for."""

OVERLAP: Final = timedelta(hours=6)
"""The next fetch begins so long before the end of what PayPal had loaded."""

FIRST: Final = timedelta(days=31)
"""A first fetch reaches so far back, where nobody says since when."""

KEPT: Final = timedelta(days=3 * 365)
"""PayPal has no older movements in its search."""

_NOT_LOADED: Final = timedelta(days=4)
"""A window that ends before that and is refused is refused for another reason."""

_STEP: Final = timedelta(hours=6)

_MONEY: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?", re.ASCII)

_MOVED: Final = frozenset({"S", "V"})
"""Statuses of what moved the balance: succeeded, and succeeded before it was reversed, which is a movement too."""

_WITHDRAWALS: Final = {
    "S": PayoutStatus.PAID,
    "P": PayoutStatus.PENDING,
    "V": PayoutStatus.FAILED,
    "D": PayoutStatus.FAILED,
    "F": PayoutStatus.FAILED,
}
"""What the status of a transaction is of a withdrawal. All of PayPal's statuses are here."""


def fetch_transactions(context: FetchContext) -> Iterator[Report | NotFetched]:
    """A Report a window, from ``since`` or the cursor (RFC 3339) on until what PayPal has loaded.

    Raises the errors of a call, and UnreadableReportError.
    """
    try:
        search = Search(context.account)
        begin = _begin(context)
        while begin < context.now - LATE:
            window = _window(search, begin, min(begin + LONGEST, context.now - LATE), context.now)
            if window is None:
                return
            yield _read(window, context.now)
            # Both ends of a window are in it, so one that begins where the last one ended leaves out nothing.
            begin = window.end
    except (UnlikeError, UnreadableError) as error:
        raise UnreadableReportError(str(error)) from error


def _read(window: Window, now: datetime) -> Report | NotFetched:
    try:
        return _report(window, now)
    except (UnlikeError, UnreadableError) as error:
        return NotFetched(name=_name(window), error=UnreadableReportError(str(error)))


def _name(window: Window) -> str:
    return f"transactions {moment_text(window.begin)} {moment_text(window.end)}"


def _begin(context: FetchContext) -> datetime:
    oldest = context.now - KEPT
    if context.since is not None:
        return max(context.since, oldest)
    return max(moment_of(context.cursor, "the cursor"), oldest) if context.cursor else context.now - FIRST


def _window(search: Search, begin: datetime, end: datetime, now: datetime) -> Window | None:
    """The window, or the first part of it that PayPal lists; None where nothing of it is loaded yet."""
    while True:
        try:
            window = search.window(begin, end)
        except TooManyRowsError as error:
            if end - begin <= SHORTEST:
                problem = f"PayPal lists no more than 10,000 movements, and {moment_text(begin)} has more in a minute"
                raise UnreadableReportError(problem) from error
            end = begin + (end - begin) / 2
        except NotLoadedError:
            if end < now - _NOT_LOADED:
                raise
            end -= _STEP
            if end <= begin:
                return None
        else:
            return window if window.end > begin else None


def _report(window: Window, now: datetime) -> Report:
    name = _name(window)
    section = f"{moment_text(window.begin)}/{moment_text(window.end)}"
    digest = sha256(f"{window.account} {name}\n".encode())
    lines: list[ReportLine] = []
    report = Report(form="paypal-transactions-1", name=name, lines=iter(lines))
    balances, withdrawals = Balances(), Withdrawals(report)
    unknown: set[str] = set()
    known: dict[str, set[Decimal | None]] = {}
    doubled = skipped = 0
    for info in window.rows:
        line = _line(info, len(lines) + 1, window.account, section)
        status = text(info, "transaction_status")
        digest.update(repr((line[2:], status)).encode())
        if status not in _WITHDRAWALS:
            unknown.add(status)
        elif line.kind is EntryKind.PAYOUT:
            paid = _WITHDRAWALS[status]
            bank_reference = reference(info.get("bank_reference_id"), "bank_reference_id")
            failed_at = _updated(info) if paid is PayoutStatus.FAILED else None
            withdrawals.add(payout_of(line, status=paid, bank_reference=bank_reference, failed_at=failed_at))
        if status not in _MOVED:
            skipped += 1
            balances.unsure(line)
            continue
        lines.append(line)
        after = _balance(info, line.currency)
        # Two movements that are alike in all else left two balances; one that is there twice left one.
        befores = known.setdefault(line.entry_ref, set())
        doubled += bool(befores) and (after is None or None in befores or after in befores)
        befores.add(after)
        if line.occurred_at < window.begin:
            # When, since it began, it moved the balance is not known.
            balances.unsure(line)
        else:
            balances.add(line, after, updated=_updated(info) if info.get("transaction_updated_date") else None)
    report.faults += [f"a status of transactions that nobody knows: {status[:20]}" for status in sorted(unknown)[:20]]
    if doubled:
        report.faults.append(f"movements that are there twice, or are like another one: {doubled}")
    report.faults += balances.faults()
    report.sections.append(
        ReportSection(
            account=window.account,
            name=section,
            rule=(
                f"the window has the rows that PayPal counts; {balances.compared} of them go from balance to balance"
                if balances.compared
                else "not proved by balances: the window has the rows that PayPal counts, and no more is known"
            ),
            rows=window.total - skipped,
            complete=False,
        )
    )
    report.sha256 = digest.digest()
    report.cursor = _cursor(window, now)
    return report


def _cursor(window: Window, now: datetime) -> str:
    loaded = window.loaded_until or now - LATE
    return moment_text(max(window.begin, min(window.end, loaded - OVERLAP)))


def _line(info: dict[str, Any], number: int, account: str, section: str) -> ReportLine:
    """A movement. Its amounts are decimals in the major unit, negative where money went; so is a fee."""
    gross, currency = _money(info, "transaction_amount")
    fee = ZERO
    if info.get("fee_amount") is not None:
        charged, fee_currency = _money(info, "fee_amount")
        if charged and fee_currency != currency:
            raise UnlikeError("the fee is in another currency than the amount")
        fee = -charged or ZERO
    custom = info.get("custom_field")
    return line_of(
        line=number,
        account=account,
        section=section,
        transaction=text(info, "transaction_id"),
        code=text(info, "transaction_event_code"),
        at=moment_of(info.get("transaction_initiation_date"), "transaction_initiation_date"),
        local=text(info, "transaction_initiation_date"),
        gross=gross,
        fee=fee,
        currency=currency,
        refers_to=reference(info.get("paypal_reference_id"), "paypal_reference_id"),
        refers_as=str(info.get("paypal_reference_id_type") or ""),
        invoice=reference(info.get("invoice_id"), "invoice_id"),
        custom=custom if isinstance(custom, str) else "",
    )


def _updated(info: dict[str, Any]) -> datetime:
    return moment_of(info.get("transaction_updated_date"), "transaction_updated_date")


def _balance(info: dict[str, Any], currency: str) -> Decimal | None:
    """The balance that a movement left, where PayPal tells it in the movement's currency."""
    if info.get("ending_balance") is None:
        return None
    balance, of = _money(info, "ending_balance")
    return balance if of == currency else None


def _money(info: dict[str, Any], name: str) -> tuple[Decimal, str]:
    """A signed amount with just the decimals that PayPal gives its currency, as a settlement report has it."""
    amount = nested(info, name)
    value, currency = amount.get("value"), amount.get("currency_code")
    places = DECIMALS.get(currency) if isinstance(currency, str) else None
    if places is None:
        raise UnlikeError(f"{name} is in a currency of which nobody here knows the decimals")
    if not isinstance(value, str) or not _MONEY.fullmatch(value):
        raise UnlikeError(f"{name} is no decimal number")
    found = Decimal(value)
    plain = round(found, places)
    return (plain if plain == found else found.normalize()) or ZERO, str(currency)
