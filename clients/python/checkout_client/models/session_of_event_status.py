from typing import Literal, cast

SessionOfEventStatus = Literal[
    "authorized", "canceled", "expired", "failed", "paid", "partially_paid", "pending", "processing", "reversed"
]


def check_session_of_event_status(value: str) -> SessionOfEventStatus:
    # A word that is newer than this client is let through.
    return cast(SessionOfEventStatus, value)
