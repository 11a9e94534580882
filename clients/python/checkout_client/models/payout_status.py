from typing import Literal, cast

PayoutStatus = Literal["canceled", "failed", "in_transit", "paid", "pending"]


def check_payout_status(value: str) -> PayoutStatus:
    # A word that is newer than this client is let through.
    return cast(PayoutStatus, value)
