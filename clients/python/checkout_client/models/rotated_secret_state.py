from typing import Literal, cast

RotatedSecretState = Literal["disabled", "enabled", "suspended"]


def check_rotated_secret_state(value: str) -> RotatedSecretState:
    # A word that is newer than this client is let through.
    return cast(RotatedSecretState, value)
