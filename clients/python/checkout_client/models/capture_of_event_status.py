from typing import Literal, cast

CaptureOfEventStatus = Literal["pending", "refused", "succeeded", "undone"]


def check_capture_of_event_status(value: str) -> CaptureOfEventStatus:
    # A word that is newer than this client is let through.
    return cast(CaptureOfEventStatus, value)
