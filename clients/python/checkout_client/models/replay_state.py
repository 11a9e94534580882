from typing import Literal, cast

ReplayState = Literal["done", "running", "stopped", "waiting"]


def check_replay_state(value: str) -> ReplayState:
    # A word that is newer than this client is let through.
    return cast(ReplayState, value)
