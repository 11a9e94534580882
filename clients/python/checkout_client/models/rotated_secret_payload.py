from typing import Literal, cast

RotatedSecretPayload = Literal["snapshot", "thin"]


def check_rotated_secret_payload(value: str) -> RotatedSecretPayload:
    # A word that is newer than this client is let through.
    return cast(RotatedSecretPayload, value)
