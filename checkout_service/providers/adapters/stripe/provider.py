"""Stripe: PaymentIntents by the official SDK, and webhooks signed over a time and the raw bytes.

Formats and event types are those of docs.stripe.com/webhooks and docs.stripe.com/api, as of stripe-python 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.adapters.stripe.client import Calls
from checkout_service.providers.adapters.stripe.objects import (
    EVENT_TYPES,
    EXCEPTIONS,
    NAME,
    charged,
    events_of,
    lost_event,
    payment_event,
    refund_event,
    refunds_in,
    status_of,
)
from checkout_service.providers.base import (
    Decline,
    Opened,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    Reference,
    ThinEvent,
    UnreadableError,
    UnverifiedError,
)
from checkout_service.providers.fields import amount_from_minor, currency_of, items, json_object, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.signatures import check_age, header, matching, signed_hex, unix_time
from checkout_service.providers.transport import bounded
from checkout_service.providers.undelivered import UndeliveredEvent, UndeliveredPage
from checkout_service.settings.provider_accounts import Account

PAGE: Final = 100
"""The most that Stripe answers at once."""

_REASONS: Final = ("duplicate", "fraudulent", "requested_by_customer")
"""For a refund; any other words of ours travel as metadata."""


class StripeProvider:
    """Stripe, with the options ``api_key`` and, for a stand-in, ``api_base``."""

    name = NAME
    asks = True

    def __init__(self, account: Account) -> None:
        key = account.option("api_key") or ""
        self._calls = Calls(key, account.option("api_base"))
        self._live = True if "_live_" in key else False if "_test_" in key else None
        self._secrets = account.keys()
        self._tolerance = account.tolerance

    def open(self, *, payment_id: UUID, amount: Decimal, currency: str) -> Opened:
        order = {
            "amount": charged(amount, currency),
            "currency": currency.lower(),
            "metadata": {"payment_id": str(payment_id)},
        }
        key = {"idempotency_key": str(payment_id)}
        held = self._calls.ask(lambda stripe: stripe.payment_intents.create(order, key))
        currency = currency_of(held.get("currency"))
        return Opened(
            provider_ref=text(held, "id"),
            payment_token=text(held, "client_secret"),
            amount=amount_from_minor(held.get("amount"), currency, EXCEPTIONS),
            currency=currency,
        )

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        signed_at, claimed = _signatures(header(raw_webhook, "stripe-signature"))
        signed = signed_at.encode() + b"." + raw_webhook.body
        secret = matching(self._secrets, lambda key: signed_hex(key, signed), claimed)
        check_age(unix_time(signed_at), raw_webhook, self._tolerance)
        return ParsedWebhook(events=self._own_events(json_object(raw_webhook.body)), secret=secret)

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        with bounded():
            expanded = {"expand": ["latest_charge"]}
            intent = self._calls.ask(lambda stripe: stripe.payment_intents.retrieve(reference.provider_ref, expanded))
            found = _seen(intent, reference)
            if not any(provider_event.status is PaymentStatus.PAID for provider_event in found):
                return found
            return [*found, *self._lost(intent, reference), *self._refunds(reference)]

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        # Without a key of ours: Stripe would give the same answer again for a day, though a payment moves on.
        with bounded():
            try:
                intent = self._calls.ask(lambda stripe: stripe.payment_intents.cancel(reference.provider_ref))
            except ProviderRefusedError as error:
                if error.reason is Decline.NOT_IN_THIS_STATE:  # it was paid or canceled before, or is under way
                    return self.look_up(reference)
                raise
        return _seen(intent, reference)

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        ours = {"refund_id": str(refund_id), "payment_id": str(reference.payment_id)}
        order: dict[str, Any] = {
            "payment_intent": reference.provider_ref,
            "amount": charged(amount, reference.currency),
            "metadata": ours | ({"reason": reason[:500]} if reason else {}),
        }
        if reason in _REASONS:
            order["reason"] = reason
        key = {"idempotency_key": str(refund_id)}
        made = self._calls.ask(lambda stripe: stripe.refunds.create(order, key))
        provider_event = refund_event(made, f"lookup:{text(made, 'id')}:{text(made, 'status')}", raw=made)
        if provider_event.provider_ref != reference.provider_ref:
            raise UnreadableError("the answer is about another payment")
        return [provider_event]

    def undelivered(self, *, since: datetime, after: str | None = None) -> UndeliveredPage:
        """Events since then that some webhook endpoint has not taken, the newest first (the list goes back 30 days)."""
        query: dict[str, Any] = {
            "created": {"gte": int(since.timestamp())},
            "delivery_success": False,
            "types": list(EVENT_TYPES),
            "limit": PAGE,
        }
        if after is not None:
            query["starting_after"] = after
        page = self._calls.ask(lambda stripe: stripe.events.list(query))
        events = items(page, "data")
        found = []
        for event in events:
            try:
                found.append(UndeliveredEvent(event_id=text(event, "id"), events=self._own_events(event)))
            except UnreadableError:  # one that we cannot read is not the others' fault
                continue
        return UndeliveredPage(events=found, after=text(events[-1], "id") if page.get("has_more") and events else None)

    def _own_events(self, event: dict[str, Any]) -> Sequence[ProviderEvent | ProviderRefundEvent | ThinEvent]:
        """What an event says about payments of this account and of its mode: others have theirs at the same address."""
        foreign = event.get("object") != "event" or event.get("account") is not None
        if foreign or (self._live is not None and event.get("livemode") is (not self._live)):
            return []
        return events_of(event)

    def _lost(self, intent: dict[str, Any], reference: Reference) -> list[ProviderEvent]:
        charge = intent.get("latest_charge")
        if not isinstance(charge, dict) or charge.get("disputed") is not True:
            return []
        query = {"payment_intent": reference.provider_ref, "limit": PAGE}
        disputes = items(self._calls.ask(lambda stripe: stripe.disputes.list(query)), "data")
        lost = [dispute for dispute in disputes if dispute.get("status") == "lost"]
        return [lost_event(dispute, f"lookup:{text(dispute, 'id')}:lost", raw=dispute) for dispute in lost]

    def _refunds(self, reference: Reference) -> list[ProviderRefundEvent]:
        query = {"payment_intent": reference.provider_ref, "limit": PAGE}
        return refunds_in(self._calls.ask(lambda stripe: stripe.refunds.list(query)))


def _seen(intent: dict[str, Any], reference: Reference) -> list[ProviderEvent]:
    """The event in an answer about one payment; its id names what was seen, so that seeing it again is no news."""
    if intent.get("id") != reference.provider_ref:
        raise UnreadableError("the answer is about another payment")
    status = status_of(intent)
    if status is None:
        return []
    provider_event = payment_event(intent, status, "", raw=intent)
    event_id = f"lookup:{provider_event.provider_ref}:{status.value}:{provider_event.amount}"
    return [payment_event(intent, status, event_id, raw=intent)]


def _signatures(value: str) -> tuple[str, list[str]]:
    """The signed time and the signatures of scheme v1 in ``t=…,v1=…,v1=…,v0=…``; other schemes count for nothing."""
    pairs = [part.strip().partition("=") for part in value.split(",")]
    times = [text for name, _, text in pairs if name == "t"]
    claimed = [text for name, _, text in pairs if name == "v1" and text]
    if len(times) != 1 or not claimed:
        raise UnverifiedError("the signature has no time or is not of a scheme that we know")
    return times[0], claimed
