from typing import Literal, cast

RefundStatus = Literal["failed", "processing", "requested", "succeeded"]


def check_refund_status(value: str) -> RefundStatus:
    # A word that is newer than this client is let through.
    return cast(RefundStatus, value)
