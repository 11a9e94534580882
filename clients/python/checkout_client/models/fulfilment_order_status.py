from typing import Literal, cast

FulfilmentOrderStatus = Literal["canceled", "fulfilled", "on_hold", "partially_fulfilled", "placed", "short"]


def check_fulfilment_order_status(value: str) -> FulfilmentOrderStatus:
    # A word that is newer than this client is let through.
    return cast(FulfilmentOrderStatus, value)
