"""Mollie: its webhooks are unsigned and say only which payment has news, so that the truth is always fetched.

(Mollie, Payments API v2; "Webhooks": the body is a form with the payment's id, the same for all its news.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from checkout_service.providers.adapters.mollie.responses import NAME, looked_up, money_of, refund_of
from checkout_service.providers.base import (
    Decline,
    Opened,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    Reference,
    ThinEvent,
    UnverifiedError,
)
from checkout_service.providers.fields import decimal_text, nested, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.transport import Transport, bearer, bounded
from checkout_service.settings.provider_accounts import Account

API_BASE: Final = "https://api.mollie.com/v2"

_WEBHOOK: Final = re.compile(rb"id=(tr_[0-9A-Za-z]{1,64})")


class MollieProvider:
    """Mollie; its options are ``api_key``, ``webhook_url``, ``return_url`` and ``api_base``."""

    name = NAME
    asks = True

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
        taken = money_of(held)
        return Opened(
            provider_ref=text(held, "id"),
            payment_token=text(nested(held, "_links", "checkout"), "href"),
            amount=taken["amount"],
            currency=taken["currency"],
        )

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        """The payment that has news, as anybody may write it.

        All other bodies are refused as unverified: a stranger's nonsense must not end among what failed.
        """
        found = _WEBHOOK.fullmatch(raw_webhook.body)
        if found is None:
            raise UnverifiedError("not a form with the id of a payment alone")
        return ParsedWebhook(events=[ThinEvent(provider=NAME, provider_ref=found[1].decode(), verified=False)])

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        path = f"{_path(reference)}?embed=refunds,chargebacks"
        return looked_up(self._api.call("GET", path), reference)

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Cancel where the method allows it; where not, say how it stands: such payments expire by themselves."""
        # Without a key: the first answer would come again, though a payment moves on.
        with bounded():
            try:
                return looked_up(self._api.call("DELETE", _path(reference)), reference)
            except ProviderRefusedError as error:
                if error.reason in {Decline.CREDENTIALS, Decline.UNKNOWN_REFERENCE}:
                    raise
                return self.look_up(reference)

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        order = {
            "amount": {"currency": reference.currency, "value": decimal_text(amount, reference.currency)},
            "metadata": {"refund_id": str(refund_id)},
            **({"description": reason} if reason else {}),
        }
        with bounded():
            # How long Mollie keeps a key is not promised, so a refund that was asked for before is looked for first.
            for made in self.look_up(reference):
                if isinstance(made, ProviderRefundEvent) and made.refund_id == refund_id:
                    return [made]
            path = f"{_path(reference)}/refunds"
            return [refund_of(self._api.call("POST", path, json=order, idempotency_key=str(refund_id)), reference)]


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
