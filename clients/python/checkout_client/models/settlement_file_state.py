from typing import Literal, cast

SettlementFileState = Literal["dismissed", "entered", "held", "superseded"]


def check_settlement_file_state(value: str) -> SettlementFileState:
    # A word that is newer than this client is let through.
    return cast(SettlementFileState, value)
