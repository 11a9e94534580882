from typing import Literal, cast

ThinObjectType = Literal[
    "authorization",
    "capture",
    "capture_request",
    "checkout_session",
    "dispute",
    "listing",
    "order",
    "payment",
    "payout",
    "refund",
    "settlement_exception",
    "webhook_endpoint",
]


def check_thin_object_type(value: str) -> ThinObjectType:
    # A word that is newer than this client is let through.
    return cast(ThinObjectType, value)
