"""Entries: what a provider event says of one try to pay, one capture, one dispute, or of the whole payment.

Adapters make them, worker/transitions joins them into the tables of the same names. Amounts are in units of a currency
(ISO 4217) and never negative; moments are aware. A name is the provider's own; '' where it gives none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
)


class DisputeReason(StrEnum):
    """Why the customer or their bank disputes, in words that all providers share."""

    FRAUDULENT = "fraudulent"
    UNRECOGNIZED = "unrecognized"
    NOT_RECEIVED = "not_received"
    NOT_AS_DESCRIBED = "not_as_described"
    DUPLICATE = "duplicate"
    CREDIT_NOT_PROCESSED = "credit_not_processed"
    SUBSCRIPTION_CANCELED = "subscription_canceled"
    PROCESSING_ERROR = "processing_error"
    BANK_CANNOT_PROCESS = "bank_cannot_process"
    """A direct debit that came back: no funds, no such account, no mandate."""
    GENERAL = "general"


class PendingReason(StrEnum):
    """Why a provider keeps money that is under way waiting, in words that all of them share."""

    BANK = "bank"
    """The customer's bank has not paid yet, and may refuse."""
    REVIEW = "review"
    """The provider looks at it, or the customer complained."""
    ACCOUNT = "account"
    """Our own account keeps it: somebody has to take it, or to set something right, in the provider's dashboard."""
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEntry:
    """A try to pay. Joined: the greatest status, amounts and moments.

    ``presumed`` is money that came by this attempt where the provider gives no name for the capture: it gives way to
    captures that name the attempt. ``authorized`` is the promise, ``expires_at`` its end, ``rest_released`` that what
    is authorized and not captured is open no more. ``times_out_at`` is when one under way counts no more. ``replaces``
    is the attempt in whose place this one stands. ``pending`` is why one under way waits, where the provider says so;
    it is shown with the event and not kept with the attempt. ``at`` is when it was so, by the provider's signed clock;
    else the event's ``occurred_at`` counts.
    """

    ref: str = ""
    status: AttemptStatus = AttemptStatus.STARTED
    presumed: Decimal | None = None
    authorized: Decimal | None = None
    currency: str | None = None
    rest_released: bool = False
    expires_at: datetime | None = None
    times_out_at: datetime | None = None
    replaces: str | None = None
    decline: str | None = None
    pending: PendingReason | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureEntry:
    """Money that came, by the provider's name for it. Joined: the greatest status and amount.

    ``amount`` is what was captured under this name so far. ``request_id`` is the id of our capture request where the
    provider gives it back.
    """

    ref: str
    status: CaptureStatus
    amount: Decimal
    currency: str
    attempt_ref: str = ""
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeEntry:
    """A dispute. Its story and its money are joined apart.

    The story counts as one value by (stage, ``at``, ``rank``, the event's id): the greatest is kept, with reason,
    deadline and ``blocks_refund``. ``at`` is a time that the provider signs, None where it signs none; ``rank`` is the
    place of this piece of news among those of one stage, None for that of the status.

    The money: ``step`` counts the movements, 0 for none, and ``money_out`` tells whether this one took money or gave
    it back; the greatest step alone counts. ``amount`` is that of the dispute, the greatest told. Of a presumed dispute
    (``ref`` '') None is all that came, and it counts only while no named dispute of the payment moved money. Of a named
    one None counts as nothing, as does an amount in another currency than the payment's: add a NoticeEntry.
    ``blocks_refund`` holds the amount back only of a named dispute without a movement so far. ``capture_ref`` and
    ``attempt_ref`` tell what is disputed. ``money_only`` is of a movement whose dispute the provider does not name:
    what open disputes of the payment hold back shrinks by what it took, less what disputes that were lost without a
    movement are about, since those come first. So 40 disputed and taken are not 80.
    """

    ref: str
    stage: DisputeStage
    status: DisputeStatus
    at: datetime | None = None
    rank: int | None = None
    reason: DisputeReason | None = None
    evidence_due_at: datetime | None = None
    blocks_refund: bool = False
    step: int = 0
    money_out: bool = False
    money_only: bool = False
    amount: Decimal | None = None
    currency: str | None = None
    capture_ref: str = ""
    attempt_ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedEntry:
    """The provider closed the whole payment unpaid: ``failed``, ``expired`` or ``canceled``."""

    status: PaymentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneUnderWayEntry:
    """The provider was asked at this moment, and named no attempt under way: those reported before are over."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeEntry:
    """What signed data cannot decide. ``ref`` is what it is about, so that an echo is no second notice."""

    reason: ReviewReason
    ref: str
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedVoidEntry:
    """The provider took a void of ours and refused it later. ``void_id`` is our own id of it, given back to us."""

    void_id: str


Entry = AttemptEntry | CaptureEntry | DisputeEntry | ClosedEntry | NoneUnderWayEntry | NoticeEntry | RefusedVoidEntry
