from typing import Literal, cast

ListBalanceEntriesWithdrawn = Literal["false", "true"]


def check_list_balance_entries_withdrawn(value: str) -> ListBalanceEntriesWithdrawn:
    # A word that is newer than this client is let through.
    return cast(ListBalanceEntriesWithdrawn, value)
