from typing import Literal, cast

RefundMadeBy = Literal["provider", "request"]


def check_refund_made_by(value: str) -> RefundMadeBy:
    # A word that is newer than this client is let through.
    return cast(RefundMadeBy, value)
