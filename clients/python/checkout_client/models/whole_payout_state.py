from typing import Literal, cast

WholePayoutState = Literal["by_balance", "not_paid", "open", "reconciled", "unmatched"]


def check_whole_payout_state(value: str) -> WholePayoutState:
    # A word that is newer than this client is let through.
    return cast(WholePayoutState, value)
