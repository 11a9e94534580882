"""What can happen to a payment, each kind of entry a type. All times are UTC; ``at`` is when it happened here.

Amounts are in the entry's currency. Names are the provider's own, '' where it gives none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from checkout_service.delivery_states import DeliveryState
from checkout_service.payments.look_up_log import LoggedQuestion
from checkout_service.payments.outcomes import EventOutcome
from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
    RefundStatus,
    RequestStatus,
)


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
    """A refund and its status now. ``requested_by`` is None where it was made in the provider's dashboard.

    ``of`` is the provider's name of the capture, or of the attempt, that it is of; None where nobody named one.
    """

    at: datetime
    refund_id: UUID
    provider_ref: str | None
    amount: Decimal
    currency: str
    status: RefundStatus
    reason: str | None
    decline: str | None
    requested_by: UUID | None
    of: str | None
    attempts: int
    detail: str | None
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEntered:
    """A try to pay and its status now.

    ``presumed`` is money that came by it where no capture has a name, ``authorized`` what it promised until
    ``expires_at``, unless ``rest_released``. One that is under way counts no more after ``times_out_at``, and was given
    up at ``given_up_at``. ``replaces`` is the attempt in whose place it stands, ``reported_at`` its newest news.
    """

    at: datetime
    name: str
    status: AttemptStatus
    reported_at: datetime
    presumed: Decimal | None
    authorized: Decimal | None
    currency: str
    rest_released: bool
    expires_at: datetime | None
    times_out_at: datetime | None
    given_up_at: datetime | None
    replaces: str | None
    decline: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureEntered:
    """Money that came by this name, and its status now. ``of`` is the attempt."""

    at: datetime
    capture_id: UUID
    name: str
    of: str
    status: CaptureStatus
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeEntered:
    """A dispute as it is now.

    ``amount_lost`` is what it took and did not give back, whatever its status says; ``blocks_refund`` that it took
    nothing yet and holds its amount back. ``evidence_at`` is where evidence is sent, ``of`` what is disputed.
    """

    at: datetime
    name: str
    of: str
    stage: DisputeStage
    status: DisputeStatus
    reason: str | None
    amount: Decimal | None
    amount_lost: Decimal
    currency: str
    blocks_refund: bool
    evidence_due_at: datetime | None
    evidence_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRequested:
    """Somebody asked to capture. ``final`` releases what is authorized besides."""

    at: datetime
    request_id: UUID
    name: str | None
    of: str
    amount: Decimal
    currency: str
    final: bool
    status: RequestStatus
    decline: str | None
    requested_by: UUID
    attempts: int
    detail: str | None
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidRequested:
    """Somebody asked to void what is authorized."""

    at: datetime
    request_id: UUID
    status: RequestStatus
    decline: str | None
    requested_by: UUID
    attempts: int
    detail: str | None
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentClosed:
    """The provider closed the whole payment unpaid: failed, expired or canceled."""

    at: datetime
    status: PaymentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountAccepted:
    """An operator accepted this amount in place of the payment's."""

    at: datetime
    amount: Decimal
    currency: str
    operator: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeEntered:
    """Something that the provider's data cannot decide, for a person. ``ref`` is what it is about."""

    at: datetime
    reason: str
    ref: str
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonSeen:
    """A person saw a reason with these amounts: it is hidden while the amounts are those."""

    at: datetime
    reason: str
    amounts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced:
    """The payment's order was made. No number for moments."""

    at: datetime
    order_id: UUID
    number: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFulfilled:
    """So many pieces of the order were handed over."""

    at: datetime
    fulfilment_id: UUID
    pieces: int
    carrier: str | None
    tracking: str | None
    requested_by: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCanceled:
    """Somebody canceled the order."""

    at: datetime
    cancellation_id: UUID
    reason: str | None
    requested_by: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOrderMade:
    """Money came or is authorized, and there is no order for it; ``other`` is the payment that has it instead."""

    at: datetime
    reason: str
    other: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEventRecorded:
    """An event about the payment, what it was about, and what it did.

    ``status`` is what it says of the payment itself, None where that is nothing; ``about`` are the entries that it
    names, in words. ``delivery_id`` is the webhook that brought it; None where the provider was asked. ``occurred_at``
    is the provider's own time.
    """

    at: datetime
    event_id: str
    delivery_id: UUID | None
    status: PaymentStatus | None
    amount: Decimal | None
    currency: str | None
    outcome: EventOutcome
    occurred_at: datetime | None
    about: Sequence[Mapping[str, str]] = ()


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
    | AttemptEntered
    | CaptureRequested
    | VoidRequested
    | CaptureEntered
    | RefundEntered
    | DisputeEntered
    | PaymentClosed
    | AmountAccepted
    | NoticeEntered
    | ReasonSeen
    | OrderPlaced
    | OrderFulfilled
    | OrderCanceled
    | NoOrderMade
    | LoggedQuestion
    | PaymentEventRecorded
    | RefundEventRecorded
)
"""One entry of a payment's timeline."""
