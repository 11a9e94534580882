from typing import Literal, cast

WholePaymentStatus = Literal[
    "authorized", "canceled", "expired", "failed", "paid", "partially_paid", "pending", "processing", "reversed"
]


def check_whole_payment_status(value: str) -> WholePaymentStatus:
    # A word that is newer than this client is let through.
    return cast(WholePaymentStatus, value)
