from typing import Literal, cast

StaffPaymentStatus = Literal[
    "authorized", "canceled", "expired", "failed", "paid", "partially_paid", "pending", "processing", "reversed"
]


def check_staff_payment_status(value: str) -> StaffPaymentStatus:
    # A word that is newer than this client is let through.
    return cast(StaffPaymentStatus, value)
