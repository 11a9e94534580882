from typing import Literal, cast

ListPayoutsState = Literal["by_balance", "not_paid", "open", "reconciled", "unmatched"]


def check_list_payouts_state(value: str) -> ListPayoutsState:
    # A word that is newer than this client is let through.
    return cast(ListPayoutsState, value)
