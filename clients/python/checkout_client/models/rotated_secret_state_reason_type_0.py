from typing import Literal, cast

RotatedSecretStateReasonType0 = Literal["deleted", "failing", "gone", "requested", "stale"]


def check_rotated_secret_state_reason_type_0(value: str) -> RotatedSecretStateReasonType0:
    # A word that is newer than this client is let through.
    return cast(RotatedSecretStateReasonType0, value)
