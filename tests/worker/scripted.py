"""A provider that says what a test tells it to: a real implementation of the protocol, with no opinions of its own."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import Fact, Hint, Opened
from checkout_service.webhooks.envelope import Envelope

Said = Sequence[Fact | Hint] | Exception


class ScriptedProvider:
    """``letters`` by body, ``truths`` and ``cancellations`` by reference; an exception among them is raised."""

    name = "mock"

    def __init__(self) -> None:
        self.letters: dict[bytes, Said] = {}
        self.truths: dict[str, Any] = {}
        self.cancellations: dict[str, Any] = {}
        self.asked: list[str] = []
        self.canceled: list[str] = []
        self._lock = Lock()

    def open(self, *, payment_id: UUID, amount: Decimal, currency: str) -> Opened:
        return Opened(provider_ref=payment_id.hex, payment_token=payment_id.hex, amount=amount, currency=currency)

    def read(self, envelope: Envelope) -> Sequence[Fact | Hint]:
        return _say(self.letters.get(envelope.body, []))

    def look_up(self, *, provider_ref: str) -> Sequence[Fact]:
        with self._lock:
            self.asked.append(provider_ref)
        return _say(self.truths.get(provider_ref, []))

    def cancel(self, *, provider_ref: str) -> Sequence[Fact]:
        with self._lock:
            self.canceled.append(provider_ref)
        return _say(self.cancellations.get(provider_ref, [fact(provider_ref, "canceled")]))


def fact(reference: str, status: str, **values: Any) -> Fact:
    """A fact of the scripted provider; a paid one needs no amount unless the test says so."""
    given: dict[str, Any] = {"event_id": f"evt_{uuid4().hex}", "amount_required": False} | values
    return Fact(provider=ScriptedProvider.name, provider_ref=reference, status=PaymentStatus(status), **given)


def hint(reference: str) -> Hint:
    return Hint(provider=ScriptedProvider.name, provider_ref=reference)


def _say(said: Any) -> Any:
    if isinstance(said, Exception):
        raise said
    return said() if callable(said) else said
