from typing import Literal, cast

ReadSessionStatus = Literal[
    "authorized", "canceled", "expired", "failed", "paid", "partially_paid", "pending", "processing", "reversed"
]


def check_read_session_status(value: str) -> ReadSessionStatus:
    # A word that is newer than this client is let through.
    return cast(ReadSessionStatus, value)
