"""What can happen to a payment, each kind of entry a type. All times are UTC; ``at`` is when it happened here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from checkout_service.delivery_states import DeliveryState
from checkout_service.payments.look_up_log import LoggedQuestion
from checkout_service.payments.outcomes import EventOutcome
from checkout_service.payments.status import PaymentStatus, RefundStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened:
    """A customer asked to pay. ``lines`` is how many lines of the cart the amount is for."""

    at: datetime
    cart_id: UUID
    idempotency_key: str
    amount: Decimal
    currency: str
    lines: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """Somebody asked to cancel the payment. No next attempt: nothing is left to do."""

    at: datetime
    requested_by: UUID
    attempts: int
    detail: str | None
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookReceived:
    """A webhook that speaks of the payment, verified or not, and its state now."""

    at: datetime
    delivery_id: UUID
    state: DeliveryState
    attempts: int
    detail: str | None
    next_attempt_at: datetime | None
    processed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundEntered:
    """A refund and its status now. ``requested_by`` is None where it was made in the provider's dashboard."""

    at: datetime
    refund_id: UUID
    provider_ref: str | None
    amount: Decimal
    currency: str
    status: RefundStatus
    reason: str | None
    decline: str | None
    requested_by: UUID | None
    attempts: int
    detail: str | None
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEventRecorded:
    """An event about the payment, the status that it proves, and what it did.

    ``delivery_id`` is the webhook that brought it; None where the provider was asked. ``occurred_at`` is the provider's
    own time.
    """

    at: datetime
    event_id: str
    delivery_id: UUID | None
    status: PaymentStatus
    amount: Decimal | None
    currency: str | None
    outcome: EventOutcome
    occurred_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundEventRecorded:
    """An event about one of the payment's refunds; otherwise like ``PaymentEventRecorded``."""

    at: datetime
    event_id: str
    delivery_id: UUID | None
    status: RefundStatus
    amount: Decimal | None
    currency: str | None
    outcome: EventOutcome
    occurred_at: datetime | None


Entry = (
    SessionOpened
    | CancelRequested
    | WebhookReceived
    | RefundEntered
    | LoggedQuestion
    | PaymentEventRecorded
    | RefundEventRecorded
)
"""One entry of a payment's timeline."""
