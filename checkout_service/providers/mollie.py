"""Mollie: its letters are unsigned and say only which payment has news, so that the truth is always fetched.

(Mollie, Payments API v2; "Webhooks": the body is a form with the payment's id, the same for all its news.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from checkout_service.accounts import Account
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import (
    Contents,
    Decline,
    Fact,
    Hint,
    Opened,
    ProviderRefusedError,
    Reference,
    RefundFact,
    UnreadableError,
)
from checkout_service.providers.fields import (
    amount_from_text,
    currency_of,
    decimal_text,
    items,
    moment_of,
    nested,
    own_id,
    text,
)
from checkout_service.providers.keeping import kept
from checkout_service.providers.transport import Transport, bearer
from checkout_service.webhooks.envelope import Envelope

NAME: Final = "mollie"
API_BASE: Final = "https://api.mollie.com/v2"

_LETTER: Final = re.compile(rb"id=(tr_[0-9A-Za-z]{1,64})")

_PAYMENTS: Final = {
    "pending": PaymentStatus.PROCESSING,
    "authorized": PaymentStatus.PROCESSING,
    "failed": PaymentStatus.FAILED,
    "expired": PaymentStatus.EXPIRED,
    "canceled": PaymentStatus.CANCELED,
    "paid": PaymentStatus.PAID,
}
"""What a payment's status proves; an ``open`` one may still be paid."""

_REFUNDS: Final = {
    "queued": RefundStatus.PROCESSING,
    "pending": RefundStatus.PROCESSING,
    "processing": RefundStatus.PROCESSING,
    "refunded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}

_KEPT: Final = frozenset(
    "id status amount value currency metadata payment_id refund_id createdAt paidAt canceledAt expiredAt failedAt method "
    "amountRefunded amountChargedBack reversedAt reason code _embedded refunds chargebacks".split()
)
"""Of an answer; not ``details``, where the customer's name and account or card stand."""


class MollieProvider:
    """Mollie; its options are ``api_key``, ``webhook_url``, ``return_url`` and ``api_base``."""

    name = NAME

    def __init__(self, account: Account) -> None:
        self._urls = {
            "redirectUrl": account.option("return_url"),
            "webhookUrl": account.option("webhook_url"),
        }
        headers = bearer(account.option("api_key") or "")
        self._api = Transport(account.option("api_base") or API_BASE, headers=headers, explain=_explain)

    def open(self, *, payment_id: UUID, amount: Decimal, currency: str) -> Opened:
        order = {
            "amount": {"currency": currency, "value": decimal_text(amount, currency)},
            "description": f"Payment {payment_id}",
            "metadata": {"payment_id": str(payment_id)},
            **{name: url for name, url in self._urls.items() if url},
        }
        held = self._api.call("POST", "/payments", json=order, idempotency_key=str(payment_id))
        taken = _money(held)
        return Opened(
            provider_ref=text(held, "id"),
            payment_token=text(nested(held, "_links", "checkout"), "href"),
            amount=taken["amount"],
            currency=taken["currency"],
        )

    def read(self, envelope: Envelope) -> Contents:
        """The payment that has news, as anybody may write it; all other bodies are refused, so as not to be kept."""
        found = _LETTER.fullmatch(envelope.body)
        if found is None:
            raise UnreadableError("not a form with the id of a payment alone")
        return Contents(said=[Hint(provider=NAME, provider_ref=found[1].decode(), genuine=False)])

    def look_up(self, reference: Reference) -> Sequence[Fact | RefundFact]:
        path = f"{_path(reference)}?embed=refunds,chargebacks"
        return _looked_up(self._api.call("GET", path), reference)

    def cancel(self, reference: Reference) -> Sequence[Fact | RefundFact]:
        """Cancel where the method allows it; where not, say how it stands: such payments expire by themselves."""
        try:
            held = self._api.call("DELETE", _path(reference), idempotency_key=f"cancel-{reference.payment_id}")
        except ProviderRefusedError as error:
            if error.reason in {Decline.CREDENTIALS, Decline.UNKNOWN_REFERENCE}:
                raise
            return self.look_up(reference)
        return _looked_up(held, reference)

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[Fact | RefundFact]:
        order = {
            "amount": {"currency": reference.currency, "value": decimal_text(amount, reference.currency)},
            "metadata": {"refund_id": str(refund_id)},
            **({"description": reason} if reason else {}),
        }
        made = self._api.call("POST", f"{_path(reference)}/refunds", json=order, idempotency_key=str(refund_id))
        return [_refund(made, reference)]


def _path(reference: Reference) -> str:
    return f"/payments/{quote(reference.provider_ref, safe='')}"


def _explain(status: int, error: dict[str, Any]) -> Decline | None:
    """Which refusal an error of Mollie's is: it has no codes, but names the field that it dislikes."""
    if status != 422:
        return None
    named = str(error.get("field")).partition(".")
    if named[0] == "amount":
        return Decline.CURRENCY_REFUSED if named[2] == "currency" else Decline.AMOUNT_REFUSED
    return Decline.NOT_IN_THIS_STATE


def _looked_up(held: dict[str, Any], reference: Reference) -> list[Fact | RefundFact]:
    """All that an answer about one payment says; an id names what was seen, so that seeing it again is no news."""
    if text(held, "id") != reference.provider_ref:
        raise UnreadableError("the answer is about another payment")
    ours = _metadata(held, "payment_id")
    if ours is not None and ours != reference.payment_id:
        raise UnreadableError("the answer is about a payment with another id of ours")
    said: list[Fact | RefundFact] = []
    status = _PAYMENTS.get(text(held, "status"))
    if status is not None:
        money = _money(held)
        said.append(_fact(held, reference, status, f"{status.value}:{money['amount']}", **money))
    embedded = held.get("_embedded")
    embedded = embedded if isinstance(embedded, dict) else {}
    taken = [item for item in items({"chargebacks": []} | embedded, "chargebacks") if not item.get("reversedAt")]
    said += [_fact(held, reference, PaymentStatus.REVERSED, f"reversed:{text(item, 'id')}") for item in taken]
    said += [_refund(item, reference) for item in items({"refunds": []} | embedded, "refunds")]
    return said


def _fact(held: dict[str, Any], reference: Reference, status: PaymentStatus, seen: str, **money: Any) -> Fact:
    return Fact(
        provider=NAME,
        provider_ref=reference.provider_ref,
        event_id=f"lookup:{reference.provider_ref}:{seen}",
        status=status,
        payment_id=reference.payment_id,
        occurred_at=moment_of(held["paidAt"]) if status is PaymentStatus.PAID and held.get("paidAt") else None,
        raw=kept(held, _KEPT),
        **money,
    )


def _refund(made: dict[str, Any], reference: Reference) -> RefundFact:
    refund_ref, status = text(made, "id"), text(made, "status")
    return RefundFact(
        provider=NAME,
        provider_ref=reference.provider_ref,
        refund_ref=refund_ref,
        event_id=f"lookup:{refund_ref}:{status}",
        # A word that we do not know yet is one for a refund on its way.
        status=_REFUNDS.get(status, RefundStatus.PROCESSING),
        refund_id=_metadata(made, "refund_id"),
        payment_id=reference.payment_id,
        occurred_at=moment_of(made["createdAt"]) if made.get("createdAt") else None,
        raw=kept(made, _KEPT),
        **_money(made),
    )


def _money(held: dict[str, Any]) -> dict[str, Any]:
    amount = nested(held, "amount")
    return {"amount": amount_from_text(amount.get("value")), "currency": currency_of(amount.get("currency"))}


def _metadata(held: dict[str, Any], name: str) -> UUID | None:
    """An id of ours in the metadata, which is null where there is none."""
    metadata = held.get("metadata")
    return own_id(metadata.get(name)) if isinstance(metadata, dict) else None
