from typing import Literal, cast

ExportBalanceEntriesMatchState = Literal[
    "differs", "matched", "not_ours", "proposed", "unknown_here", "unowned_fee", "withdrawn"
]


def check_export_balance_entries_match_state(value: str) -> ExportBalanceEntriesMatchState:
    # A word that is newer than this client is let through.
    return cast(ExportBalanceEntriesMatchState, value)
