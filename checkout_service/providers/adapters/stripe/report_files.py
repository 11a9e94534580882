"""Stripe's report files: which of them one is, by the names of its columns, and the lines of a payout reconciliation.

``payout_reconciliation.itemized`` (and ``.by_id``, any version) lists what payouts are made of, ``payouts.itemized``
the payouts. Columns of docs.stripe.com/reports/report-types; versions add some and order them otherwise, so a column is
found by its name, and those that nobody reads here may be anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import BinaryIO, Final

from checkout_service.providers.adapters.stripe.report_amounts import Amounts, Currency, currency_in, day_in, moment_in
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
from checkout_service.providers.adapters.stripe.report_payouts import MOST_PAYOUTS, payouts_in
from checkout_service.providers.adapters.stripe.report_rows import Faults, Rows, Seen
from checkout_service.providers.reports import (
    Report,
    ReportLine,
    ReportPayout,
    ReportSection,
    UnreadableReportError,
)
from checkout_service.settlement_words import EntryKind, PayoutStatus

RULE: Final = "the lines of a payout, without its own, add up to its amount"

_RECONCILIATION: Final = "payout_reconciliation.itemized"
_PAYOUTS: Final = "payouts.itemized"

_NEEDED: Final = (
    *("automatic_payout_id", "balance_transaction_id", "created_utc", "currency", "gross", "net"),
    *("reporting_category", "source_id"),
)
_NEEDED_OF_PAYOUTS: Final = (
    *("payout_id", "balance_transaction_id", "currency", "gross", "fee", "net", "reporting_category"),
    "payout_status",
)

_INSTEAD: Final = f"import {_RECONCILIATION} and {_PAYOUTS}"


def read(file: BinaryIO, *, name: str, account: str) -> Report:
    """A report of Stripe's from its CSV file; see ``checkout_service.providers.reports.ReadReport``.

    Times are UTC. Amounts are major units, signed as they move the balance. Neither file nor API says which account it
    is of, so ``account`` has to be '': under another name the same movements would be others.
    """
    if account:
        raise UnreadableReportError("a file of Stripe's does not say its account, so none can be given (--account)")
    rows = Rows(file)
    names = frozenset(rows.header)
    if {"payout_id", "payout_status"} <= names:
        _require(names, _NEEDED_OF_PAYOUTS, _PAYOUTS)
        report = Report(form=_PAYOUTS, name=name, lines=iter(()), columns=rows.header)
        report.lines = payouts_in(rows, report, account=account)
        return report
    _check_it_is_a_reconciliation(names)
    _require(names, _NEEDED, _RECONCILIATION)
    if "fee" not in names:
        _require(names, ("fee_net_of_withheld_tax", "withheld_tax"), _RECONCILIATION)
    report = Report(form=_RECONCILIATION, name=name, lines=iter(()), columns=rows.header)
    report.lines = _lines(rows, report, account=account)
    return report


def _require(names: frozenset[str], needed: Sequence[str], form: str) -> None:
    missing = [name for name in needed if name not in names]
    if not missing:
        return
    message = f"{form} needs the column {missing[0]}"
    if missing[0].endswith("_utc") and missing[0].removesuffix("_utc") in names:
        message += f": {missing[0].removesuffix('_utc')} is in a zone that the file does not name"
    raise UnreadableReportError(message, line=1)


def _check_it_is_a_reconciliation(names: frozenset[str]) -> None:
    """Raise for the reports that cannot be entered, with what to import in their place."""
    message = ""
    if {"category", "net_amount"} <= names:
        message = f"this is balance.summary, which has the sums of a period and no lines: {_INSTEAD}"
    elif "balance_transaction_id" not in names and {"reporting_category", "net"} <= names:
        message = f"this is a summary, which has no lines: {_INSTEAD}"
    elif "connected_account" in names:
        message = f"this is a report of connected accounts, whose money is not this account's: {_INSTEAD}"
    elif "balance_transaction_id" in names and "automatic_payout_id" not in names:
        message = (
            "it does not say which payout a line is part of (automatic_payout_id), so nothing proves it: "
            f"this may be balance_change_from_activity or ending_balance_reconciliation; {_INSTEAD}"
        )
    elif "balance_transaction_id" not in names:
        message = f"this is no report of Stripe's that is known by its columns: {_INSTEAD}"
    if message:
        raise UnreadableReportError(message, line=1)


class _Places:
    """Where the columns stand in a row. An absent one stands behind the last, where each row is given a ''."""

    def __init__(self, header: Sequence[str]) -> None:
        places = {name: number for number, name in enumerate(header)}
        self.absent = len(places)

        def at(name: str) -> int:
            return places.get(name, self.absent)

        self.payout, self.ref = at("automatic_payout_id"), at("balance_transaction_id")
        self.created, self.created_local, self.available = at("created_utc"), at("created"), at("available_on_utc")
        self.arrival = at("automatic_payout_effective_at_utc")
        self.currency, self.gross, self.fee, self.net = at("currency"), at("gross"), at("fee"), at("net")
        self.fee_less_tax, self.tax = at("fee_net_of_withheld_tax"), at("withheld_tax")
        self.word, self.source, self.charge = at("reporting_category"), at("source_id"), at("charge_id")
        self.intent, self.description = at("payment_intent_id"), at("description")
        self.customer, self.customer_currency = at("customer_facing_amount"), at("customer_facing_currency")
        self.paid_for, self.refunded_for = at("payment_metadata[payment_id]"), at("refund_metadata[payment_id]")


def _lines(rows: Rows, report: Report, *, account: str) -> Iterator[ReportLine]:
    """The lines of a payout reconciliation; the report is whole after the last one."""
    at, amounts, seen, faults = _Places(rows.header), Amounts(), Seen(), Faults(report)
    payouts: dict[str, None] = {}
    last_payout = ""
    for line, row in rows:
        row.append("")
        payout, ref, word, source = row[at.payout], row[at.ref], row[at.word], row[at.source]
        if payout != last_payout or not payout:
            _check_payout(payout, line)
            payouts[payout] = None
            last_payout = payout
            if len(payouts) > MOST_PAYOUTS:
                raise UnreadableReportError(f"the file is about more than {MOST_PAYOUTS} payouts", line=line)
        if not is_ref(ref):
            raise UnreadableReportError("balance_transaction_id is no id of Stripe's", line=line)
        seen.add(ref, line)
        currency = _currency(row[at.currency], "currency", line)
        gross = amounts.read(row[at.gross], currency, "gross", line)
        fee = _fee(row, at, amounts, currency, line)
        net = amounts.read(row[at.net], currency, "net", line)
        if net != gross - fee:
            faults.add(line, f"net {net} is not gross {gross} less fee {fee}")
        kind = kind_of(word, gross)
        if kind is EntryKind.PAYOUT and source == payout:
            report.payouts.append(_own(account, payout, -gross, currency, row[at.arrival], line))
            continue
        about, subject = subject_of(kind, source, row[at.charge])
        intent = row[at.intent]
        _check_names(subject, intent, word, line)
        customer_amount, paid_in = _customers(row, at, amounts, kind, line)
        yield ReportLine(
            line,
            account,
            payout,
            ref,
            False,
            kind,
            word,
            gross,
            fee,
            net,
            currency.code,
            moment_in(row[at.created], "created_utc", line),
            row[at.created_local][:_LONGEST_TIME] or row[at.created],
            payout,
            day_in(row[at.available], "available_on_utc", line),
            customer_amount,
            paid_in,
            None,
            about,
            subject,
            intent,
            _ours(row, at, kind),
            "" if kind not in DESCRIBED else _description(row, at, source, intent),
        )
    for first, again in seen.doubled():
        faults.add(again, f"the balance_transaction_id of line {first} again")
    faults.close()
    report.sections.extend(section_of(account, payout) for payout in payouts)
    report.sha256 = rows.sha256


def section_of(account: str, payout: str) -> ReportSection:
    """How the lines of a payout prove themselves, be they of a file or of the API."""
    return ReportSection(account=account, name=payout, rule=RULE, of_payout=payout)


_LONGEST_TIME: Final = 40


def _check_payout(payout: str, line: int) -> None:
    if not payout:
        message = (
            "it has no automatic_payout_id: it was not paid out yet, or by hand, and nothing proves it; "
            f"this may be balance_change_from_activity or ending_balance_reconciliation: {_INSTEAD}"
        )
        raise UnreadableReportError(message, line=line)
    if not is_ref(payout):
        raise UnreadableReportError("automatic_payout_id is no id of Stripe's", line=line)


def _check_names(subject: str, intent: str, word: str, line: int) -> None:
    """What ends in our tables may be text alone, and short."""
    if subject and not is_ref(subject):
        raise UnreadableReportError("source_id or charge_id is no id of Stripe's", line=line)
    if intent and not is_ref(intent):
        raise UnreadableReportError("payment_intent_id is no id of Stripe's", line=line)
    if not is_ref(word):
        raise UnreadableReportError("reporting_category is no word of Stripe's", line=line)


def _currency(value: str, name: str, line: int) -> Currency:
    found = currency_in(value)
    if found is None:
        raise UnreadableReportError(f"{name} is not three characters", line=line)
    return found


def _fee(row: Sequence[str], at: _Places, amounts: Amounts, currency: Currency, line: int) -> Decimal:
    """What was charged, which includes the tax that Stripe withheld; some versions have the two apart alone."""
    if at.fee != at.absent:
        return amounts.read(row[at.fee], currency, "fee", line)
    less_tax = amounts.read(row[at.fee_less_tax], currency, "fee_net_of_withheld_tax", line)
    return less_tax + amounts.read(row[at.tax], currency, "withheld_tax", line)


def _customers(
    row: Sequence[str], at: _Places, amounts: Amounts, kind: EntryKind, line: int
) -> tuple[Decimal | None, str | None]:
    """What a customer paid or got, and in what, where the row says it."""
    if kind not in OF_CUSTOMERS or not row[at.customer]:
        return None, None
    currency = _currency(row[at.customer_currency], "customer_facing_currency", line)
    return amounts.read(row[at.customer], currency, "customer_facing_amount", line), currency.code


def _ours(row: Sequence[str], at: _Places, kind: EntryKind) -> str:
    """The id of the payment that we wrote beside an intent or a refund."""
    if kind is EntryKind.CAPTURE:
        value = row[at.paid_for]
    elif kind in OF_REFUNDS:
        value = row[at.refunded_for]
    else:
        return ""
    return ours(value)


def _description(row: Sequence[str], at: _Places, source: str, intent: str) -> str:
    is_of_a_purchase = row[at.charge] or intent or source.startswith(OF_A_PURCHASE)
    return "" if is_of_a_purchase else plain_description(row[at.description])


def _own(account: str, payout: str, amount: Decimal, currency: Currency, arrival: str, line: int) -> ReportPayout:
    """The payout by a row of its own, where a file has one: it does not say how far the payout is."""
    return ReportPayout(
        account=account,
        payout_ref=payout,
        amount=amount,
        currency=currency.code,
        status=PayoutStatus.PENDING,
        arrival_on=day_in(arrival, "automatic_payout_effective_at_utc", line),
    )
