from typing import Literal, cast

WholePayoutStatus = Literal["canceled", "failed", "in_transit", "paid", "pending"]


def check_whole_payout_status(value: str) -> WholePayoutStatus:
    # A word that is newer than this client is let through.
    return cast(WholePayoutStatus, value)
