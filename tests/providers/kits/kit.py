"""What the contract suite must know of a provider to try it: one kit a provider, in a file of its name with ``KIT``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

import httpx

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import Provider, Reference
from checkout_service.providers.raw_webhook import RawWebhook

Answer = Callable[[httpx.Request], httpx.Response]
"""A provider's server, as httpx.MockTransport takes it."""

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
PAYMENT_ID = UUID("6a1f0c3f-5f0e-5d7c-9f3b-1d2e4c5a6b7d")
REFUND_ID = UUID("0b9f4f5a-2f63-5d53-8d28-0d9f0c4f8a11")
AMOUNT, CURRENCY = Decimal("240.00"), "USD"


@dataclass(frozen=True, kw_only=True)
class SignedWebhook:
    """A body and its headers (names in lower case), as the webhook receiver keeps them."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def raw(self, provider: str, received_at: datetime = NOW) -> RawWebhook:
        return RawWebhook(provider=provider, headers=self.headers, body=self.body, received_at=received_at)


class Bank(Protocol):
    """A provider's server that honours idempotency keys: what it holds open, by its own references.

    It takes PAYMENT_ID or any other payment, and answers look-ups, cancellations and refunds of what it holds;
    ``pay`` lets a customer pay one.
    """

    payments: dict[str, object]
    refunds: dict[str, object]

    def __call__(self, request: httpx.Request) -> httpx.Response: ...

    def pay(self, provider_ref: str) -> None: ...


class Kit(Protocol):
    """A provider to be tried.

    ``secrets`` are three that an account may have (as <PROVIDER>_WEBHOOK_SECRETS holds them), none equal; fewer where
    the provider has none to rotate. ``statuses`` are those that its webhooks can prove, ``refunds`` those of refunds.
    Both are empty where its webhooks are thin events, signed or not. ``timed``: the signature covers a time. ``signed``
    is False where a webhook proves nothing and is a thin event.
    """

    name: str
    secrets: Sequence[str]
    statuses: Sequence[PaymentStatus]
    refunds: Sequence[RefundStatus]
    timed: bool
    signed: bool

    def provider(self, *secrets: str, answer: Answer | None = None) -> Provider:
        """The provider whose webhooks have these live secrets (none: the first of ``secrets``), and whose server is
        ``answer``; without one, any call fails the test."""

    def webhook(
        self,
        status: PaymentStatus | RefundStatus | None,
        *,
        secret: str | None = None,
        signed_at: datetime = NOW,
        event: int = 1,
        provider_ref: str | None = None,
        amount: Decimal = AMOUNT,
    ) -> SignedWebhook:
        """A verified webhook that proves the status of PAYMENT_ID (of a refund of all of it: REFUND_ID), about AMOUNT
        and CURRENCY; None is an event of a kind that nobody knows. ``secret`` is the first of ``secrets`` unless
        it is named, and ``event`` tells apart what are different events."""

    def sealed(self, body: bytes) -> SignedWebhook:
        """Any body at all, with the signature that its provider would put on it, as far as one can be."""

    def reference(self) -> Reference:
        """The payment that ``webhook`` speaks of unless told otherwise, as we know it."""

    def unverified_in_batch(self) -> SignedWebhook | None:
        """A webhook of several items, of which the last alone is unverified; None where a webhook has one item."""

    def bank(self) -> Bank:
        """A server of the provider, empty."""
