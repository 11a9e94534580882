"""Mollie: a webhook, signed or not, says only which payment has news, so that the truth is always fetched.

(Mollie, Payments API v2; see ``webhooks`` for both kinds of them.)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from checkout_service.payments.next_action import NextAction
from checkout_service.providers.adapters.mollie.orders import whole_order
from checkout_service.providers.adapters.mollie.responses import (
    EMBEDDED,
    NAME,
    capture_of,
    looked_up,
    money_of,
    refund_of,
    source_of,
    uncaptured,
)
from checkout_service.providers.adapters.mollie.spec import spec
from checkout_service.providers.adapters.mollie.webhooks import parse_classic, parse_event, verify
from checkout_service.providers.base import (
    Decline,
    Opened,
    Opening,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    Reference,
    ThinEvent,
    UnreadableError,
    UnverifiedError,
)
from checkout_service.providers.buyers import open_whole_or_plain
from checkout_service.providers.entries import CaptureEntry
from checkout_service.providers.fields import decimal_text, items, nested, redirect_to, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.spec import CONTENT_TYPE
from checkout_service.providers.transport import Transport, bearer, bounded
from checkout_service.settings.provider_accounts import Account

API_BASE: Final = "https://api.mollie.com/v2"

LISTS: Final = {"re_": "refunds", "chb_": "chargebacks"}
"""What Mollie lists of a whole account, beginning with the one that is named."""


class MollieProvider:
    """Mollie; options: ``api_key``, ``webhook_url``, ``return_url``, ``api_base``, ``capture``, ``classic_webhooks``.

    With ``classic_webhooks=off`` no payment has a webhook of its own, and an unsigned one is nobody's. With
    ``capture=manual`` a payment by a method that can be held back is only authorized, until it is captured.
    """

    name = NAME
    asks = True

    def __init__(self, account: Account) -> None:
        self._classic = account.option("classic_webhooks") != "off"
        self._return_url = account.option("return_url")
        self._webhook_url = account.option("webhook_url") if self._classic else None
        self._keys = account.keys()
        self._capture = {"captureMode": "manual"} if account.option("capture") == "manual" else {}
        key = account.option("api_key") or ""
        self._mode, headers = key.partition("_")[0], bearer(key)
        self._api = Transport(account.option("api_base") or API_BASE, headers=headers, explain=_explain)

    def open(self, opening: Opening) -> Opened:
        urls = {
            "redirectUrl": opening.return_url or self._return_url,
            "cancelUrl": opening.cancel_url,
            "webhookUrl": self._webhook_url,
        }
        order = {
            "amount": {"currency": opening.currency, "value": decimal_text(opening.amount, opening.currency)},
            "description": f"Payment {opening.payment_id}",
            "metadata": {"payment_id": str(opening.payment_id)},
            **{name: url for name, url in urls.items() if url},
            **self._capture,
        }
        held = open_whole_or_plain(
            lambda body, key: self._api.call("POST", "/payments", json=body, idempotency_key=key),
            whole=whole_order(order, opening),
            plain=order,
            payment_id=opening.payment_id,
        )
        taken = money_of(held)
        return Opened(
            provider_ref=text(held, "id"),
            payment_token=text(nested(held, "_links", "checkout"), "href"),
            amount=taken["amount"],
            currency=taken["currency"],
        )

    def next_action(self, payment_token: str) -> NextAction:
        return redirect_to(payment_token)

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        """The payment that has news: of a form as anybody may write it, of JSON as whoever has a secret signed it.

        Which it is tells the Content-Type alone. One that was kept before there were two kinds is a form.
        """
        if spec.webhooks.kind_of(raw_webhook.headers.get(CONTENT_TYPE)) == "json":
            return parse_event(raw_webhook, mode=self._mode, secret=verify(raw_webhook, self._keys))
        if not self._classic:
            raise UnverifiedError("unsigned, and MOLLIE_CLASSIC_WEBHOOKS is off")
        return parse_classic(raw_webhook)

    def look_up_object(self, news: Sequence[ThinEvent]) -> ParsedWebhook:
        """The payment of a refund or a chargeback that a signed event names without it.

        Mollie shows neither by its name alone, but lists those of the account from a given one on. Whether such a list
        is ever behind its events is not documented, so what is not there may be later.
        """
        ref = news[0].object_ref
        name = next((name for prefix, name in LISTS.items() if ref.startswith(prefix)), None)
        if name is None:
            raise UnreadableError("a name that Mollie lists nothing of")
        unknown = ProviderRefusedError("none of this name is listed", reason=Decline.UNKNOWN_REFERENCE, lags=True)
        try:
            listed = self._api.call("GET", f"/{name}?from={quote(ref, safe='')}&limit=1")
        except ProviderRefusedError as error:
            # Any other refusal says nothing of that name: it may be of our own request.
            if error.reason is not Decline.UNKNOWN_REFERENCE:
                raise
            raise unknown from error
        for item in items(nested(listed, "_embedded"), name):
            if item.get("id") == ref:
                return ParsedWebhook(events=[ThinEvent(provider=NAME, provider_ref=text(item, "paymentId"))])
        raise unknown

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        seen_at = datetime.now(UTC)
        return looked_up(self._held(reference), reference, seen_at)

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Cancel where the method allows it; where not, say how it stands: such payments expire by themselves."""
        # Without a key: the first answer would come again, though a payment moves on.
        seen_at = datetime.now(UTC)
        with bounded():
            try:
                return looked_up(self._api.call("DELETE", _path(reference)), reference, seen_at)
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
            held = self._held(reference)
            for event in looked_up(held, reference, datetime.now(UTC)):
                if isinstance(event, ProviderRefundEvent) and event.refund_id == refund_id:
                    return [event]
            path = f"{_path(reference)}/refunds"
            made = self._api.call("POST", path, json=order, idempotency_key=str(refund_id))
            return [refund_of(made, reference, source_of(held, reference))]

    def capture(
        self, reference: Reference, *, request_id: UUID, amount: Decimal, final: bool
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Capture, and release the rest where this is the last of several and something is left.

        Mollie leaves a rest authorized for further captures, where the method has them.
        """
        seen_at = datetime.now(UTC)
        order = {
            "amount": {"currency": reference.currency, "value": decimal_text(amount, reference.currency)},
            "metadata": {"request_id": str(request_id)},
        }
        with bounded():
            # As with refunds: one that was asked for before is looked for first.
            held = self._held(reference)
            events = looked_up(held, reference, seen_at)
            left = uncaptured(held)
            if not any(_is_of(event, request_id) for event in events):
                path = f"{_path(reference)}/captures"
                made = self._api.call("POST", path, json=order, idempotency_key=str(request_id))
                events, left = [capture_of(made, reference)], left - amount
            return [*events, *self._released(reference, None)] if final and left > 0 else events

    def void(self, reference: Reference, *, void_id: UUID) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Ask for the release of all that was not captured; Mollie does it a moment later, and does not promise it."""
        with bounded():
            return self._released(reference, void_id)

    def _released(self, reference: Reference, key: UUID | None) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """How the payment stands once its rest was released, or is not authorized any more."""
        path = f"{_path(reference)}/release-authorization"
        try:
            self._api.call("POST", path, idempotency_key=None if key is None else str(key))
        except ProviderRefusedError as error:
            if error.reason is not Decline.NOT_IN_THIS_STATE or uncaptured(self._held(reference)) > 0:
                raise
        return self.look_up(reference)

    def _held(self, reference: Reference) -> dict[str, Any]:
        return self._api.call("GET", f"{_path(reference)}?embed={EMBEDDED}")


def _is_of(event: ProviderEvent | ProviderRefundEvent, request_id: UUID) -> bool:
    """Whether an event is about the capture that we asked for by this id."""
    return isinstance(event, ProviderEvent) and any(
        isinstance(entry, CaptureEntry) and entry.request_id == str(request_id) for entry in event.entries
    )


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
