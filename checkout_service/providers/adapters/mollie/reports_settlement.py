"""One settlement of Mollie's as a report: what its four lists have, what its months add, and how that is its amount.

Costs are told by month and method, with four decimals, and are withheld of the whole: so the amounts of the lines are
left as they are, and what the settlement's own rounding makes of their sum is a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from checkout_service.money import decimals
from checkout_service.providers.adapters.mollie.reports_api import ReportsApi
from checkout_service.providers.adapters.mollie.reports_balance import Transfers
from checkout_service.providers.adapters.mollie.reports_money import ZERO, money_in, money_of
from checkout_service.providers.adapters.mollie.reports_periods import ZONE, PeriodRow, rows_of
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import moment_of, own_id, text
from checkout_service.providers.reports import (
    Report,
    ReportLine,
    ReportPayout,
    ReportSection,
    UnreadableReportError,
)
from checkout_service.settlement_words import EntryKind, PayoutStatus, Subject

STATUSES: Final = {
    "pending": PayoutStatus.PENDING,
    "processing-at-bank": PayoutStatus.IN_TRANSIT,
    "paidout": PayoutStatus.PAID,
    "failed": PayoutStatus.FAILED,
}
"""Of a settlement; another word, which Mollie may add, is one for money on its way."""

_RULE: Final = "the lists, the costs and the other revenue by month add up to the settlement's amount, rounded"

_MOST_FAULTS: Final = 20

_BALANCE: Final = re.compile(r"bal_[0-9A-Za-z]{1,60}")

_LISTS: Final = {
    "payments": (EntryKind.CAPTURE, EntryKind.UNKNOWN, Subject.CAPTURE),
    "captures": (EntryKind.CAPTURE, EntryKind.UNKNOWN, Subject.CAPTURE),
    "refunds": (EntryKind.REFUND_FAILURE, EntryKind.REFUND, Subject.REFUND),
    "chargebacks": (EntryKind.DISPUTE_REVERSAL, EntryKind.DISPUTE, Subject.DISPUTE),
}
"""Of each list what its money is where it came, and where it went, and what of ours it is about."""


class SettlementReading:
    """A settlement that is being read; its lists are fetched while the report's lines are iterated."""

    def __init__(self, settlement: dict[str, Any], api: ReportsApi, transfers: Transfers) -> None:
        self._settlement = settlement
        self._api = api
        self._transfers = transfers
        self._ref = text(settlement, "id")
        self._amount, self._currency = money_of(settlement, "amount")
        self._made_at = moment_of(settlement.get("createdAt"), "createdAt")
        self._digest = sha256(repr((self._ref, settlement.get("status"), str(self._amount))).encode())
        self._number = 0
        self._methods: set[str] = set()

    def report(self, name: str) -> Report:
        """The report, named so."""
        report = Report(form="mollie-settlement-2", name=name, lines=iter(()), payouts=[self._payout()])
        report.sections.append(
            ReportSection(account="", name=self._ref, rule=_RULE, of_payout=self._ref, complete=True)
        )
        report.lines = self._lines(report)
        return report

    def _payout(self) -> ReportPayout:
        held = self._settlement
        settled = moment_of(held["settledAt"], "settledAt") if held.get("settledAt") else None
        return ReportPayout(
            account="",
            payout_ref=self._ref,
            amount=self._amount,
            currency=self._currency,
            status=STATUSES.get(text(held, "status"), PayoutStatus.PENDING),
            issued_at=self._made_at,
            arrival_on=settled.astimezone(ZONE).date() if settled else None,
            # What the bank shows. One that is not closed has none.
            bank_reference=text(held, "reference") if held.get("reference") else "",
        )

    def _lines(self, report: Report) -> Iterator[ReportLine]:
        try:
            for line in self._each(report):
                self._digest.update(repr(line[3:]).encode())
                yield line
        except UnreadableError as error:
            raise UnreadableReportError(f"{self._ref}: {error}") from error
        report.sha256 = self._digest.digest()

    def _each(self, report: Report) -> Iterator[ReportLine]:
        rows = list(rows_of(self._settlement, self._ref, self._currency, self._made_at))
        for name in _LISTS:
            for item in self._api.listed(f"/settlements/{self._ref}/{name}", name):
                yield self._listed(item, name)
        for row in rows:
            if (kind := row.kind(self._methods)) is not None and row.gross:
                yield self._of_month(row, kind)
        odd = [
            f"{row.month}, {row.description}: net and VAT are not the gross amount" for row in rows if not row.adds_up
        ]
        report.faults += odd[:_MOST_FAULTS]
        exact = sum((row.gross for row in rows), ZERO)
        if rounding := self._rounding(self._amount - exact, sum(row.is_cost for row in rows), report.faults.append):
            yield self._line(
                entry_ref=sha256(f"{self._ref}\x1frounding".encode()).hexdigest()[:32],
                is_made=True,
                kind=EntryKind.ROUNDING,
                provider_type="rounding",
                gross=rounding,
                occurred_at=self._made_at,
                occurred_local=text(self._settlement, "createdAt"),
            )

    def _rounding(self, rest: Decimal, costs: int, fault: Callable[[str], None]) -> Decimal:
        """What is between the exact sum of the months and the amount, where it is no more than rounding; else 0.

        The whole is rounded: half a cent. A cent for each row of costs, which is what rounding them one by one makes,
        is believed only where the balance says that this amount was paid out.
        """
        cent = Decimal(1).scaleb(-decimals(self._currency))
        paid = self._paid_out()
        if paid is not None and paid != (self._amount, self._currency):
            fault(f"the balance paid out {paid[0]} {paid[1]}, and the settlement is {self._amount} {self._currency}")
        if abs(rest) <= cent / 2 or (abs(rest) <= cent * costs and paid == (self._amount, self._currency)):
            return rest
        fault(f"the months add up to {self._amount - rest} {self._currency}, and the settlement is {self._amount}")
        return ZERO

    def _paid_out(self) -> tuple[Decimal, str] | None:
        balance = self._settlement.get("balanceId")
        if not isinstance(balance, str) or not _BALANCE.fullmatch(balance):
            return None
        return self._transfers.of(self._ref, balance, self._made_at)

    def _listed(self, item: dict[str, Any], name: str) -> ReportLine:
        """A payment, capture, refund or chargeback: ``settlementAmount`` is negative where money went."""
        came, went, about = _LISTS[name]
        ref = text(item, "id")
        amount, currency = money_of(item, "amount")
        gross = self._settled(item, name, amount, currency)
        kind = came if gross >= ZERO else went
        is_back = about is not Subject.CAPTURE and gross > ZERO
        is_payment = name == "payments"
        local = text(item, next((time for time in _times(name, is_back=is_back) if item.get(time)), "createdAt"))
        if is_payment and isinstance(method := item.get("method"), str):
            self._methods.add(method[:64])
        metadata = item.get("metadata") if is_payment else None
        ours = own_id(metadata.get("payment_id")) if isinstance(metadata, dict) else None
        return self._line(
            # What came back has its first name, and is another movement.
            entry_ref=f"{ref}:back" if is_back else ref,
            is_made=False,
            kind=kind,
            provider_type=name.removesuffix("s"),
            gross=gross,
            occurred_at=moment_of(local),
            occurred_local=local,
            customer_amount=abs(amount) if gross >= ZERO else -abs(amount),
            customer_currency=currency,
            rate=round(abs(gross / amount), 10) if amount and currency != self._currency else None,
            about=Subject.NONE if kind is EntryKind.UNKNOWN else about,
            subject_ref=ref,
            payment_ref=ref if is_payment else text(item, "paymentId"),
            merchant_ref=str(ours) if ours else "",
        )

    def _settled(self, item: dict[str, Any], name: str, amount: Decimal, currency: str) -> Decimal:
        """What it moved the balance by. Without its own word that is its amount, where the currency is the same."""
        if item.get("settlementAmount") is not None:
            return money_in(item, "settlementAmount", self._currency)
        if currency != self._currency:
            raise UnreadableError(f"one of the {name} says no settlementAmount, and is in another currency")
        return amount if name in {"payments", "captures"} else -abs(amount)

    def _of_month(self, row: PeriodRow, kind: EntryKind) -> ReportLine:
        return self._line(
            entry_ref=row.ref,
            is_made=True,
            kind=kind,
            provider_type=f"{'cost' if row.is_cost else 'revenue'} {row.method}".strip(),
            gross=row.gross,
            occurred_at=row.at,
            occurred_local=row.month,
            description=row.description,
        )

    def _line(
        self,
        *,
        entry_ref: str,
        is_made: bool,
        kind: EntryKind,
        provider_type: str,
        gross: Decimal,
        occurred_at: datetime,
        occurred_local: str,
        **more: Any,
    ) -> ReportLine:
        """A line of this settlement, without a fee of its own: Mollie's costs are lines."""
        self._number += 1
        return ReportLine(
            line=self._number,
            account="",
            section=self._ref,
            entry_ref=entry_ref,
            is_made=is_made,
            kind=kind,
            provider_type=provider_type,
            gross=gross,
            fee=ZERO,
            net=gross,
            currency=self._currency,
            occurred_at=occurred_at,
            occurred_local=occurred_local,
            payout_ref=self._ref,
            **more,
        )


def _times(name: str, *, is_back: bool) -> tuple[str, ...]:
    """Where the time of a movement stands, the best first."""
    if name == "payments":
        return ("paidAt", "createdAt")
    return ("reversedAt", "createdAt") if is_back else ("createdAt",)
