from typing import Literal, cast

OrderRefundStatus = Literal["failed", "processing", "requested", "succeeded"]


def check_order_refund_status(value: str) -> OrderRefundStatus:
    # A word that is newer than this client is let through.
    return cast(OrderRefundStatus, value)
