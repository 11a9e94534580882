from typing import Literal, cast

ListBalanceEntriesMatchState = Literal[
    "differs", "matched", "not_ours", "proposed", "unknown_here", "unowned_fee", "withdrawn"
]


def check_list_balance_entries_match_state(value: str) -> ListBalanceEntriesMatchState:
    # A word that is newer than this client is let through.
    return cast(ListBalanceEntriesMatchState, value)
