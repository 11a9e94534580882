from typing import Literal, cast

ShownDeliveryState = Literal["applied", "duplicate", "failed", "ignored", "parked", "received", "rejected"]


def check_shown_delivery_state(value: str) -> ShownDeliveryState:
    # A word that is newer than this client is let through.
    return cast(ShownDeliveryState, value)
