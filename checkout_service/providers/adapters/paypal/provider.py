"""PayPal: a payment is an order (Orders v2) that its customer approves and that we then capture, or authorize.

The approval is a thin event, and the look-up that follows takes the order up: outside any transaction, with the webhook
under lease, and as often as it may be. PayPal captures or authorizes an order once, whatever the key; the key brings
back the answer to a lost call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from checkout_service.payments.next_action import NextAction, ProviderOrder
from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus
from checkout_service.providers.adapters.paypal.access_token import Access
from checkout_service.providers.adapters.paypal.certificates import Certificates, load_certificates
from checkout_service.providers.adapters.paypal.declines import DECLINED, explain
from checkout_service.providers.adapters.paypal.movements import CAPTURES
from checkout_service.providers.adapters.paypal.order_requests import order_of, wallet_of, whole_unit
from checkout_service.providers.adapters.paypal.orders import (
    OPEN,
    UNITS,
    approved_at,
    authorization_event,
    authorizations_of,
    capture_event,
    captures_of,
    closing_event,
    declined_event,
    events_of,
    is_declined,
    refund_of,
    unit_of,
    voided_event,
    was_taken_up,
)
from checkout_service.providers.adapters.paypal.resources import NAME, moment_if_any, money, money_if_any, state_of
from checkout_service.providers.adapters.paypal.webhooks import parse_event, verify
from checkout_service.providers.base import (
    Decline,
    Opened,
    Opening,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from checkout_service.providers.buyers import open_whole_or_plain
from checkout_service.providers.certificate_store import CertificateStore
from checkout_service.providers.entries import AttemptEntry
from checkout_service.providers.fields import decimal_text, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.transport import Transport, bounded
from checkout_service.settings.provider_accounts import Account

API_BASE: Final = "https://api-m.paypal.com"

WHOLE: Final = {"Prefer": "return=representation"}
"""Without it an answer has the id and the status alone."""

LONGEST_NOTE: Final = 255

AUTHORIZE: Final = "AUTHORIZE"
"""The intent of an order whose money is captured later."""

HONORED_FOR: Final = timedelta(days=3)
"""For so long the funds of an authorization are reserved; it may be captured for much longer (PayPal, "Authorize and
capture payments")."""

OPEN_AUTHORIZATIONS: Final = frozenset({"CREATED", "PARTIALLY_CAPTURED"})

_IDLE: Final = frozenset({None, PaymentStatus.FAILED})
"""What an order's events are about while no money came, is under way or is authorized."""


class PayPalProvider:
    """PayPal; options: ``client_id``, ``client_secret``, ``webhook_id``, ``api_base``, ``return_url``, ``cancel_url``,
    ``ca_file``, ``capture``. ``webhook_id`` may be several, by commas, all live. With ``capture`` manual an approved
    order is authorized, and captured when somebody asks for it.
    """

    name = NAME
    asks = True

    def __init__(
        self,
        account: Account,
        *,
        certificates: Certificates | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        base = account.option("api_base") or API_BASE
        self._access = Access(base, account.option("client_id") or "", account.option("client_secret") or "")
        self._api = Transport(base, headers=self._access.headers, explain=explain, key_header="PayPal-Request-Id")
        self._urls = {name: account.option(name) for name in ("return_url", "cancel_url")}
        webhook_ids = (account.option("webhook_id") or "").split(",")
        self._webhook_ids = [webhook_id.strip() for webhook_id in webhook_ids if webhook_id.strip()]
        self._intent = AUTHORIZE if account.option("capture") == "manual" else "CAPTURE"
        self._tolerance = account.tolerance
        self._clock = clock
        extra = account.option("ca_file") if self._webhook_ids else None  # the web tier reads no webhooks
        self._certificates = certificates or Certificates(
            sandbox="sandbox" in base, intermediates=load_certificates(extra) if extra else ()
        )

    def open(self, opening: Opening) -> Opened:
        """An order; the client pays with its id, through PayPal's script or its page for it."""
        ours = provider_ref(opening.payment_id)
        reference = Reference(
            provider_ref=ours, payment_id=opening.payment_id, amount=opening.amount, currency=opening.currency
        )
        unit = {
            "amount": self._money(opening.amount, reference),
            "custom_id": ours,
            "invoice_id": ours,  # PayPal takes money for one invoice once
        }
        of_payment = {"return_url": opening.return_url, "cancel_url": opening.cancel_url}
        urls = {name: url for name, own in self._urls.items() if (url := of_payment[name] or own)}
        held = open_whole_or_plain(
            lambda order, key: self._call("POST", "/v2/checkout/orders", json=order, key=key),
            whole=order_of(self._intent, whole_unit(unit, opening), urls, wallet=wallet_of(opening)),
            plain=order_of(self._intent, unit, urls, wallet={}),
            payment_id=opening.payment_id,
        )
        taken, of = money(unit_of(held, reference))
        return Opened(provider_ref=ours, payment_token=text(held, "id"), amount=taken, currency=of)

    def next_action(self, payment_token: str) -> NextAction:
        return ProviderOrder(payment_token)

    def keep_certificates(self, store: CertificateStore) -> None:
        """Keep PayPal's certificates there once they are believed, and use what is there."""
        self._certificates.keep_in(store)

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        place = verify(raw_webhook, self._webhook_ids, self._certificates, self._tolerance)
        return parse_event(raw_webhook, secret=place)

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Take up an order that was approved, unless we have closed its payment: then no money is to come any more."""
        with bounded():
            at = self._clock()
            order = self._call("GET", _path(reference))
            # A key of an order is forgotten after six hours: what was made of it is told by the order alone.
            unit = unit_of(order, reference)
            if text(order, "status") != "APPROVED" or reference.closed or was_taken_up(unit):
                return events_of(order, reference, at=at)
            # A refusal is told by the key alone, and an order may read APPROVED all the same.
            if is_declined(order, reference):
                return events_of(order, reference, at=at)
            return self._take_up(order, reference)

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Say that it is over, if nothing came and nothing is authorized: PayPal cannot void an order, but only we make
        money of it, and ``closed`` keeps us from that. One that PayPal has forgotten cannot be paid either.
        """
        at = self._clock()
        try:
            order = self._call("GET", _path(reference))
        except ProviderRefusedError as error:
            if error.reason is not Decline.UNKNOWN_REFERENCE or reference.payment_token is None:
                raise
            return [closing_event(reference, {})]
        events = events_of(order, reference, at=at)
        idle = all(isinstance(item, ProviderEvent) and item.status in _IDLE for item in events)
        if text(order, "status") in OPEN and idle:
            return [*events, closing_event(reference, {"status": order["status"]})]
        return events

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        order = {
            "amount": self._money(amount, reference),
            "custom_id": f"{reference.provider_ref}_{refund_id.hex}",
            **({"note_to_payer": reason[:LONGEST_NOTE]} if reason else {}),
        }
        with bounded():
            capture = reference.capture_ref or self._find_capture(reference)
            path = f"/v2/payments/captures/{quote(capture, safe='')}/refund"
            return [refund_of(self._call("POST", path, json=order, key=str(refund_id)), reference, capture_ref=capture)]

    def capture(
        self, reference: Reference, *, request_id: UUID, amount: Decimal, final: bool
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Capture; after the honor period of three days PayPal is first asked to authorize anew.

        PayPal recommends that: the funds of an older authorization are not reserved any more. The new one stands in the
        place of the first, and the capture is of it. Where PayPal refuses to authorize anew, the old one is captured.
        """
        order = {
            "amount": self._money(amount, reference),
            "final_capture": final,
            # Of its own: PayPal may take each invoice once, and so a webhook of the capture names our request.
            "invoice_id": f"{reference.provider_ref}_{request_id.hex}",
        }
        with bounded():
            chain = self._authorizations(reference)
            events: list[ProviderEvent | ProviderRefundEvent] = []
            newest = text(chain[-1], "id") if chain else _attempt(reference)
            if chain and self._is_past_its_honor_period(chain[-1]):
                renewed = self._authorize_anew(chain, reference)
                events += renewed
                newest = next((_first_ref(event) for event in renewed), newest)
            path = f"/v2/payments/authorizations/{quote(newest, safe='')}/capture"
            made = self._call("POST", path, json=order, key=str(request_id))
            return [*events, capture_event(made, reference, authorization=newest, request_id=request_id)]

    def void(self, reference: Reference, *, void_id: UUID) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Void the first authorization of a chain: PayPal voids no reauthorization by itself, but with the first."""
        with bounded():
            at = self._clock()
            refs = [text(held, "id") for held in self._authorizations(reference)] or [_attempt(reference)]
            try:
                self._call(
                    "POST",
                    f"/v2/payments/authorizations/{quote(refs[0], safe='')}/void",
                    json={},
                    key=str(void_id),
                )
            except ProviderRefusedError as error:
                if error.reason is not Decline.NOT_IN_THIS_STATE or not reference.payment_token:
                    raise
                # Voided already, or captured: the order tells.
                events = events_of(self._call("GET", _path(reference)), reference, at=at)
                if _is_authorized(events):
                    raise
                return events
            return [voided_event(reference, refs)]

    def _take_up(self, order: dict[str, Any], reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Capture an approved order, or authorize it, as it was opened for."""
        step = "authorize" if order.get("intent") == AUTHORIZE else "capture"
        if money_if_any(unit_of(order, reference)) != (reference.amount, reference.currency):
            raise UnreadableError("the order is over another amount than the payment")
        # A key brings back the refusal of a declined method too, so it changes when the customer approves another one.
        # PayPal keeps it for six hours. After that the order itself tells that it was authorized or captured before.
        approved = approved_at(order)
        key = f"{step}-{reference.payment_id}-{approved}"[:100]
        at = self._clock()
        try:
            made = self._call("POST", f"{_path(reference)}/{step}", json={}, key=key)
            events = events_of(made, reference, at=at)
            refusal = None if was_taken_up(unit_of(made, reference)) else _refusal(events)
            if refusal is None:
                return events
            return [declined_event(reference, refusal, made, approved=approved), *events]
        except ProviderRefusedError as error:
            if error.reason is Decline.CREDENTIALS:
                raise
            # Perhaps a concurrent retry was first; the order tells.
            order = self._call("GET", _path(reference))
            events = events_of(order, reference, at=at)
            # First, since the order also tells of a movement that was refused before, with another method.
            if error.reason in DECLINED and not was_taken_up(unit_of(order, reference)):
                return [declined_event(reference, error.reason, order, approved=approved), *events]
            if any(event.event_id for event in events):
                return events
            raise

    def _authorizations(self, reference: Reference) -> list[dict[str, Any]]:
        """The authorization that is asked about with its reauthorizations, the oldest first; none where PayPal does not
        know the order any more."""
        try:
            order = self._call("GET", _path(reference))
        except ProviderRefusedError as error:
            if error.reason is not Decline.UNKNOWN_REFERENCE:
                raise
            return []
        chain = [held for held in authorizations_of(unit_of(order, reference)) if state_of(held) in OPEN_AUTHORIZATIONS]
        return chain if _attempt(reference) in {text(held, "id") for held in chain} else []

    def _is_past_its_honor_period(self, authorization: dict[str, Any]) -> bool:
        began = moment_if_any(authorization, "create_time")
        expires_at = moment_if_any(authorization, "expiration_time")
        now = self._clock()
        untouched = state_of(authorization) == "CREATED"
        return (
            untouched and began is not None and began + HONORED_FOR < now and (expires_at is None or now < expires_at)
        )

    def _authorize_anew(self, chain: Sequence[dict[str, Any]], reference: Reference) -> list[ProviderEvent]:
        first, newest = text(chain[0], "id"), text(chain[-1], "id")
        path = f"/v2/payments/authorizations/{quote(first, safe='')}/reauthorize"
        try:
            held = self._call("POST", path, json={}, key=f"reauthorize-{newest}")
        except ProviderRefusedError as error:
            if error.reason is Decline.CREDENTIALS:
                raise
            return []
        return [authorization_event(held, reference, replaces=first)]

    def _money(self, amount: Decimal, reference: Reference) -> dict[str, str]:
        return {"currency_code": reference.currency, "value": decimal_text(amount, reference.currency, UNITS)}

    def _find_capture(self, reference: Reference) -> str:
        """The id of the money that came, where no webhook has told it yet."""
        order = self._call("GET", _path(reference))
        for capture in captures_of(unit_of(order, reference)):
            if CAPTURES.get(text(capture, "status")) is CaptureStatus.SUCCEEDED:
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


def _attempt(reference: Reference) -> str:
    """The authorization that is to be captured or voided."""
    if not reference.attempt_ref:
        raise ProviderRefusedError("no authorization is known", reason=Decline.NOT_IN_THIS_STATE)
    return reference.attempt_ref


def _refusal(events: Sequence[ProviderEvent | ProviderRefundEvent]) -> Decline | None:
    """Why the last movement that these tell of was refused; None where none was."""
    entries = [entry for event in events if isinstance(event, ProviderEvent) for entry in event.entries]
    refused = [entry.decline for entry in entries if isinstance(entry, AttemptEntry) and entry.decline]
    return Decline(refused[-1]) if refused else None


def _first_ref(event: ProviderEvent) -> str:
    return next(entry.ref for entry in event.entries if isinstance(entry, AttemptEntry))


def _is_authorized(events: Sequence[ProviderEvent | ProviderRefundEvent]) -> bool:
    return any(
        isinstance(entry, AttemptEntry) and entry.status is AttemptStatus.AUTHORIZED and not entry.rest_released
        for event in events
        if isinstance(event, ProviderEvent)
        for entry in event.entries
    )


def _path(reference: Reference) -> str:
    """The order's; its id is what the client pays with."""
    if not reference.payment_token:
        raise ProviderRefusedError("the order is not known", reason=Decline.UNKNOWN_REFERENCE)
    return f"/v2/checkout/orders/{quote(reference.payment_token, safe='')}"
