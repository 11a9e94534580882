"""PayPal: a payment is an order (Orders v2) that its customer approves and that we then capture.

The approval is a thin event, and the look-up that follows captures: outside any transaction, with the webhook under
lease, and as often as it may be. PayPal captures an order once, whatever the key; the key brings back the answer to a
lost call.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from time import monotonic
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.adapters.paypal.access_token import Access
from checkout_service.providers.adapters.paypal.certificates import Certificates, load_certificates
from checkout_service.providers.adapters.paypal.declines import DECLINED, explain
from checkout_service.providers.adapters.paypal.orders import (
    OPEN,
    UNITS,
    captures_of,
    events_of,
    plain_event,
    refund_of,
    unit_of,
)
from checkout_service.providers.adapters.paypal.webhooks import CAPTURES, NAME, money, parse_event, verify
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
from checkout_service.providers.fields import decimal_text, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.transport import Transport, bounded
from checkout_service.settings.provider_accounts import Account

API_BASE: Final = "https://api-m.paypal.com"

WHOLE: Final = {"Prefer": "return=representation"}
"""Without it an answer has the id and the status alone."""

REST: Final = 4
"""Times as long as it took, after a capture was asked for to read a webhook: other services' refunds come here too."""

LONGEST_NOTE: Final = 255


class PayPalProvider:
    """PayPal; options: ``client_id``, ``client_secret``, ``webhook_id``, ``api_base``, ``return_url``, ``cancel_url``,
    ``ca_file``. ``webhook_id`` may be several, by commas, all live.
    """

    name = NAME
    asks = True

    def __init__(self, account: Account, *, certificates: Certificates | None = None) -> None:
        base = account.option("api_base") or API_BASE
        self._access = Access(base, account.option("client_id") or "", account.option("client_secret") or "")
        self._api = Transport(base, headers=self._access.headers, explain=explain, key_header="PayPal-Request-Id")
        self._urls = {name: account.option(name) for name in ("return_url", "cancel_url")}
        webhook_ids = (account.option("webhook_id") or "").split(",")
        self._webhook_ids = [webhook_id.strip() for webhook_id in webhook_ids if webhook_id.strip()]
        self._tolerance = account.tolerance
        self._resting_until = float("-inf")
        extra = account.option("ca_file") if self._webhook_ids else None  # the web tier reads no webhooks
        self._certificates = certificates or Certificates(
            sandbox="sandbox" in base, intermediates=load_certificates(extra) if extra else ()
        )

    def open(self, *, payment_id: UUID, amount: Decimal, currency: str) -> Opened:
        """An order; the client pays with its id, through PayPal's script or its page for it."""
        ours = provider_ref(payment_id)
        unit = {
            "amount": {"currency_code": currency, "value": decimal_text(amount, currency, UNITS)},
            "custom_id": ours,
            "invoice_id": ours,  # PayPal takes money for one invoice once
        }
        order: dict[str, Any] = {"intent": "CAPTURE", "purchase_units": [unit]}
        if urls := {name: url for name, url in self._urls.items() if url}:
            order["payment_source"] = {"paypal": {"experience_context": {**urls, "user_action": "PAY_NOW"}}}
        held = self._call("POST", "/v2/checkout/orders", json=order, key=str(payment_id))
        reference = Reference(provider_ref=ours, payment_id=payment_id, amount=amount, currency=currency)
        taken = money(unit_of(held, reference))
        if not taken:
            raise UnreadableError("the order has no amount")
        return Opened(provider_ref=ours, payment_token=text(held, "id"), **taken)

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        place = verify(raw_webhook, self._webhook_ids, self._certificates, self._tolerance)
        return ParsedWebhook(events=parse_event(raw_webhook, self._held_capture), secret=place)

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Capture an order that was approved, unless we have closed its payment: then no money is to come any more."""
        with bounded():
            order = self._call("GET", _path(reference))
            if text(order, "status") != "APPROVED" or reference.closed:
                return events_of(order, reference)
            return self._capture(order, reference)

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Say that it is over, if it was not captured: PayPal cannot void it, but only a capture makes money of it, and
        ``closed`` keeps us from that. One that PayPal has forgotten cannot be paid either.
        """
        try:
            order = self._call("GET", _path(reference))
        except ProviderRefusedError as error:
            if error.reason is not Decline.UNKNOWN_REFERENCE or reference.payment_token is None:
                raise
            return [plain_event(reference, PaymentStatus.CANCELED, {})]
        events = events_of(order, reference)
        under_way = any(isinstance(item, ProviderEvent) and item.status is not PaymentStatus.FAILED for item in events)
        if text(order, "status") in OPEN and not under_way:
            return [*events, plain_event(reference, PaymentStatus.CANCELED, {"status": order["status"]})]
        return events

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        order = {
            "amount": {
                "currency_code": reference.currency,
                "value": decimal_text(amount, reference.currency, UNITS),
            },
            "custom_id": f"{reference.provider_ref}_{refund_id.hex}",
            **({"note_to_payer": reason[:LONGEST_NOTE]} if reason else {}),
        }
        with bounded():
            capture = reference.capture_ref or self._find_capture(reference)
            path = f"/v2/payments/captures/{quote(capture, safe='')}/refund"
            return [refund_of(self._call("POST", path, json=order, key=str(refund_id)), reference)]

    def _capture(self, order: dict[str, Any], reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        unit = unit_of(order, reference)
        if money(unit) != {"amount": reference.amount, "currency": reference.currency}:
            raise UnreadableError("the order is over another amount than the payment")
        # A key brings back the refusal of a declined method too, so it changes when the customer approves another one.
        approved = "".join(webhook for webhook in str(order.get("update_time", "")) if webhook.isalnum())
        key = f"capture-{reference.payment_id}-{approved}"[:100]
        try:
            return events_of(self._call("POST", f"{_path(reference)}/capture", json={}, key=key), reference)
        except ProviderRefusedError as error:
            if error.reason is Decline.CREDENTIALS:
                raise
            # Perhaps a concurrent retry has captured meanwhile; the order tells.
            order = self._call("GET", _path(reference))
            if events := events_of(order, reference):
                return events
            if error.reason in DECLINED:
                return [plain_event(reference, PaymentStatus.FAILED, {"status": order["status"]}, error.reason.value)]
            raise

    def _held_capture(self, capture_id: str) -> dict[str, Any]:
        """A capture, which carries our reference even where its refund does not; {} for one that is not there.

        Raises ProviderUnavailableError while resting, so that a heap of such webhooks is no heap of calls in one task.
        """
        began = monotonic()
        if began < self._resting_until:
            raise ProviderUnavailableError("other captures were asked for just now")
        try:
            with bounded():
                return self._call("GET", f"/v2/payments/captures/{capture_id}")
        except ProviderRefusedError as error:
            if error.reason is not Decline.UNKNOWN_REFERENCE:
                raise ProviderUnavailableError(str(error)) from error
            return {}
        except UnreadableError as error:
            # The answer cannot be understood, and the webhook may well be: it waits for a better answer.
            raise ProviderUnavailableError(str(error)) from error
        finally:
            self._resting_until = monotonic() + REST * (monotonic() - began)

    def _find_capture(self, reference: Reference) -> str:
        """The id of the money that came, where no webhook has told it yet."""
        order = self._call("GET", _path(reference))
        for capture in captures_of(unit_of(order, reference)):
            if CAPTURES.get(text(capture, "status")) is PaymentStatus.PAID:
                return text(capture, "id")
        raise ProviderUnavailableError("its capture is not known yet")

    def _call(self, method: str, path: str, *, json: Any = None, key: str | None = None) -> dict[str, Any]:
        """A call; once more with a new token where PayPal has withdrawn the one that we had."""
        headers = WHOLE if method == "POST" else None
        try:
            return self._api.call(method, path, json=json, headers=headers, idempotency_key=key)
        except ProviderRefusedError as error:
            if error.reason is not Decline.CREDENTIALS:
                raise
            self._access.forget()
            return self._api.call(method, path, json=json, headers=headers, idempotency_key=key)


def provider_ref(payment_id: UUID) -> str:
    """What every webhook about the payment carries as custom_id."""
    return f"{NAME}_{payment_id.hex}"


def _path(reference: Reference) -> str:
    """The order's; its id is what the client pays with."""
    if not reference.payment_token:
        raise ProviderRefusedError("the order is not known", reason=Decline.UNKNOWN_REFERENCE)
    return f"/v2/checkout/orders/{quote(reference.payment_token, safe='')}"
