from typing import Literal, cast

EntryKind = Literal[
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


def check_entry_kind(value: str) -> EntryKind:
    # A word that is newer than this client is let through.
    return cast(EntryKind, value)
