from typing import Literal, cast

ExportPayoutsStatus = Literal["canceled", "failed", "in_transit", "paid", "pending"]


def check_export_payouts_status(value: str) -> ExportPayoutsStatus:
    # A word that is newer than this client is let through.
    return cast(ExportPayoutsStatus, value)
