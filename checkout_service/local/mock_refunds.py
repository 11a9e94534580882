"""The refunds that the mock provider's server holds: each key makes one, and their sum stays within what was paid."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

STATUSES: Final = frozenset({"requested", "processing", "succeeded", "failed"})


class Refunds:
    """By payment and key. Not safe for threads: its bank sees to that."""

    def __init__(self) -> None:
        self._by_key: dict[str, dict[str, Any]] = {}

    def all(self) -> list[dict[str, Any]]:
        return [dict(refund) for refund in self._by_key.values()]

    def of(self, payment: str) -> list[dict[str, Any]]:
        return [refund for refund in self.all() if refund["provider_ref"] == payment]

    def forget(self) -> None:
        self._by_key.clear()

    def make(
        self, payment: str, key: str, order: dict[str, str], paid: Decimal, *, status: str
    ) -> dict[str, Any] | None:
        """The refund of that key; None when less than its amount is left of the payment."""
        if key not in self._by_key:
            given = sum(Decimal(refund["amount"]) for refund in self.of(payment) if refund["status"] != "failed")
            if given + Decimal(order["amount"]) > paid:
                return None
            self._by_key[key] = {
                "provider_ref": payment,
                "refund_ref": f"mock_re_{uuid4().hex}",
                "refund_id": order["refund_id"],
                "amount": order["amount"],
                "currency": order["currency"],
                "status": status,
            }
        return self._by_key[key]

    def put(self, payment: str, refund_ref: str, changes: dict[str, str]) -> dict[str, Any]:
        """Set members of a refund; one that is not here yet is made, without an id of ours."""
        if changes.get("status", "succeeded") not in STATUSES:
            raise ValueError("a status that no refund has")
        refund = next((each for each in self._by_key.values() if each["refund_ref"] == refund_ref), None)
        if refund is None:
            refund = {"provider_ref": payment, "refund_ref": refund_ref, "currency": "USD", "status": "succeeded"}
            self._by_key[refund_ref] = refund
        refund.update(changes)
        return dict(refund)
