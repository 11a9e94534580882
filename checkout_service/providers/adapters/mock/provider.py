"""The mock provider: takes no money, but signs, reports, doubts and fails like one that does.

Its webhook is ``{"provider_ref", "status", "signature", "raw_data"}`` with the signature over everything else. With a
``refund_ref`` in raw_data and a refund's status it is about a refund; other names in there are those of
``optional_names``. Without MOCK_API_BASE it has no server: ``open`` echoes the amount, ``look_up`` finds the payment
still open, and ``cancel``, ``refund``, ``capture`` and ``void`` succeed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID

from checkout_service.money import show
from checkout_service.payments.next_action import NextAction, Redirect
from checkout_service.payments.status import CaptureStatus, PaymentStatus, RefundStatus
from checkout_service.providers.adapters.mock.events import (
    CAPTURE_PREFIX,
    NAME,
    PREFIX,
    REFUND_PREFIX,
    captured,
    looked_up,
    payment_event,
    refund_event,
    refunded,
    voided,
)
from checkout_service.providers.base import (
    IgnoredReason,
    Opened,
    Opening,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    Reference,
    UnreadableError,
    UnverifiedError,
)
from checkout_service.providers.buyers import extras_of, urls_of
from checkout_service.providers.fields import amount_of, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.signatures import matching, signed_hex
from checkout_service.providers.transport import Transport
from checkout_service.settings.provider_accounts import Account
from checkout_service.strict_json import StrictJsonError, canonical, parse_object


class MockProvider:
    """The mock provider; its options are ``api_base`` and, for its server, ``capture``."""

    name = NAME

    def __init__(self, account: Account) -> None:
        base = account.option("api_base")
        # Tried once: a failure that somebody ordered at the server is to be seen.
        self._api = Transport(base, tries=1) if base else None
        self._base = base.rstrip("/") if base else None
        self.asks = self._api is not None
        self._secrets = account.keys()
        self._capture = {"capture": "manual"} if account.option("capture") == "manual" else {}

    def open(self, opening: Opening) -> Opened:
        reference = PREFIX + opening.payment_id.hex
        if self._api is None:
            return Opened(
                provider_ref=reference, payment_token=reference, amount=opening.amount, currency=opening.currency
            )
        order = {
            "payment_id": str(opening.payment_id),
            "amount": show(opening.amount, opening.currency),
            "currency": opening.currency,
            **self._capture,
            **urls_of(opening),
            **extras_of(opening),
        }
        held = self._api.call("POST", "/payments", json=order, idempotency_key=str(opening.payment_id))
        return Opened(
            provider_ref=text(held, "provider_ref"),
            payment_token=text(held, "payment_token"),
            amount=amount_of(held["amount"], opening.currency) if "amount" in held else opening.amount,
            currency=text(held, "currency"),
        )

    def next_action(self, payment_token: str) -> NextAction:
        """Its server's page; without a server there is none to go to."""
        if self._base is None or not payment_token.isprintable():
            return None
        return Redirect(f"{self._base}/pay/{quote(payment_token, safe='')}")

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        try:
            webhook = parse_object(raw_webhook.body)
            signature = webhook.pop("signature", None)
            signed = canonical(webhook)
        except StrictJsonError as error:
            raise UnverifiedError(str(error)) from error
        if not isinstance(signature, str):
            raise UnverifiedError("there is no signature")
        secret = matching(self._secrets, lambda key: signed_hex(key, signed), [signature])
        details = webhook.get("raw_data", {})
        if not isinstance(details, dict):
            raise UnreadableError("raw_data is not an object")
        event = refund_event(webhook, details, raw=signed) or payment_event(webhook, details, raw=signed)
        return ParsedWebhook(events=[event] if event else [], secret=secret, ignored=IgnoredReason.UNKNOWN_TYPE)

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        if self._api is None:
            return []
        seen_at = datetime.now(UTC)
        return looked_up(self._api.call("GET", _path(reference)), reference, seen_at)

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        provider_ref, seen_at = reference.provider_ref, datetime.now(UTC)
        if self._api is None:
            held = {"provider_ref": provider_ref, "status": PaymentStatus.CANCELED.value}
        else:
            path = f"{_path(reference)}/cancel"
            held = self._api.call("POST", path, idempotency_key=f"cancel-{provider_ref}")
        return looked_up(held, reference, seen_at)

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        order = {
            "refund_id": str(refund_id),
            "amount": show(amount, reference.currency),
            "currency": reference.currency,
        }
        if reference.capture_ref:
            order["capture_ref"] = reference.capture_ref
        if self._api is None:
            made = order | {"refund_ref": REFUND_PREFIX + refund_id.hex, "status": RefundStatus.SUCCEEDED.value}
        else:
            made = self._api.call("POST", f"{_path(reference)}/refunds", json=order, idempotency_key=str(refund_id))
        return [refunded(made, reference)]

    def capture(
        self, reference: Reference, *, request_id: UUID, amount: Decimal, final: bool
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        order: dict[str, Any] = {
            "request_id": str(request_id),
            "amount": show(amount, reference.currency),
            "currency": reference.currency,
            "attempt": reference.attempt_ref or "",
            "final": final,
        }
        if self._api is None:
            made = order | {"capture_ref": CAPTURE_PREFIX + request_id.hex, "status": CaptureStatus.SUCCEEDED.value}
        else:
            made = self._api.call("POST", f"{_path(reference)}/captures", json=order, idempotency_key=str(request_id))
        return [captured(made, reference, final=final)]

    def void(self, reference: Reference, *, void_id: UUID) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        if self._api is None:
            return [voided(reference)]
        seen_at = datetime.now(UTC)
        order = {"attempt": reference.attempt_ref or ""}
        held = self._api.call("POST", f"{_path(reference)}/void", json=order, idempotency_key=str(void_id))
        return looked_up(held, reference, seen_at)


def _path(reference: Reference) -> str:
    return f"/payments/{quote(reference.provider_ref, safe='')}"


def sign(webhook: dict[str, Any], secret: str) -> dict[str, Any]:
    """The webhook with its signature, as the mock provider sends it."""
    unsigned = {key: value for key, value in webhook.items() if key != "signature"}
    return unsigned | {"signature": signed_hex(secret.encode(), canonical(unsigned)).decode()}
