from typing import Literal, cast

PaymentWithTimelineStatus = Literal[
    "authorized", "canceled", "expired", "failed", "paid", "partially_paid", "pending", "processing", "reversed"
]


def check_payment_with_timeline_status(value: str) -> PaymentWithTimelineStatus:
    # A word that is newer than this client is let through.
    return cast(PaymentWithTimelineStatus, value)
