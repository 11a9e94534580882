from typing import Literal, cast

AdminListPaymentsStatus = Literal[
    "authorized", "canceled", "expired", "failed", "paid", "partially_paid", "pending", "processing", "reversed"
]


def check_admin_list_payments_status(value: str) -> AdminListPaymentsStatus:
    # A word that is newer than this client is let through.
    return cast(AdminListPaymentsStatus, value)
