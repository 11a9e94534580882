"""A provider that says what a test tells it to: a real implementation of the protocol, with no opinions of its own."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import (
    Opened,
    Opening,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    Reference,
    ThinEvent,
)
from checkout_service.providers.raw_webhook import RawWebhook

Scripted = Sequence[ProviderEvent | ProviderRefundEvent | ThinEvent] | ParsedWebhook | Exception


class ScriptedProvider:
    """``webhooks`` by body, ``truths`` and ``cancellations`` by reference, ``refunds``, ``captures``, ``voids`` by id.

    An exception among them is raised.
    """

    name = "mock"
    asks = False

    def __init__(self) -> None:
        self.webhooks: dict[bytes, Scripted] = {}
        self.truths: dict[str, Any] = {}
        self.cancellations: dict[str, Any] = {}
        self.refunds: dict[UUID, Any] = {}
        self.looked_up: list[str] = []
        self.refunded: list[tuple[UUID, Decimal]] = []
        self.canceled: list[str] = []
        self.references: list[Reference] = []
        self.captures: dict[UUID, Any] = {}
        self.captured: list[tuple[UUID, Decimal, bool]] = []
        self.voids: dict[UUID, Any] = {}
        self.voided: list[tuple[UUID, str | None]] = []
        self._lock = Lock()

    def open(self, opening: Opening) -> Opened:
        name = opening.payment_id.hex
        return Opened(provider_ref=name, payment_token=name, amount=opening.amount, currency=opening.currency)

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        parsed = _say(self.webhooks.get(raw_webhook.body, []))
        return parsed if isinstance(parsed, ParsedWebhook) else ParsedWebhook(events=parsed)

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        with self._lock:
            self.looked_up.append(reference.provider_ref)
        return _say(self.truths.get(reference.provider_ref, []))

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        with self._lock:
            self.canceled.append(reference.provider_ref)
        return _say(self.cancellations.get(reference.provider_ref, [event(reference.provider_ref, "canceled")]))

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        with self._lock:
            self.refunded.append((refund_id, amount))
            self.references.append(reference)
        return _say(self.refunds.get(refund_id, []))

    def capture(
        self, reference: Reference, *, request_id: UUID, amount: Decimal, final: bool
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        with self._lock:
            self.captured.append((request_id, amount, final))
            self.references.append(reference)
        return _say(self.captures.get(request_id, []))

    def void(self, reference: Reference, *, void_id: UUID) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        with self._lock:
            self.voided.append((void_id, reference.attempt_ref))
        return _say(self.voids.get(void_id, []))


def event(reference: str, status: str, **values: Any) -> ProviderEvent:
    """An event of the scripted provider; a paid one needs no amount unless the test says so."""
    given: dict[str, Any] = {"event_id": f"evt_{uuid4().hex}", "amount_required": False} | values
    return ProviderEvent(provider=ScriptedProvider.name, provider_ref=reference, status=PaymentStatus(status), **given)


def thin_event(reference: str, *, verified: bool = True) -> ThinEvent:
    return ThinEvent(provider=ScriptedProvider.name, provider_ref=reference, verified=verified)


def _say(scripted: Any) -> Any:
    if isinstance(scripted, Exception):
        raise scripted
    return scripted() if callable(scripted) else scripted
