"""Payouts as Stripe says them: by the rows of a file of payouts, and by the objects of the API.

A row is a movement of Stripe's balance, so a payout to the bank is negative in it, and one that debits the bank is
positive. A payout that came back has a second row, of category ``payout_reversal``, with the other sign. In the API an
amount is positive where it goes to the bank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from checkout_service.providers.adapters.stripe.objects import moment_in as moment_of
from checkout_service.providers.adapters.stripe.objects import object_in, optional_id_of
from checkout_service.providers.adapters.stripe.report_amounts import Amounts, Currency, currency_in, day_in, moment_in
from checkout_service.providers.adapters.stripe.report_kinds import from_smallest, is_ref, kind_of, plain_description
from checkout_service.providers.adapters.stripe.report_rows import Faults, Rows, Seen
from checkout_service.providers.fields import text, unix_moment_of
from checkout_service.providers.reports import Report, ReportLine, ReportPayout, UnreadableReportError
from checkout_service.settlement_words import EntryKind, PayoutStatus

MOST_PAYOUTS: Final = 100_000
"""Of one file, or of one run: some centuries of daily payouts."""

MOST_MINOR: Final = 10**15
"""Smallest units of an amount: more is no amount."""

_CAME_BACK: Final = (PayoutStatus.FAILED, PayoutStatus.CANCELED)

_TRACED: Final = "supported"
"""What stands beside a trace id that the bank gave."""


class _Row(NamedTuple):
    """A row of a file of payouts."""

    line: int
    payout: ReportPayout
    kind: EntryKind


def payouts_in(rows: Rows, report: Report, *, account: str) -> Iterator[ReportLine]:
    """No lines: the report has its payouts once the last row was read.

    A payout's row and that of its return are one payout. That they contradict each other is a fault.
    """
    found: dict[str, _Row] = {}
    seen, faults = Seen(), Faults(report)
    for row in _payout_rows(rows, seen, faults, account=account):
        before = found.get(row.payout.payout_ref)
        found[row.payout.payout_ref] = row if before is None else _together(before, row, faults)
        if len(found) > MOST_PAYOUTS:
            raise UnreadableReportError(f"the file has more than {MOST_PAYOUTS} payouts", line=row.line)
    for first, again in seen.doubled():
        faults.add(again, f"the balance_transaction_id of line {first} again")
    faults.close()
    report.payouts.extend(row.payout for row in found.values())
    report.sha256 = rows.sha256
    yield from ()


def _payout_rows(rows: Rows, seen: Seen, faults: Faults, *, account: str) -> Iterator[_Row]:
    amounts, names = Amounts(), rows.header
    for line, fields in rows:
        row = dict(zip(names, fields, strict=True))
        payout_ref, ref, word = row["payout_id"], row["balance_transaction_id"], row["reporting_category"]
        if not (is_ref(payout_ref) and is_ref(ref)):
            raise UnreadableReportError("payout_id or balance_transaction_id is no id of Stripe's", line=line)
        seen.add(ref, line)
        currency = currency_in(row["currency"])
        if currency is None:
            raise UnreadableReportError("currency is not three characters", line=line)
        gross = _checked_gross(row, amounts, currency, faults, line)
        kind = kind_of(word, gross)
        if kind not in (EntryKind.PAYOUT, EntryKind.PAYOUT_REVERSAL):
            faults.add(line, "its reporting_category is none of a payout")
            continue
        status = status_of(row["payout_status"])
        if status is None:
            faults.add(line, "its payout_status is none that is known")
            continue
        came_back_at = row.get("payout_reversed_at_utc", "")
        yield _Row(
            line,
            ReportPayout(
                account=account,
                payout_ref=payout_ref,
                amount=-gross if kind is EntryKind.PAYOUT else gross,
                currency=currency.code,
                status=status,
                arrival_on=_arrival(row, line),
                bank_reference=_trace(row.get("trace_id_status"), row.get("trace_id")),
                descriptor=plain_description(row.get("payout_statement_descriptor", "")),
                failed_at=moment_in(came_back_at, "payout_reversed_at_utc", line)
                if came_back_at and status in _CAME_BACK
                else None,
            ),
            kind,
        )


def _checked_gross(row: Mapping[str, str], amounts: Amounts, currency: Currency, faults: Faults, line: int) -> Decimal:
    gross, fee, net = (amounts.read(row[name], currency, name, line) for name in ("gross", "fee", "net"))
    if net != gross - fee:
        faults.add(line, f"net {net} is not gross {gross} less fee {fee}")
    return gross


def _arrival(row: Mapping[str, str], line: int) -> Any:
    expected = day_in(row.get("payout_expected_arrival_date", ""), "payout_expected_arrival_date", line)
    return expected or day_in(row.get("effective_at_utc", ""), "effective_at_utc", line)


def _together(before: _Row, row: _Row, faults: Faults) -> _Row:
    """A payout by two of its rows: how far it is farther on, and when it came back where one of them says so."""
    first, second = before.payout, row.payout
    if before.kind is row.kind:
        faults.add(row.line, f"a payout that line {before.line} has already")
    elif (first.amount, first.currency) != (second.amount, second.currency):
        faults.add(row.line, f"what came back is not what line {before.line} paid out")
    order = list(PayoutStatus)
    status = max(first.status, second.status, key=order.index)
    paid = before if before.kind is EntryKind.PAYOUT else row
    failed_at = first.failed_at or second.failed_at
    return paid._replace(payout=replace(paid.payout, status=status, failed_at=failed_at))


def payout_of(found: Mapping[str, Any], *, account: str) -> ReportPayout:
    """A payout of the API (docs.stripe.com/api/payouts/object). Raises UnreadableError or UnreadableReportError.

    Nobody can itemize one that was made by hand or at once: Stripe says so in ``reconciliation_status``.
    """
    ref = text(found, "id")
    currency = currency_in(text(found, "currency"))
    status = status_of(text(found, "status"))
    if found.get("object") != "payout" or not is_ref(ref) or currency is None:
        raise UnreadableReportError("a payout of the list is none")
    if status is None:
        raise UnreadableReportError(f"payout {ref} has a status that nobody knows")
    trace = object_in(found, "trace_id")
    arrival = unix_moment_of(found.get("arrival_date"))
    return ReportPayout(
        account=account,
        payout_ref=ref,
        amount=minor_amount(found, "amount", currency.code),
        currency=currency.code,
        status=status,
        itemized=found.get("automatic") is True and found.get("reconciliation_status") != "not_applicable",
        issued_at=unix_moment_of(found.get("created")),
        arrival_on=arrival.date(),
        bank_reference=_trace(trace.get("status"), trace.get("value")),
        descriptor=_plain(found.get("statement_descriptor")),
        failed_at=_failed_at(found) if status in _CAME_BACK else None,
        failure_code=_plain(found.get("failure_code")),
        original_ref=optional_id_of(found.get("original_payout")),
    )


def status_of(word: str) -> PayoutStatus | None:
    """How far a payout is, by Stripe's word; None of one that nobody knows."""
    try:
        return PayoutStatus(word)
    except ValueError:
        return None


def minor_amount(found: Mapping[str, Any], name: str, currency: str) -> Decimal:
    """An amount of the API, signed, in the major unit. Raises UnreadableReportError."""
    value = found.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > MOST_MINOR:
        raise UnreadableReportError(f"{name} is no whole number of smallest units")
    return from_smallest(value, currency)


def _failed_at(found: Mapping[str, Any]) -> datetime | None:
    """When the money came back: that of the movement by which it did, which the list is asked to show whole."""
    return moment_of(object_in(found, "failure_balance_transaction"), "created")


def _trace(status: object, value: object) -> str:
    """What the bank shows of a payout, once it said so; '' before, and where it never does."""
    return _plain(value) if status in (None, _TRACED) else ""


def _plain(value: object) -> str:
    return plain_description(value) if isinstance(value, str) else ""
