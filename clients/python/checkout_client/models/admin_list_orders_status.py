from typing import Literal, cast

AdminListOrdersStatus = Literal["canceled", "fulfilled", "on_hold", "partially_fulfilled", "placed", "short"]


def check_admin_list_orders_status(value: str) -> AdminListOrdersStatus:
    # A word that is newer than this client is let through.
    return cast(AdminListOrdersStatus, value)
