from typing import Literal, cast

OrderStatus = Literal["canceled", "fulfilled", "on_hold", "partially_fulfilled", "placed", "short"]


def check_order_status(value: str) -> OrderStatus:
    # A word that is newer than this client is let through.
    return cast(OrderStatus, value)
