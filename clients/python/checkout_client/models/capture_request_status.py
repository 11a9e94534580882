from typing import Literal, cast

CaptureRequestStatus = Literal["failed", "processing", "requested", "succeeded"]


def check_capture_request_status(value: str) -> CaptureRequestStatus:
    # A word that is newer than this client is let through.
    return cast(CaptureRequestStatus, value)
