"""Payouts and entries as CSV: a header, times as ISO 8601, amounts with one point, cells that are no formulas."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final

from checkout_service.api.csv_rows import harmless, written
from checkout_service.server.downloads import END
from checkout_service.settlements.entry_queries import EntryFilters, entries_walk, show_entry
from checkout_service.settlements.queries import PayoutFilters, payouts_walk, show_payout
from checkout_service.settlements.walking import Show, Walk, find_all

PAYOUT_HEADER: Final = (
    *("id", "provider", "account", "reference", "amount", "currency", "status", "state", "itemized", "issued_at"),
    *("arrival_on", "bank_reference", "descriptor", "failed_at", "failure_code", "original_reference", "entries"),
    *("gross", "fee", "net", "residue", "exceptions", "amount_at_bank", "reconciled_at", "version", "created_at"),
    "updated_at",
)
"""The first row of payouts. Amounts are in the payout's currency, times in UTC."""

ENTRY_HEADER: Final = (
    *("id", "provider", "account", "reference", "kind", "type", "gross", "fee", "net", "currency", "customer_amount"),
    *("customer_currency", "rate", "occurred_at", "occurred_local", "available_on", "payout_id", "payout_reference"),
    *("subject", "subject_reference", "payment_reference", "merchant_reference", "description", "file_id", "line"),
    *("withdrawn", "match_states", "resolved_states", "payment_ids", "created_at"),
)
"""The first row of entries. Of several matches, states and payments stand with commas between, each once.

``match_states`` are those that nobody has settled, ``resolved_states`` those that a person has.
"""

# What a provider, a bank or a customer wrote. The rest are ids, words and numbers of ours: a minus before an amount is
# no formula, and with an apostrophe it would be no number either.
_WRITTEN: Final = frozenset(
    {"account", "reference", "bank_reference", "descriptor", "failure_code", "original_reference", "type"}
    | {"occurred_local", "payout_reference", "subject_reference", "payment_reference", "merchant_reference"}
    | {"description", "provider", "currency", "customer_currency"}
)


def payout_pages(filters: PayoutFilters) -> Iterator[bytes]:
    """All payouts that the filters let through, the newest first. Raises DatabaseUnavailableError."""
    return _pages(PAYOUT_HEADER, *payouts_walk(filters), show_payout)


def entry_pages(filters: EntryFilters) -> Generator[bytes]:
    """All entries that the filters let through, the newest first, and a last row that says how many they are.

    Raises DatabaseUnavailableError.
    """
    number = yield from _pages(ENTRY_HEADER, *entries_walk(filters), _flat_entry)
    yield written([[END, str(number), *[None] * (len(ENTRY_HEADER) - 2)]])


def _pages(header: tuple[str, ...], walk: Walk, values: Mapping[str, Any], show: Show) -> Generator[bytes, None, int]:
    # The header comes with the first rows: where these cannot be read, nothing of the file was sent.
    number, first = 0, [header]
    for rows in find_all(walk, values):
        number += len(rows)
        shown = map(show, rows)
        yield written([*first, *([_cell(name, each[name]) for name in header] for each in shown)])
        first = []
    return number


def _flat_entry(row: Any) -> dict[str, Any]:
    shown = show_entry(row)
    matches = shown.pop("matches")
    return shown | {
        "match_states": ", ".join(dict.fromkeys(match["state"] for match in matches if not match["resolved_at"])),
        "resolved_states": ", ".join(dict.fromkeys(match["state"] for match in matches if match["resolved_at"])),
        "payment_ids": ", ".join(dict.fromkeys(match["payment_id"] for match in matches if match["payment_id"])),
    }


def _cell(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return harmless(value) if value and name in _WRITTEN else value
    return str(value).lower() if isinstance(value, bool) else str(value)
