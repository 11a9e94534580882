"""Stripe: PaymentIntents by the official SDK, and webhooks signed over a time and the raw bytes.

Formats and event types are those of docs.stripe.com/webhooks and docs.stripe.com/api, as of stripe-python 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import structlog

from checkout_service.payments.next_action import ClientSecret, NextAction
from checkout_service.providers.adapters.stripe.answered_at import AnsweredAt
from checkout_service.providers.adapters.stripe.client import Calls
from checkout_service.providers.adapters.stripe.disputes import seen_dispute
from checkout_service.providers.adapters.stripe.events import LISTED_TYPES, parsed
from checkout_service.providers.adapters.stripe.intents import capture_mark, capture_of, seen_intent
from checkout_service.providers.adapters.stripe.listing import PAGE, thin_page
from checkout_service.providers.adapters.stripe.objects import EXCEPTIONS, NAME, charged
from checkout_service.providers.adapters.stripe.orders import whole_order
from checkout_service.providers.adapters.stripe.refunds import refunds_in, seen_refund
from checkout_service.providers.adapters.stripe.thin import is_spare, rank_of, read_object
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
from checkout_service.providers.entries import CaptureEntry, Entry
from checkout_service.providers.fields import amount_from_minor, currency_of, items, json_object, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.signatures import check_age, header, matching, signed_hex, unix_time
from checkout_service.providers.transport import bounded
from checkout_service.providers.undelivered import UndeliveredEvent, UndeliveredPage
from checkout_service.settings.provider_accounts import Account

log = structlog.get_logger(__name__)

_REASONS: Final = ("duplicate", "fraudulent", "requested_by_customer")
"""For a refund; any other words of ours travel as metadata."""


class StripeProvider:
    """Stripe, with the options ``api_key``, ``publishable_key`` for clients and, for a stand-in, ``api_base``.

    ``capture`` is ``automatic`` unless it is ``manual``: then a payment is authorized, and captured by ``capture``.
    ``multicapture`` is ``on`` where the account may capture several times of one authorisation. ``events`` is what its
    destinations are sent, and so which lists are asked for what did not arrive: ``snapshot`` unless it is ``thin`` or
    ``both``. Webhooks of either kind are read whatever it is.
    """

    name = NAME
    asks = True

    def __init__(self, account: Account) -> None:
        key = account.option("api_key") or ""
        self._calls = Calls(key, account.option("api_base"))
        self._publishable_key = account.option("publishable_key")
        self._live = True if "_live_" in key else False if "_test_" in key else None
        self._secrets = account.keys()
        self._tolerance = account.tolerance
        self._deployment = account.deployment
        self._manual = account.option("capture") == "manual"
        self._several = account.option("multicapture") == "on"
        events = account.option("events") or "snapshot"
        self._in_full, self._thin = events in {"snapshot", "both"}, events in {"thin", "both"}

    def open(self, opening: Opening) -> Opened:
        """A PaymentIntent. Stripe takes a return URL only with the confirmation, which the client makes."""
        ours = {"payment_id": str(opening.payment_id)}
        order: dict[str, Any] = {
            "amount": charged(opening.amount, opening.currency),
            "currency": opening.currency.lower(),
            "metadata": ours | ({"deployment": self._deployment} if self._deployment else {}),
        }
        if self._manual:
            order["capture_method"] = "manual"
            if self._several:
                order["payment_method_options"] = {"card": {"request_multicapture": "if_available"}}
        held = open_whole_or_plain(
            lambda body, key: self._calls.ask(
                lambda stripe: stripe.payment_intents.create(body, {"idempotency_key": key})
            ),
            whole=whole_order(order, opening),
            plain=order,
            payment_id=opening.payment_id,
        )
        currency = currency_of(held.get("currency"))
        return Opened(
            provider_ref=text(held, "id"),
            payment_token=text(held, "client_secret"),
            amount=amount_from_minor(held.get("amount"), currency, EXCEPTIONS),
            currency=currency,
        )

    def next_action(self, payment_token: str) -> NextAction:
        return ClientSecret(payment_token, self._publishable_key)

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        signed_at, claimed = _signatures(header(raw_webhook, "stripe-signature"))
        signed = signed_at.encode() + b"." + raw_webhook.body
        secret = matching(self._secrets, lambda key: signed_hex(key, signed), claimed)
        check_age(unix_time(signed_at), raw_webhook, self._tolerance)
        return replace(self._parsed(json_object(raw_webhook.body)), secret=secret)

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        queried_at = datetime.now(UTC)
        with bounded():
            expanded = {"expand": ["latest_charge"]}
            intent = self._calls.ask(lambda stripe: stripe.payment_intents.retrieve(reference.provider_ref, expanded))
            found: list[ProviderEvent | ProviderRefundEvent] = self._seen(intent, reference, queried_at)
            if any(isinstance(entry, CaptureEntry) for seen in found for entry in _entries(seen)):
                found += self._disputes(intent, reference, queried_at)
                found += self._refunds(intent, reference)
        return found

    def look_up_object(self, news: Sequence[ThinEvent]) -> ParsedWebhook:
        queried_at = datetime.now(UTC)
        return read_object(self._calls, news, at=queried_at, deployment=self._deployment)

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        # Without a key of ours: Stripe would give the same answer again for a day, though a payment moves on.
        queried_at = datetime.now(UTC)
        with bounded():
            try:
                intent = self._calls.ask(lambda stripe: stripe.payment_intents.cancel(reference.provider_ref))
            except ProviderRefusedError as error:
                if error.reason is Decline.NOT_IN_THIS_STATE:  # it was paid or canceled before, or is under way
                    return self.look_up(reference)
                raise
        return self._seen(intent, reference, queried_at)

    def capture(
        self, reference: Reference, *, request_id: UUID, amount: Decimal, final: bool
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        if not final and not self._several:
            raise ProviderRefusedError("one capture ends the authorisation", reason=Decline.NOT_IN_THIS_STATE)
        # With our id beside the intent, an event tells which requests it is of, should an answer be lost.
        minor = charged(amount, reference.currency)
        order: dict[str, Any] = {"amount_to_capture": minor, "metadata": {capture_mark(request_id): str(minor)}}
        if not final:  # only where there may be several: it is an error elsewhere
            order["final_capture"] = False
        key = {"idempotency_key": str(request_id)}
        queried_at = datetime.now(UTC)
        intent = self._calls.ask(lambda stripe: stripe.payment_intents.capture(reference.provider_ref, order, key))
        return self._seen(intent, reference, queried_at)

    def void(self, reference: Reference, *, void_id: UUID) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        key = {"idempotency_key": str(void_id)}
        queried_at = datetime.now(UTC)
        with bounded():
            try:
                intent = self._calls.ask(lambda stripe: stripe.payment_intents.cancel(reference.provider_ref, {}, key))
            except ProviderRefusedError as error:
                if error.reason is not Decline.NOT_IN_THIS_STATE:
                    raise
                found = self.look_up(reference)
                if not any(isinstance(seen, ProviderEvent) and _let_go(seen) for seen in found):
                    raise  # there is nothing to let go, since it was captured
                return found
        return self._seen(intent, reference, queried_at)

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
        provider_event = seen_refund(made)
        if provider_event.provider_ref != reference.provider_ref:
            raise UnreadableError("the answer is about another payment")
        return [provider_event]

    def undelivered(self, *, since: datetime, after: str | None = None) -> UndeliveredPage:
        """Events since then that some webhook endpoint has not taken, the newest first (the list goes back 30 days)."""
        if not self._in_full:
            return UndeliveredPage(events=[])
        query: dict[str, Any] = {
            "created": {"gte": int(since.timestamp())},
            "delivery_success": False,
            "types": list(LISTED_TYPES),
            "limit": PAGE,
        }
        if after is not None:
            query["starting_after"] = after
        page = self._calls.ask(lambda stripe: stripe.events.list(query))
        events = items(page, "data")
        found = self._readable(events)
        return UndeliveredPage(events=found, after=text(events[-1], "id") if page.get("has_more") and events else None)

    @property
    def lists_events(self) -> bool:
        """Whether the account has a thin destination."""
        return self._thin

    def listed(self, *, since: datetime, until: datetime, after: str | None = None) -> UndeliveredPage:
        """Thin events of that time, delivered or not: Stripe lists them without a word on deliveries."""
        if not self._thin:
            return UndeliveredPage(events=[])
        events, further = thin_page(self._calls, LISTED_TYPES, since=since, until=until, after=after)
        return UndeliveredPage(events=[_ranked(event) for event in self._readable(events)], after=further)

    def _readable(self, events: Sequence[dict[str, Any]]) -> list[UndeliveredEvent]:
        found = []
        for event in events:
            try:
                found.append(UndeliveredEvent(event_id=text(event, "id"), events=self._parsed(event).events))
            except UnreadableError as error:  # one that we cannot read is not the others' fault
                log.warning("listed_event_not_understood", provider=NAME, event_id=_named(event), error=str(error))
        return found

    def _parsed(self, event: dict[str, Any]) -> ParsedWebhook:
        """What an event says about payments of this account and of its mode: others have theirs at the same address."""
        return parsed(event, deployment=self._deployment, live=self._live)

    def _seen(
        self, intent: dict[str, Any], reference: Reference, queried_at: datetime
    ) -> list[ProviderEvent | ProviderRefundEvent]:
        if intent.get("id") != reference.provider_ref:
            raise UnreadableError("the answer is about another payment")
        return [*seen_intent(intent, at=queried_at)]

    def _disputes(self, intent: dict[str, Any], reference: Reference, queried_at: datetime) -> list[ProviderEvent]:
        charge = capture_of(intent)
        if charge is None or charge.get("disputed") is not True:
            return []
        query = {"payment_intent": reference.provider_ref, "limit": PAGE}
        answered_at = AnsweredAt(queried_at)
        page = self._calls.ask(lambda stripe: answered_at.of(stripe.disputes.list(query)))
        return [seen_dispute(dispute, at=answered_at.moment) for dispute in items(page, "data")]

    def _refunds(self, intent: dict[str, Any], reference: Reference) -> Sequence[ProviderRefundEvent]:
        query = {"payment_intent": reference.provider_ref, "limit": PAGE}
        return refunds_in(self._calls.ask(lambda stripe: stripe.refunds.list(query)), capture_of(intent))


def _ranked(event: UndeliveredEvent) -> UndeliveredEvent:
    kinds = [item.kind for item in event.events if isinstance(item, ThinEvent)]
    return replace(event, rank=rank_of(kinds[0]), spare=is_spare(kinds[0])) if kinds else event


def _named(event: dict[str, Any]) -> str:
    """What an event calls itself, as far as it can be written down."""
    return str(event.get("id"))[:100].encode("unicode_escape").decode()


def _entries(seen: ProviderEvent | ProviderRefundEvent) -> Sequence[Entry]:
    return seen.entries if isinstance(seen, ProviderEvent) else ()


def _let_go(seen: ProviderEvent) -> bool:
    """Whether the provider holds nothing authorized of a payment any more, and nothing came."""
    return seen.status is not None and seen.status.closed_unpaid


def _signatures(value: str) -> tuple[str, list[str]]:
    """The signed time and the signatures of scheme v1 in ``t=…,v1=…,v1=…,v0=…``; other schemes count for nothing."""
    pairs = [part.strip().partition("=") for part in value.split(",")]
    times = [text for name, _, text in pairs if name == "t"]
    claimed = [text for name, _, text in pairs if name == "v1" and text]
    if len(times) != 1 or not claimed:
        raise UnverifiedError("the signature has no time or is not of a scheme that we know")
    return times[0], claimed
