from typing import Literal, cast

ReadPaymentStatus = Literal[
    "authorized", "canceled", "expired", "failed", "paid", "partially_paid", "pending", "processing", "reversed"
]


def check_read_payment_status(value: str) -> ReadPaymentStatus:
    # A word that is newer than this client is let through.
    return cast(ReadPaymentStatus, value)
