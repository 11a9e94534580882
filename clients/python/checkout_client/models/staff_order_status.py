from typing import Literal, cast

StaffOrderStatus = Literal["canceled", "fulfilled", "on_hold", "partially_fulfilled", "placed", "short"]


def check_staff_order_status(value: str) -> StaffOrderStatus:
    # A word that is newer than this client is let through.
    return cast(StaffOrderStatus, value)
