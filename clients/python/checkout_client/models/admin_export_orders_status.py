from typing import Literal, cast

AdminExportOrdersStatus = Literal["canceled", "fulfilled", "on_hold", "partially_fulfilled", "placed", "short"]


def check_admin_export_orders_status(value: str) -> AdminExportOrdersStatus:
    # A word that is newer than this client is let through.
    return cast(AdminExportOrdersStatus, value)
