from typing import Literal, cast

CanceledOrderOrderStatus = Literal["canceled", "fulfilled", "on_hold", "partially_fulfilled", "placed", "short"]


def check_canceled_order_order_status(value: str) -> CanceledOrderOrderStatus:
    # A word that is newer than this client is let through.
    return cast(CanceledOrderOrderStatus, value)
