"""GoCardless: a payment is a billing request, and its webhooks name it by our own id, which stands in its metadata.

The customer goes through a billing request's flow, GoCardless' pages. When it is fulfilled, there is a payment by a
name of its own (PM…), which the customer's bank is debited for: days later it is confirmed, and for weeks it may come
back.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from checkout_service.payments.next_action import NextAction
from checkout_service.providers.adapters.gocardless.answers import (
    CAME,
    CANCELABLE,
    Answer,
    closed_after_failure,
    money_of,
    of_payment,
    of_request,
    refund_of,
    sum_of,
)
from checkout_service.providers.adapters.gocardless.names import (
    BILLING_REQUEST,
    CURRENCIES,
    FLOW,
    NAME,
    PAYMENT,
    REFUND,
    id_in,
    is_id,
    link_in,
    metadata_of,
    our_payment,
)
from checkout_service.providers.adapters.gocardless.orders import billing_request, plain_flow, whole_flow
from checkout_service.providers.adapters.gocardless.refusals import ConflictError, TotalRefusedError, explain
from checkout_service.providers.adapters.gocardless.spec import base_of
from checkout_service.providers.adapters.gocardless.undelivered import Undelivered, after_of
from checkout_service.providers.adapters.gocardless.webhooks import parse_delivery
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
)
from checkout_service.providers.buyers import open_whole_or_plain
from checkout_service.providers.fields import amount_from_minor, items, minor_units, nested, redirect_to, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.transport import Transport, bearer, bounded
from checkout_service.providers.undelivered import UndeliveredPage
from checkout_service.settings.provider_accounts import Account

VERSION: Final = "2015-07-06"
"""Of the API, the only one (gocardless-pro 3.22.0)."""

PAGE: Final = 500
MOST_PAGES: Final = 4
"""Of one list about one payment: far more than there can be."""

TOTAL_TRIES: Final = 3
"""How often a refund is tried whose sum is refused while nothing about its payment changes."""

_NO_CAPTURE: Final = "GoCardless collects by itself: there is nothing to capture or to release"


class GoCardlessProvider:
    """GoCardless; its options are ``access_token``, ``api_base``, ``return_url`` and ``fallback``.

    With ``fallback=on`` a payment by the customer's bank on the spot may become a direct debit.
    """

    name = NAME
    asks = True

    def __init__(self, account: Account) -> None:
        self._return_url = account.option("return_url")
        self._fallback = account.option("fallback") == "on"
        self._deployment = account.deployment
        self._keys = account.keys()
        token = account.option("access_token") or ""
        headers = bearer(token) | {"GoCardless-Version": VERSION}
        self._api = Transport(account.option("api_base") or base_of(token), headers=headers, explain=explain)
        self._undelivered = Undelivered(self._api, self._deployment)

    def open(self, opening: Opening) -> Opened:
        """A billing request, and a flow for it. The flow's address tells the request's id behind a #."""
        amount = minor_units(opening.amount, opening.currency)
        if opening.currency not in CURRENCIES:
            message = f"{opening.currency}: GoCardless has no scheme for it"
            raise ProviderRefusedError(message, reason=Decline.CURRENCY_REFUSED)
        order = billing_request(opening, amount, deployment=self._deployment, fallback=self._fallback)
        with bounded():
            held = self._requested(order, opening)
            taken = money_of(nested(held, "payment_request"))
            request_id = id_in(held, "id", BILLING_REQUEST)
            flow = plain_flow(request_id, opening, self._return_url)
            pages = open_whole_or_plain(
                lambda body, key: self._flow(body, f"{key}-flow"),
                whole=whole_flow(flow, opening),
                plain=flow,
                payment_id=opening.payment_id,
            )
        if link_in(pages, "billing_request", BILLING_REQUEST) != request_id:
            raise UnreadableError("the flow is of another billing request")
        return Opened(provider_ref=str(opening.payment_id), payment_token=_token(pages, request_id), **taken)

    def next_action(self, payment_token: str) -> NextAction:
        return redirect_to(payment_token)

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        return parse_delivery(raw_webhook, self._keys, deployment=self._deployment)

    def undelivered(self, *, since: datetime, after: str | None = None) -> UndeliveredPage:
        """The refunds that somebody made in the dashboard, and the deliveries that failed."""
        return self._undelivered.page(since=since, after=after)

    def look_up_object(self, news: Sequence[ThinEvent]) -> ParsedWebhook:
        """The payment of a refund that an event names without it."""
        with bounded():
            return self._undelivered.payment_of(news[0].object_ref)

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        seen_at = datetime.now(UTC)
        with bounded():
            if (payment_ref := _known_payment(reference)) is None:
                held = self._billing_request(reference)
                payment_ref = link_in(held, "payment_request_payment", PAYMENT)
                if payment_ref is None:
                    return of_request(held, reference, seen_at)
            return self._of_payment(self._payment(payment_ref, reference), reference, seen_at)

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Cancel the billing request, or its payment while no bank has it; where neither can be, say how it stands.

        A payment that we did not know of before is left alone: its customer has just authorised it, and whoever wants
        it canceled knew of none. A payment that failed is closed: its customer cannot pay any more.
        """
        seen_at = datetime.now(UTC)
        with bounded():
            payment_ref = known = _known_payment(reference)
            if payment_ref is None:
                # Without a key: the first answer would come again, though a request moves on.
                with suppress(_NotNow):
                    return of_request(self._canceled_request(reference), reference, seen_at)
                payment_ref = link_in(self._billing_request(reference), "payment_request_payment", PAYMENT)
                if payment_ref is None:
                    return self.look_up(reference)
            held = self._payment(payment_ref, reference)
            if known is not None and text(held, "status") in CANCELABLE:
                with suppress(_NotNow):
                    self._act(f"/payments/{payment_ref}")
                held = self._payment(payment_ref, reference)
            found = self._of_payment(held, reference, datetime.now(UTC))
            brought = any(isinstance(event, ProviderEvent) and event.amount is not None for event in found)
            failed = text(held, "status") == "failed" and not brought
            return [*found, closed_after_failure(reference, held)] if failed else found

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Give back some of a payment. GoCardless wants to hear the sum of all its refunds with each.

        It takes no words for a reason. An account's refunds must have been switched on by GoCardless.
        """
        value = minor_units(amount, reference.currency)
        with bounded():
            payment_ref = _known_payment(reference)
            if payment_ref is None:
                payment_ref = link_in(self._billing_request(reference), "payment_request_payment", PAYMENT)
            if payment_ref is None:
                raise ProviderRefusedError("it has no payment yet", reason=Decline.NOT_IN_THIS_STATE)
            order = {
                "amount": value,
                "links": {"payment": payment_ref},
                "metadata": self._metadata(reference) | {"refund_id": str(refund_id)},
            }
            made = self._refunded(order, reference, refund_id)
            return [refund_of(made, reference, payment_ref)]

    def capture(
        self, reference: Reference, *, request_id: UUID, amount: Decimal, final: bool
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        raise ProviderRefusedError(_NO_CAPTURE, reason=Decline.NOT_IN_THIS_STATE)

    def void(self, reference: Reference, *, void_id: UUID) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        raise ProviderRefusedError(_NO_CAPTURE, reason=Decline.NOT_IN_THIS_STATE)

    def _requested(self, order: dict[str, Any], opening: Opening) -> dict[str, Any]:
        """The billing request of this order. The key alone says that it was made before, whatever was ordered."""
        held = self._made("billing_requests", order, str(opening.payment_id), BILLING_REQUEST)
        wish = order["payment_request"]
        money = nested(held, "payment_request")
        same = (money.get("amount"), money.get("currency")) == (wish["amount"], wish["currency"])
        if not same or metadata_of(held).get("payment_id") != str(opening.payment_id):
            message = "its key belongs to another billing request"
            raise ProviderRefusedError(message, reason=Decline.KEY_REUSED)
        return held

    def _made(self, kind: str, order: dict[str, Any], key: str, prefix: str) -> dict[str, Any]:
        """What was made, now or by the same key before: then GoCardless only names it."""
        try:
            return nested(self._api.call("POST", f"/{kind}", json={kind: order}, idempotency_key=key), kind)
        except ConflictError as conflict:
            if not is_id(conflict.resource, prefix):
                raise
            held = nested(self._api.call("GET", f"/{kind}/{conflict.resource}"), kind)
            if held.get("id") != conflict.resource:
                raise UnreadableError("the answer is about something else") from None
            return held

    def _refunded(self, order: dict[str, Any], reference: Reference, refund_id: UUID) -> dict[str, Any]:
        """The refund of this order, made now or before.

        What GoCardless says was refunded may have a refund in it that came back, so the sum of its refunds is tried as
        well. Where both are refused and nothing changes meanwhile, it is for staff.
        """
        payment_ref = order["links"]["payment"]
        seen: list[int] | None = None
        for _ in range(TOTAL_TRIES):
            # One that was asked for before is looked for first: its amount is part of the sum by now.
            refunds = self._listed("refunds", payment=payment_ref)
            for made in refunds:
                if metadata_of(made).get("refund_id") == str(refund_id):
                    return made
            refunded = self._payment(payment_ref, reference).get("amount_refunded", 0)
            amount_from_minor(refunded, reference.currency)
            sums = list(dict.fromkeys([refunded, sum_of(refunds, reference.currency)]))
            if seen is not None and seen != sums:
                raise TotalRefusedError("another refund of this payment is at work", in_progress=True)
            seen = sums
            for before in sums:
                with suppress(TotalRefusedError):
                    total = {"total_amount_confirmation": before + order["amount"]}
                    made = self._made("refunds", order | total, str(refund_id), REFUND)
                    if metadata_of(made).get("refund_id") != str(refund_id):
                        raise UnreadableError("the refund is another one")
                    return made
        units = ", ".join(map(str, seen or ()))
        message = f"GoCardless refuses the sum of all refunds; before this one we read {units} (smallest units)"
        raise ProviderRefusedError(message, reason=Decline.NOT_IN_THIS_STATE)

    def _flow(self, order: dict[str, Any], key: str) -> dict[str, Any]:
        """A flow. One that was made by this key before cannot be read, but begun again, which answers the same."""
        kind = "billing_request_flows"
        try:
            return nested(self._api.call("POST", f"/{kind}", json={kind: order}, idempotency_key=key), kind)
        except ConflictError as conflict:
            if not is_id(conflict.resource, FLOW):
                raise
            return nested(self._api.call("POST", f"/{kind}/{conflict.resource}/actions/initialise"), kind)

    def _billing_request(self, reference: Reference) -> dict[str, Any]:
        request_id = _request_id(reference)
        return self._own(self._api.call("GET", f"/billing_requests/{request_id}"), request_id, reference)

    def _canceled_request(self, reference: Reference) -> dict[str, Any]:
        request_id = _request_id(reference)
        return self._own(self._act(f"/billing_requests/{request_id}"), request_id, reference)

    def _own(self, answer: dict[str, Any], request_id: str, reference: Reference) -> dict[str, Any]:
        held = nested(answer, "billing_requests")
        if held.get("id") != request_id or metadata_of(held).get("payment_id") != str(reference.payment_id):
            raise UnreadableError("the answer is about another payment")
        return held

    def _payment(self, payment_ref: str, reference: Reference) -> dict[str, Any]:
        held = nested(self._api.call("GET", f"/payments/{payment_ref}"), "payments")
        named = our_payment(metadata_of(held), "")
        if held.get("id") != payment_ref or named not in {reference.payment_id, None}:
            raise UnreadableError("the answer is about another payment")
        return held

    def _of_payment(self, held: dict[str, Any], reference: Reference, seen_at: datetime) -> Answer:
        payment_ref, status = id_in(held, "id", PAYMENT), text(held, "status")
        events = self._listed("events", payment=payment_ref)
        may_be_refunded = status in CAME or bool(held.get("amount_refunded")) or reference.capture_ref is not None
        refunds = self._listed("refunds", payment=payment_ref) if may_be_refunded else []
        return of_payment(held, events, refunds, reference, seen_at)

    def _act(self, path: str) -> dict[str, Any]:
        """Cancel something; _NotNow where it is past that."""
        try:
            return self._api.call("POST", f"{path}/actions/cancel", json={"data": {}})
        except ProviderRefusedError as error:
            if error.reason in {Decline.CREDENTIALS, Decline.UNKNOWN_REFERENCE}:
                raise
            raise _NotNow from error

    def _listed(self, kind: str, **filters: str) -> list[dict[str, Any]]:
        """All of a list, page by page."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        for _ in range(MOST_PAGES):
            query = filters | {"limit": str(PAGE)} | ({"after": after} if after else {})
            answer = self._api.call("GET", f"/{kind}?{urlencode(query)}")
            found += items(answer, kind)
            after = after_of(answer)
            if after is None:
                return found
        raise UnreadableError(f"a list of {kind} has no end")

    def _metadata(self, reference: Reference) -> dict[str, str]:
        ours = {"payment_id": str(reference.payment_id)}
        return ours | ({"deployment": self._deployment} if self._deployment else {})


class _NotNow(Exception):  # noqa: N818 (no error: it is past that)
    """GoCardless cancels it no more."""


def _known_payment(reference: Reference) -> str | None:
    """GoCardless' name of the payment where we have it already."""
    return next((name for name in (reference.attempt_ref, reference.capture_ref) if is_id(name, PAYMENT)), None)


def _token(flow: dict[str, Any], request_id: str) -> str:
    """The address of the customer's pages; the request's id is put behind a #, which no browser sends."""
    url = text(flow, "authorisation_url")
    if redirect_to(url) is None or urlsplit(url).fragment:
        raise UnreadableError("the flow's address is none")
    return f"{url}#{request_id}"


def _request_id(reference: Reference) -> str:
    found = (reference.payment_token or "").rpartition("#")[2]
    if not is_id(found, BILLING_REQUEST):
        raise ProviderRefusedError("the billing request is not known", reason=Decline.UNKNOWN_REFERENCE)
    return found
