from typing import Literal, cast

WholeStaffOrderStatus = Literal["canceled", "fulfilled", "on_hold", "partially_fulfilled", "placed", "short"]


def check_whole_staff_order_status(value: str) -> WholeStaffOrderStatus:
    # A word that is newer than this client is let through.
    return cast(WholeStaffOrderStatus, value)
