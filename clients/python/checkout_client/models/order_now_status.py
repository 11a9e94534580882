from typing import Literal, cast

OrderNowStatus = Literal["canceled", "fulfilled", "on_hold", "partially_fulfilled", "placed", "short"]


def check_order_now_status(value: str) -> OrderNowStatus:
    # A word that is newer than this client is let through.
    return cast(OrderNowStatus, value)
