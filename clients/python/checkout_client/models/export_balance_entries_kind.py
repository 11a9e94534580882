from typing import Literal, cast

ExportBalanceEntriesKind = Literal[
    "adjustment",
    "bank",
    "capture",
    "conversion",
    "dispute",
    "dispute_reversal",
    "fee",
    "payout",
    "payout_reversal",
    "refund",
    "refund_failure",
    "release",
    "reserve",
    "rounding",
    "transfer",
    "unknown",
]


def check_export_balance_entries_kind(value: str) -> ExportBalanceEntriesKind:
    # A word that is newer than this client is let through.
    return cast(ExportBalanceEntriesKind, value)
