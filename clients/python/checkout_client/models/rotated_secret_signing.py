from typing import Literal, cast

RotatedSecretSigning = Literal["v1", "v1a"]


def check_rotated_secret_signing(value: str) -> RotatedSecretSigning:
    # A word that is newer than this client is let through.
    return cast(RotatedSecretSigning, value)
