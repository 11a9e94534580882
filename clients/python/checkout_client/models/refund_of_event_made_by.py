from typing import Literal, cast

RefundOfEventMadeBy = Literal["provider", "request"]


def check_refund_of_event_made_by(value: str) -> RefundOfEventMadeBy:
    # A word that is newer than this client is let through.
    return cast(RefundOfEventMadeBy, value)
