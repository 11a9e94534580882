"""Adyen's settlement details reports, as its documented columns make them, of several years."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from checkout_service.providers.adapters.adyen.reports import read_report
from checkout_service.providers.reports import Report, ReportLine

CLASSIC = [
    *("Company Account", "Merchant Account", "Psp Reference", "Merchant Reference", "Payment Method", "Creation Date"),
    *("TimeZone", "Type", "Modification Reference", "Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)"),
    *("Exchange Rate", "Net Currency", "Net Debit (NC)", "Net Credit (NC)", "Commission (NC)", "Markup (NC)"),
    *("Scheme Fees (NC)", "Interchange (NC)", "Payment Method Variant", "Modification Merchant Reference"),
    *("Batch Number", *(f"Reserved{number}" for number in range(4, 11))),
]

BOOKED = ["Booking Date", "Booking Date TimeZone"]

OF_2021 = [
    *(name for name in CLASSIC if name != "Modification Merchant Reference"),
    "Modification Merchant Reference",
    *BOOKED,
]

OF_2025 = [
    *CLASSIC,
    *BOOKED,
    *("Metadata", "Balance Currency", "Net Debit (BC)", "Net Credit (BC)", "Payment Fees (NC)", "DCC Markup (NC)"),
    *("Funds Destination", "Balance Platform Debit", "Balance Platform Credit", "Shopper Country", "Clearing Network"),
    *(
        "Merchant Order Reference",
        "Dispute Reference",
        "ARN",
        "Settlement Flow",
        "Authorisation Code",
        "Gross Fees (NC)",
    ),
]

OF_A_VENDOR = [
    *(
        name
        for name in CLASSIC
        if not name.startswith("Reserved") and name not in {"Scheme Fees (NC)", "Interchange (NC)"}
    ),
    *("DCC Markup (NC)", "Surcharge Amount", "Merchant Order Reference", "Scheme Fees (NC)", "Interchange (NC)"),
    *("Payment Fees (NC)", "Creation Date (AMS)"),
]

VARIANTS = {
    "classic": CLASSIC,
    "2021": OF_2021,
    "2025": OF_2025,
    "a vendor's": OF_A_VENDOR,
    "backwards": [*reversed(OF_2025)],
}

SHOP = "HarbourBooksECOM"


def row(type_: str = "Settled", **cells: str) -> dict[str, str]:
    """A row of batch 41 by the names of its columns; underscores stand for blanks, ``nc`` and ``gc`` for brackets."""
    given = {
        "Company Account": "HarbourBooks",
        "Merchant Account": SHOP,
        "Creation Date": "2026-11-23 09:12:44",
        "TimeZone": "CET",
        "Type": type_,
        "Net Currency": "EUR",
        "Batch Number": "41",
    }
    for name, value in cells.items():
        words = [f"({word.upper()})" if word in {"nc", "gc", "ams"} else word.capitalize() for word in name.split("_")]
        given[" ".join(words).replace("Timezone", "TimeZone").replace("Dcc", "DCC")] = value
    return given


def settled(number: int = 1, gross: str = "100.00", net: str = "98.90", **cells: str) -> dict[str, str]:
    fee = Decimal(gross) - Decimal(net)
    return row(
        **{
            "psp_reference": f"PSP{number:013}",
            "modification_reference": f"MOD{number:013}",
            "merchant_reference": f"adyen_{number:032x}",
            "gross_currency": "EUR",
            "gross_credit_gc": gross,
            "exchange_rate": "1",
            "net_credit_nc": net,
            "markup_nc": f"{fee - fee / 2}",
            "interchange_nc": f"{fee / 2}",
            "modification_merchant_reference": "<auto>",
        }
        | cells
    )


def payout(amount: str, **cells: str) -> dict[str, str]:
    text = f"TX900000000041XT batch 41, {SHOP}"
    return row("MerchantPayout", **{"modification_reference": text, "net_debit_nc": amount} | cells)


def csv_of(rows: Iterable[dict[str, str]], columns: Sequence[str] = CLASSIC) -> bytes:
    """The file, written by none of our code: a cell with a comma, a quote or a line's end in quotes."""

    def cell(value: str) -> str:
        quoted = value.replace('"', '""')
        return f'"{quoted}"' if any(mark in value for mark in ',"\n') else value

    lines = [",".join(map(cell, columns))]
    lines += [",".join(cell(each.get(name, "")) for name in columns) for each in rows]
    return ("\n".join(lines) + "\n").encode()


def read(content: bytes | Path, *, account: str = "", name: str = "report.csv") -> tuple[Report, list[ReportLine]]:
    data = content.read_bytes() if isinstance(content, Path) else content
    report = read_report(io.BytesIO(data), name=name, account=account)
    return report, list(report.lines)


def residues(report: Report, lines: Sequence[ReportLine]) -> dict[str, Decimal]:
    """By section how far its lines are from its payout: what a file is held for, as the seam says it."""
    amounts = {(payout.account, payout.payout_ref): payout.amount for payout in report.payouts}
    found = {}
    for section in report.sections:
        mine = [line for line in lines if (line.account, line.section) == (section.account, section.name)]
        found[f"{section.account} {section.name}"] = (
            sum((line.net for line in mine), Decimal(0)) - amounts[section.account, section.of_payout]
        )
    return {name: residue for name, residue in found.items() if residue}


def money(line: ReportLine) -> tuple[Any, ...]:
    return line.kind.value, line.gross, line.fee, line.net, line.currency
