"""Every type of event: what its object is, and when it is written.

Fixed names: shops build against them. The objects' bodies are rendered by the database (migrations/events/bodies.sql).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ObjectType(StrEnum):
    """What an event is about; ``id`` is the object's, as the API shows it."""

    CHECKOUT_SESSION = "checkout_session"
    PAYMENT = "payment"
    CAPTURE = "capture"
    CAPTURE_REQUEST = "capture_request"
    REFUND = "refund"
    DISPUTE = "dispute"
    ORDER = "order"
    AUTHORIZATION = "authorization"
    LISTING = "listing"
    PAYOUT = "payout"
    SETTLEMENT_EXCEPTION = "settlement_exception"
    WEBHOOK_ENDPOINT = "webhook_endpoint"


EVENT_TYPES: Final = (
    *(f"checkout.session.{what}" for what in ("opened", "expired", "canceled")),
    *(
        f"payment.{what}"
        for what in (
            "processing",
            "authorized",
            "paid",
            "partially_paid",
            "failed",
            "canceled",
            "expired",
            "voided",
            "reversed",
            "reinstated",
            "flagged",
        )
    ),
    *(f"capture.{what}" for what in ("succeeded", "failed")),
    *(f"refund.{what}" for what in ("requested", "succeeded", "failed")),
    *(
        f"dispute.{what}"
        for what in (
            "opened",
            "updated",
            "funds_withdrawn",
            "funds_reinstated",
            "evidence_due",
            "won",
            "lost",
            "accepted",
            "expired",
        )
    ),
    *(f"order.{what}" for what in ("placed", "partially_fulfilled", "fulfilled", "canceled", "short", "on_hold")),
    "authorization.expiring",
    *(f"stock.{what}" for what in ("low", "sold_out")),
    *(f"payout.{what}" for what in ("reconciled", "reopened", "failed")),
    "settlement.exception",
    *(f"webhook_endpoint.{what}" for what in ("suspended", "disabled", "lagging_out", "lost")),
)
"""All types of the log, in the order of the documentation."""

TEST_TYPE: Final = "webhook_endpoint.test"
"""What `POST …/{id}/test` sends, to that endpoint alone: it is not in the log and has no number."""
