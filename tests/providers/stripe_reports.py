"""Stripe's reports for tests: files of its documented columns, and what the proof of a section will compare."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from checkout_service.providers.adapters.stripe.report_files import read
from checkout_service.providers.reports import Report, ReportLine, ReportPayout

SAMPLES = Path(__file__).parent / "report_samples"
RECONCILIATION = SAMPLES / "stripe-report-payout_reconciliation.itemized.5.csv"
PAYOUTS = SAMPLES / "stripe-report-payouts.itemized.3.csv"
MOVEMENTS = SAMPLES / "stripe-api-balance_transactions-filtered-by-payout.json"

Row = dict[str, str]


def rows_of(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def csv_of(rows: Sequence[Mapping[str, str]], columns: Sequence[str] | None = None, end: str = "\r\n") -> bytes:
    """A file with these columns, in this order."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns or list(rows[0]), lineterminator=end, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def read_bytes(content: bytes, *, account: str = "") -> tuple[list[ReportLine], Report]:
    """All lines, and the report once it is whole."""
    report = read(io.BytesIO(content), name="report.csv", account=account)
    lines = list(report.lines)
    return lines, report


def read_rows(
    rows: Sequence[Mapping[str, str]], columns: Sequence[str] | None = None
) -> tuple[list[ReportLine], Report]:
    return read_bytes(csv_of(rows, columns))


def movements() -> list[dict[str, Any]]:
    """The balance transactions of the sample, the payout's own among them, the newest first."""
    found: list[dict[str, Any]] = json.loads(MOVEMENTS.read_text(encoding="utf-8"))["data"]
    return found


def residues(lines: Iterable[ReportLine], report: Report, payouts: Iterable[ReportPayout]) -> dict[str, Decimal]:
    """By section, what its lines have more than its payout's amount; no entry where there is nothing."""
    amounts = {payout.payout_ref: (payout.currency, payout.amount) for payout in payouts}
    found = {}
    every = list(lines)
    for section in report.sections:
        currency, amount = amounts[section.of_payout]
        here = [line for line in every if line.section == section.name]
        net = sum((line.net for line in here if line.currency == currency), Decimal(0))
        if net != amount or any(line.currency != currency for line in here):
            found[section.name] = net - amount
    return found
