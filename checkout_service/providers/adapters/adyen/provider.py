"""Adyen: a payment is a payment link (Checkout API v72), and its webhooks name it by our own reference.

Only webhooks prove that money came: a link that is ``completed`` was used, and what came of it is not said there.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, urlsplit
from uuid import UUID

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.adyen.webhooks import NAME, UNITS, parse_batch
from checkout_service.providers.base import (
    Decline,
    Opened,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from checkout_service.providers.fields import amount_from_minor, currency_of, minor_units, nested, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.redaction import kept
from checkout_service.providers.transport import Transport, bounded
from checkout_service.settings.provider_accounts import Account

API_BASE: Final = "https://checkout-test.adyen.com/v72"
"""Live addresses begin with a prefix of the merchant's own, so there is none to assume."""

IN_PROGRESS: Final = "704"
"""Another call with the same idempotency key is not done (Adyen, "API idempotency")."""

_LINKS: Final = {
    "paymentPending": PaymentStatus.PROCESSING,
    "completed": PaymentStatus.PROCESSING,
    "paid": PaymentStatus.PROCESSING,
    "expired": PaymentStatus.EXPIRED,
}
"""What a link's status proves. An ``active`` one is open. ``completed`` and ``paid`` tell neither the payment's name
nor whether it was captured, so that money is for the webhooks to report."""

_NAMES: Final = "id status reference amount value currency merchantAccount expiresAt pspReference paymentPspReference"
_KEPT: Final = frozenset(_NAMES.split())

_DECLINES: Final = {"security": Decline.CREDENTIALS, "configuration": Decline.CREDENTIALS}


class AdyenProvider:
    """Adyen; its options are ``api_key``, ``merchant_account``, ``api_base``, ``return_url`` and ``capture``."""

    name = NAME
    asks = True

    def __init__(self, account: Account) -> None:
        self._account = account.option("merchant_account") or ""
        self._return_url = account.option("return_url")
        self._manual = account.option("capture") == "manual"
        self._keys = [_key(secret.reveal()) for secret in account.secrets]
        headers = {"X-API-Key": account.option("api_key") or ""}
        self._api = Transport(account.option("api_base") or API_BASE, headers=headers, explain=_explain)

    def open(self, *, payment_id: UUID, amount: Decimal, currency: str) -> Opened:
        """A link that can be paid once; what the client opens is its address, which also tells its id."""
        order: dict[str, Any] = {
            "merchantAccount": self._account,
            "reference": provider_ref(payment_id),
            "amount": {"value": minor_units(amount, currency, UNITS), "currency": currency},
            "reusable": False,
            "metadata": {"payment_id": str(payment_id)},
        }
        if self._return_url:
            order["returnUrl"] = self._return_url
        link = self._api.call("POST", "/paymentLinks", json=order, idempotency_key=str(payment_id))
        held = nested(link, "amount")
        taken = currency_of(held.get("currency"))
        return Opened(
            provider_ref=provider_ref(payment_id),
            payment_token=_token(link),
            amount=amount_from_minor(held.get("value"), taken, UNITS),
            currency=taken,
        )

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        return parse_batch(raw_webhook, self._keys, account=self._account, manual=self._manual)

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        return _looked_up(self._api.call("GET", f"/paymentLinks/{_link_id(reference)}"), reference)

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Expire the link; where it is past that, say what it is."""
        path = f"/paymentLinks/{_link_id(reference)}"
        # Without a key: the first answer would come again, though a link moves on.
        with bounded():
            try:
                link = self._api.call("PATCH", path, json={"status": "expired"})
            except ProviderRefusedError as error:
                if error.reason is Decline.CREDENTIALS:
                    raise
                return self.look_up(reference)
        return [
            _event(link, reference, PaymentStatus.CANCELED) if item.status is PaymentStatus.EXPIRED else item
            for item in _looked_up(link, reference)
        ]

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Ask for a refund; a webhook tells what becomes of it. Adyen takes no free words for a reason."""
        order = {
            "merchantAccount": self._account,
            "amount": {"value": minor_units(amount, reference.currency, UNITS), "currency": reference.currency},
            "reference": f"{reference.provider_ref}_{refund_id.hex}",
        }
        if reference.capture_ref is None:
            raise ProviderUnavailableError("its capture is not known yet")
        path = f"/payments/{quote(reference.capture_ref, safe='')}/refunds"
        made = self._api.call("POST", path, json=order, idempotency_key=str(refund_id))
        refund_ref = text(made, "pspReference")
        return [
            ProviderRefundEvent(
                provider=NAME,
                provider_ref=reference.provider_ref,
                refund_ref=refund_ref,
                event_id=f"refund:{refund_ref}:received",
                status=RefundStatus.PROCESSING,
                amount=amount,
                currency=reference.currency,
                refund_id=refund_id,
                payment_id=reference.payment_id,
                raw=kept(made, _KEPT),
            )
        ]


def provider_ref(payment_id: UUID) -> str:
    """What every webhook about the payment carries as merchantReference, which holds up to 80 characters."""
    return f"{NAME}_{payment_id.hex}"


def _key(secret: str) -> bytes:
    """The key that a secret spells in hexadecimal; empty, which matches nothing, where it spells none."""
    try:
        return bytes.fromhex(secret)
    except ValueError:
        return b""


def _explain(status: int, error: dict[str, Any]) -> Decline | None:
    """Which refusal an error of Adyen's is (Adyen, "API response handling")."""
    if error.get("errorCode") == IN_PROGRESS:
        raise ProviderUnavailableError("another call with this key is at work", in_progress=True)
    return _DECLINES.get(str(error.get("errorType")))


def _token(link: dict[str, Any]) -> str:
    """The link's address; its id is the last step of it, or else is put behind a #, which no browser sends."""
    link_id, url = text(link, "id"), text(link, "url")
    if urlsplit(url).scheme != "https":
        raise UnreadableError("the link's address is not https")
    return url if url.endswith(f"/{link_id}") else f"{url}#{link_id}"


def _link_id(reference: Reference) -> str:
    token = reference.payment_token or ""
    link_id = (urlsplit(token).fragment or token.rpartition("/")[2]).strip()
    if not link_id:
        raise ProviderRefusedError("the payment link is not known", reason=Decline.UNKNOWN_REFERENCE)
    return quote(link_id, safe="")


def _looked_up(link: dict[str, Any], reference: Reference) -> list[ProviderEvent]:
    if text(link, "reference") != reference.provider_ref:
        raise UnreadableError("the answer is about another payment")
    status = _LINKS.get(text(link, "status"))
    return [_event(link, reference, status)] if status else []


def _event(link: dict[str, Any], reference: Reference, status: PaymentStatus) -> ProviderEvent:
    """Its id names what was seen, so that seeing it again is no news."""
    return ProviderEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        event_id=f"lookup:{reference.provider_ref}:{status.value}:",
        status=status,
        payment_id=reference.payment_id,
        raw=kept(link, _KEPT),
    )
