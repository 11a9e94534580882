from typing import Literal, cast

EntryMatchState = Literal[
    "differs", "matched", "missing_there", "not_ours", "proposed", "unknown_here", "unowned_fee", "withdrawn"
]


def check_entry_match_state(value: str) -> EntryMatchState:
    # A word that is newer than this client is let through.
    return cast(EntryMatchState, value)
