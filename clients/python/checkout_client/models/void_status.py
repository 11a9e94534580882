from typing import Literal, cast

VoidStatus = Literal["failed", "processing", "requested", "succeeded"]


def check_void_status(value: str) -> VoidStatus:
    # A word that is newer than this client is let through.
    return cast(VoidStatus, value)
