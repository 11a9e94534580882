"""Payouts and what they are made of, from Stripe's API: by a restricted key that may read them, and nothing else.

Payouts are listed from where the last run came to, and 14 days before that: one may fail within five business days
after it was paid. What an automatic payout is made of is listed once Stripe says that it is whole
(``reconciliation_status``). Formats are those of docs.stripe.com/api/payouts and /api/balance_transactions, as of the
version that the SDK names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from checkout_service.providers.adapters.stripe.client import Calls, Services
from checkout_service.providers.adapters.stripe.objects import id_of, metadata_of, optional_id_of
from checkout_service.providers.adapters.stripe.report_amounts import currency_in
from checkout_service.providers.adapters.stripe.report_files import section_of
from checkout_service.providers.adapters.stripe.report_kinds import (
    DESCRIBED,
    OF_A_PURCHASE,
    OF_CUSTOMERS,
    OF_REFUNDS,
    is_ref,
    kind_of,
    ours,
    plain_description,
    subject_of,
)
from checkout_service.providers.adapters.stripe.report_payouts import MOST_PAYOUTS, minor_amount, payout_of
from checkout_service.providers.adapters.stripe.report_rows import Faults, Seen
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import items, text, unix_moment_of
from checkout_service.providers.reports import FetchContext, Report, ReportLine, ReportPayout, UnreadableReportError
from checkout_service.providers.transport import TooLargeError
from checkout_service.settlement_words import EntryKind, PayoutStatus, Subject

PAGE: Final = 100
"""The most that Stripe answers at once."""

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

List = Callable[[Services, dict[str, Any]], Any]


def fetch(context: FetchContext) -> Iterator[Report]:
    """What is new: a report for each payout with its lines, the oldest first, and one of the payouts alone at the end.

    That last one has how far each payout is, and ``cursor``. See ``checkout_service.providers.reports.FetchReports``.
    """
    key = context.account.option("reports_key") or ""
    live = True if "_live_" in key else False if "_test_" in key else None
    pages = _Pages(Calls(key, context.account.option("reports_base")))
    since, place = _since(context), _place(context)
    listed = _payouts(pages, since, live)
    unread: list[_Listed] = []
    for one in reversed(listed):
        if not one.is_whole or context.is_entered(report_name(one.payout.payout_ref)):
            continue
        if pages.read >= PAGES_A_RUN:
            unread.append(one)
            continue
        yield _itemized(pages, one)
    # A run from a later day than the place has not seen what is between.
    has_gap = place is not None and since > place
    yield _states(listed, cursor=None if has_gap else _cursor(listed, unread, context.now))


def report_name(payout_ref: str) -> str:
    """What the report with a payout's lines is called."""
    return f"{_FORM} {payout_ref}"


class _Listed(NamedTuple):
    """A payout of the list: ``is_whole`` where all that it is made of can be listed."""

    payout: ReportPayout
    created: datetime
    is_whole: bool
    own_refs: frozenset[str]


class _Pages:
    """Pages of Stripe's lists, which are counted: by ids, the newest first (docs.stripe.com/api/pagination)."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.read = 0

    def objects(self, ask: List, query: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
        """Each object of a list. Raises UnreadableReportError for one that has a gap, goes round or does not end.

        A page that is larger than is read is requested again with fewer objects.
        """
        after, limit, came = "", PAGE, set[str]()
        with _readable():
            for _ in range(most):
                page, limit = self._page(ask, {**query, **({"starting_after": after} if after else {})}, limit)
                found = items(page, "data")
                further = page.get("has_more")
                if not isinstance(further, bool):
                    raise UnreadableReportError("Stripe's list does not say whether there is more of it")
                yield from found
                if not further:
                    return
                if not found:
                    raise UnreadableReportError("a page of Stripe's list is empty, and it says that there is more")
                after = text(found[-1], "id")
                if after in came:
                    raise UnreadableReportError("Stripe's list goes round")
                came.add(after)
        raise UnreadableReportError(f"Stripe's list has more than {most} pages")

    def _page(self, ask: List, query: Mapping[str, Any], limit: int) -> tuple[dict[str, Any], int]:
        """A page, and how many objects the next one may have."""
        while True:
            try:
                return self._answer_to(ask, {**query, "limit": limit}), limit
            except TooLargeError:
                if limit == 1:
                    raise
                limit //= 2

    def _answer_to(self, ask: List, query: dict[str, Any]) -> dict[str, Any]:
        self.read += 1
        return self._calls.ask(lambda stripe: ask(stripe, query))


@contextmanager
def _readable() -> Iterator[None]:
    """Whatever cannot be read within is an unreadable report."""
    try:
        yield
    except UnreadableError as error:
        raise UnreadableReportError(str(error)) from None


def _since(context: FetchContext) -> datetime:
    """From which moment on payouts are listed, by when they were made."""
    return context.since or _place(context) or context.now - AT_FIRST


def _place(context: FetchContext) -> datetime | None:
    """Where the last run came to, less what is listed again; None before the first."""
    if context.cursor is None:
        return None
    try:
        return datetime.fromtimestamp(int(context.cursor), UTC) - LISTED_AGAIN
    except (ValueError, OverflowError, OSError):
        raise UnreadableReportError("the place that the last run came to is no time") from None


def _payouts(pages: _Pages, since: datetime, live: bool | None) -> list[_Listed]:
    """The payouts since then, the newest first."""
    query = {"created": {"gte": int(since.timestamp())}, "expand": ["data.failure_balance_transaction"]}
    found: dict[str, _Listed] = {}
    for each in pages.objects(lambda stripe, sent: stripe.payouts.list(sent), query, MOST_PAYOUTS // PAGE):
        if live is not None and each.get("livemode") is not live:
            raise UnreadableReportError("a payout is of the other mode than the key")
        with _readable():
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


def _cursor(listed: Sequence[_Listed], unread: Sequence[_Listed], now: datetime) -> str:
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
    return str(int(min([now, *open_yet, *(one.created for one in unread)]).timestamp()))


def _states(listed: Sequence[_Listed], *, cursor: str | None) -> Report:
    """How far each payout is. Whatever is the same as before has the same hash."""
    payouts = sorted((one.payout for one in listed), key=lambda payout: payout.payout_ref)
    digest = hashlib.sha256(_PAYOUTS.encode())
    for payout in payouts:
        digest.update(_canonical(payout))
    return Report(form=_PAYOUTS, name=_PAYOUTS, lines=iter(()), payouts=payouts, sha256=digest.digest(), cursor=cursor)


def _canonical(payout: ReportPayout) -> bytes:
    return "\x1f".join(f"{name}={getattr(payout, name)}" for name in payout.__dataclass_fields__).encode() + b"\n"


def _itemized(pages: _Pages, one: _Listed) -> Report:
    """A payout and what it is made of, which is listed while the lines are read."""
    ref = one.payout.payout_ref
    report = Report(form=_FORM, name=report_name(ref), lines=iter(()), payouts=[one.payout])
    report.sections.append(section_of("", ref))
    report.lines = _lines(pages, one, report)
    return report


def _lines(pages: _Pages, one: _Listed, report: Report) -> Iterator[ReportLine]:
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


def line_of(found: Mapping[str, Any], number: int, *, payout_ref: str) -> ReportLine:
    """A movement of the balance as the line that a report file has for it.

    ``number`` is its place in the list, from 1; its ``source`` stands whole where the list was asked for that. Raises
    UnreadableError or UnreadableReportError.
    """
    try:
        return _line(found, number, payout_ref)
    except UnreadableError as error:
        raise UnreadableReportError(f"{payout_ref}: movement {number}: {error}") from None


def _line(found: Mapping[str, Any], number: int, payout_ref: str) -> ReportLine:
    ref, word = text(found, "id"), text(found, "reporting_category" if found.get("reporting_category") else "type")
    currency = currency_in(text(found, "currency"))
    if found.get("object") != "balance_transaction" or not (is_ref(ref) and is_ref(word)) or currency is None:
        raise UnreadableError("it is no movement of a balance")
    gross, fee, net = (minor_amount(found, name, currency.code) for name in ("amount", "fee", "net"))
    kind = kind_of(word, gross)
    source = found.get("source")
    whole: Mapping[str, Any] = source if isinstance(source, dict) else {}
    source_ref = optional_id_of(source)
    charge = optional_id_of(whole.get("charge")) if whole.get("object") != "charge" else id_of(source)
    intent = optional_id_of(whole.get("payment_intent"))
    about, subject = subject_of(kind, source_ref, charge)
    if not all(is_ref(each) for each in (subject, intent) if each):
        raise UnreadableError("its source has an id that is none")
    customer_amount, paid_in = _customers(whole, kind, about)
    made = unix_moment_of(found.get("created"))
    available = found.get("available_on")
    written = metadata_of(whole).get("payment_id") if kind is EntryKind.CAPTURE or kind in OF_REFUNDS else None
    is_described = kind in DESCRIBED and not source_ref.startswith(OF_A_PURCHASE) and not intent
    return ReportLine(
        line=number,
        account="",
        section=payout_ref,
        entry_ref=ref,
        is_made=False,
        kind=kind,
        provider_type=word,
        gross=gross,
        fee=fee,
        net=net,
        currency=currency.code,
        occurred_at=made,
        occurred_local=f"{made:%Y-%m-%d %H:%M:%S}",
        payout_ref=payout_ref,
        available_on=unix_moment_of(available).date() if available is not None else None,
        customer_amount=customer_amount,
        customer_currency=paid_in,
        rate=_rate(found.get("exchange_rate")),
        about=about,
        subject_ref=subject,
        payment_ref=intent,
        merchant_ref=ours(written),
        description=plain_description(found.get("description") or "") if is_described else "",
    )


def _customers(source: Mapping[str, Any], kind: EntryKind, about: Subject) -> tuple[Decimal | None, str | None]:
    """What a customer paid or got, signed as the line is, and in what: the amount of the object that it came of.

    Of a charge that is all that was authorised, as the line has it too.
    """
    if kind not in OF_CUSTOMERS or source.get("object") not in _OBJECTS[about]:
        return None, None
    currency = currency_in(text(source, "currency"))
    if currency is None:
        raise UnreadableError("the currency of its source is not three characters")
    amount = minor_amount(source, "amount", currency.code)
    return (-amount if kind in _GOING else amount), currency.code


_OBJECTS: Final = {Subject.CAPTURE: ("charge", "refund"), Subject.REFUND: ("refund",), Subject.DISPUTE: ("dispute",)}
_GOING: Final = frozenset({EntryKind.RELEASE, EntryKind.REFUND, EntryKind.DISPUTE})


def _rate(value: object) -> Decimal | None:
    """From the customer's currency to the balance's; None where nothing was converted."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    rate = Decimal(str(value))
    return rate if rate.is_finite() else None
