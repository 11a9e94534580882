from typing import Literal, cast

RefundOfEventStatus = Literal["failed", "processing", "requested", "succeeded"]


def check_refund_of_event_status(value: str) -> RefundOfEventStatus:
    # A word that is newer than this client is let through.
    return cast(RefundOfEventStatus, value)
