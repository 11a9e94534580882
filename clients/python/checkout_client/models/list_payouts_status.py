from typing import Literal, cast

ListPayoutsStatus = Literal["canceled", "failed", "in_transit", "paid", "pending"]


def check_list_payouts_status(value: str) -> ListPayoutsStatus:
    # A word that is newer than this client is let through.
    return cast(ListPayoutsStatus, value)
