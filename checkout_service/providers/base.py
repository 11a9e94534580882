"""What a provider is, and what the letterbox must know of each: pure values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Protocol
from uuid import UUID

from checkout_service.payments.status import PaymentStatus
from checkout_service.webhooks.envelope import Envelope


class ProviderError(Exception):
    """The provider, or what came in its name, could not be used; one of the three below."""


class ProviderUnavailableError(ProviderError):
    """No answer, or one that says to try again: nothing is known. ``in_progress`` means that a twin is at work."""

    def __init__(self, message: str, *, in_progress: bool = False) -> None:
        super().__init__(message)
        self.in_progress = in_progress


class ProviderRefusedError(ProviderError):
    """The provider understood and said no."""


class UnreadableError(ProviderError):
    """What came cannot be verified or understood. Never retried: the bytes will not get better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A payment that the provider holds ready: its reference, what the client pays with, and what it will take."""

    provider_ref: str
    payment_token: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that a provider vouches for, and the status that it proves.

    ``event_id`` is the same for every delivery of one event. ``raw`` is the body behind it, fit for jsonb.
    ``payment_id`` is our own id where the provider gave it back to us. ``amount_required`` says that a ``paid``
    without amount and currency proves nothing.
    """

    provider: str
    provider_ref: str
    event_id: str
    status: PaymentStatus
    amount: Decimal | None = None
    currency: str | None = None
    occurred_at: datetime | None = None
    payment_id: UUID | None = None
    amount_required: bool = True
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A provider says only that a payment has news; the facts must be looked up."""

    provider: str
    provider_ref: str


class Provider(Protocol):
    """One translator. Every method raises ProviderError and nothing else."""

    name: str

    def open(self, *, payment_id: UUID, amount: Decimal, currency: str) -> Opened:
        """Open a payment. The payment id is the provider's idempotency key and travels in its metadata."""

    def read(self, envelope: Envelope) -> Sequence[Fact | Hint]:
        """Verify and parse a letter in one act; empty when it is genuine and says nothing that we keep."""

    def look_up(self, *, provider_ref: str) -> Sequence[Fact]:
        """Ask for the truth about one payment; empty when it is still open."""

    def cancel(self, *, provider_ref: str) -> Sequence[Fact]:
        """Make sure that it can no longer be paid, and say what became of it instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """What the letterbox must know of a provider: never a secret, never how to open a letter."""

    body: Literal["json", "form"]
    headers: tuple[str, ...] = ()
    production: bool = True


LETTERHEADS: dict[str, Letterhead] = {
    "mock": Letterhead(body="json", production=False),
}
"""By provider. A provider that was switched off stays here: its letters about old payments must still be taken."""
