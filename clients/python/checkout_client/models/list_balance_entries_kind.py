from typing import Literal, cast

ListBalanceEntriesKind = Literal[
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


def check_list_balance_entries_kind(value: str) -> ListBalanceEntriesKind:
    # A word that is newer than this client is let through.
    return cast(ListBalanceEntriesKind, value)
