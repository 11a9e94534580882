"""A provider that says what a test tells it to: a real implementation of the protocol, with no opinions of its own."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import Contents, Fact, Hint, Opened, Reference, RefundFact
from checkout_service.providers.raw_webhook import Envelope

Said = Sequence[Fact | RefundFact | Hint] | Exception


class ScriptedProvider:
    """``letters`` by body, ``truths`` and ``cancellations`` by reference, ``refunds`` by id.

    An exception among them is raised.
    """

    name = "mock"
    asks = False

    def __init__(self) -> None:
        self.letters: dict[bytes, Said] = {}
        self.truths: dict[str, Any] = {}
        self.cancellations: dict[str, Any] = {}
        self.refunds: dict[UUID, Any] = {}
        self.asked: list[str] = []
        self.refunded: list[tuple[UUID, Decimal]] = []
        self.canceled: list[str] = []
        self._lock = Lock()

    def open(self, *, payment_id: UUID, amount: Decimal, currency: str) -> Opened:
        return Opened(provider_ref=payment_id.hex, payment_token=payment_id.hex, amount=amount, currency=currency)

    def read(self, envelope: Envelope) -> Contents:
        return Contents(said=_say(self.letters.get(envelope.body, [])))

    def look_up(self, reference: Reference) -> Sequence[Fact | RefundFact]:
        with self._lock:
            self.asked.append(reference.provider_ref)
        return _say(self.truths.get(reference.provider_ref, []))

    def cancel(self, reference: Reference) -> Sequence[Fact | RefundFact]:
        with self._lock:
            self.canceled.append(reference.provider_ref)
        return _say(self.cancellations.get(reference.provider_ref, [fact(reference.provider_ref, "canceled")]))

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[Fact | RefundFact]:
        with self._lock:
            self.refunded.append((refund_id, amount))
        return _say(self.refunds.get(refund_id, []))


def fact(reference: str, status: str, **values: Any) -> Fact:
    """A fact of the scripted provider; a paid one needs no amount unless the test says so."""
    given: dict[str, Any] = {"event_id": f"evt_{uuid4().hex}", "amount_required": False} | values
    return Fact(provider=ScriptedProvider.name, provider_ref=reference, status=PaymentStatus(status), **given)


def hint(reference: str, *, genuine: bool = True) -> Hint:
    return Hint(provider=ScriptedProvider.name, provider_ref=reference, genuine=genuine)


def _say(said: Any) -> Any:
    if isinstance(said, Exception):
        raise said
    return said() if callable(said) else said
