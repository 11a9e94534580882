from typing import Literal, cast

RotationSigning = Literal["v1", "v1a"]


def check_rotation_signing(value: str) -> RotationSigning:
    # A word that is newer than this client is let through.
    return cast(RotationSigning, value)
