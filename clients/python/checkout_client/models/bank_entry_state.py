from typing import Literal, cast

BankEntryState = Literal[
    "differs", "matched", "missing_there", "not_ours", "proposed", "unknown_here", "unowned_fee", "withdrawn"
]


def check_bank_entry_state(value: str) -> BankEntryState:
    # A word that is newer than this client is let through.
    return cast(BankEntryState, value)
