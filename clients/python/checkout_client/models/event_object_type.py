from typing import Literal, cast

EventObjectType = Literal[
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


def check_event_object_type(value: str) -> EventObjectType:
    # A word that is newer than this client is let through.
    return cast(EventObjectType, value)
