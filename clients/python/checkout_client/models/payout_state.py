from typing import Literal, cast

PayoutState = Literal["by_balance", "not_paid", "open", "reconciled", "unmatched"]


def check_payout_state(value: str) -> PayoutState:
    # A word that is newer than this client is let through.
    return cast(PayoutState, value)
