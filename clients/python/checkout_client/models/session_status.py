from typing import Literal, cast

SessionStatus = Literal[
    "authorized", "canceled", "expired", "failed", "paid", "partially_paid", "pending", "processing", "reversed"
]


def check_session_status(value: str) -> SessionStatus:
    # A word that is newer than this client is let through.
    return cast(SessionStatus, value)
