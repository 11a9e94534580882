from typing import Literal, cast

PayoutSumKind = Literal[
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


def check_payout_sum_kind(value: str) -> PayoutSumKind:
    # A word that is newer than this client is let through.
    return cast(PayoutSumKind, value)
