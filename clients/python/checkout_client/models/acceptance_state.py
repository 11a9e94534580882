from typing import Literal, cast

AcceptanceState = Literal["done", "refused", "running", "stopped", "waiting"]


def check_acceptance_state(value: str) -> AcceptanceState:
    # A word that is newer than this client is let through.
    return cast(AcceptanceState, value)
