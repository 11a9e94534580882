from typing import Literal, cast

DeliveryState = Literal["delivered", "failed", "waiting"]


def check_delivery_state(value: str) -> DeliveryState:
    # A word that is newer than this client is let through.
    return cast(DeliveryState, value)
