from typing import Literal, cast

PaymentStatus = Literal[
    "authorized", "canceled", "expired", "failed", "paid", "partially_paid", "pending", "processing", "reversed"
]


def check_payment_status(value: str) -> PaymentStatus:
    # A word that is newer than this client is let through.
    return cast(PaymentStatus, value)
