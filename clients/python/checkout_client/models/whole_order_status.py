from typing import Literal, cast

WholeOrderStatus = Literal["canceled", "fulfilled", "on_hold", "partially_fulfilled", "placed", "short"]


def check_whole_order_status(value: str) -> WholeOrderStatus:
    # A word that is newer than this client is let through.
    return cast(WholeOrderStatus, value)
