"""Calls to Stripe through its official SDK, with our own waits, and our three errors in place of its many."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import stripe

from checkout_service.providers.base import (
    Decline,
    ProviderError,
    ProviderRefusedError,
    ProviderUnavailableError,
    UnreadableError,
)
from checkout_service.providers.fields import json_object
from checkout_service.providers.refusals import answer_in_short
from checkout_service.providers.transport import TRIES, Answer, LaterError, Transport, bounded, repeated

API: Final = "https://api.stripe.com"

THIN_EVENTS: Final = "/v2/core/events"

Services = Any
"""stripe.StripeClient.v1; its many types say less than our own tests of what is sent and read."""

# docs.stripe.com/error-codes and docs.stripe.com/declines/codes
_BY_DECLINE: Final = {
    "insufficient_funds": Decline.INSUFFICIENT_FUNDS,
    "expired_card": Decline.EXPIRED_METHOD,
    "authentication_required": Decline.AUTHENTICATION_FAILED,
    "authentication_not_handled": Decline.AUTHENTICATION_FAILED,
    "currency_not_supported": Decline.CURRENCY_REFUSED,
    "invalid_amount": Decline.AMOUNT_REFUSED,
} | dict.fromkeys(
    ("fraudulent", "lost_card", "merchant_blacklist", "pickup_card", "security_violation", "stolen_card"),
    Decline.SUSPECTED_FRAUD,
)
_BY_CODE: Final = {
    "card_declined": Decline.DECLINED,
    "expired_card": Decline.EXPIRED_METHOD,
    "authentication_required": Decline.AUTHENTICATION_FAILED,
    "payment_intent_authentication_failure": Decline.AUTHENTICATION_FAILED,
    "amount_too_large": Decline.AMOUNT_REFUSED,
    "amount_too_small": Decline.AMOUNT_REFUSED,
    "balance_insufficient": Decline.INSUFFICIENT_FUNDS,
    "insufficient_funds": Decline.INSUFFICIENT_FUNDS,
    "invalid_charge_amount": Decline.AMOUNT_REFUSED,
    "resource_missing": Decline.UNKNOWN_REFERENCE,
} | dict.fromkeys(
    (
        "charge_already_captured",
        "charge_already_refunded",
        "charge_disputed",
        "charge_not_refundable",
        "payment_intent_unexpected_state",
        "refund_disputed_payment",
    ),
    Decline.NOT_IN_THIS_STATE,
)
_BY_PARAMETER: Final = {"amount": Decline.AMOUNT_REFUSED, "currency": Decline.CURRENCY_REFUSED}
_BY_STATUS: Final = {401: Decline.CREDENTIALS, 403: Decline.CREDENTIALS}

_NOT_FOUND: Final = 404


class Calls:
    """The SDK for one account. Thread-safe; connects with the first call, so it may be made before a fork."""

    def __init__(self, api_key: str, base: str | None = None) -> None:
        # It tells of every request, and of every error in Stripe's own words.
        logging.getLogger("stripe").setLevel(logging.CRITICAL)
        self.transport = Transport(base or API)
        self._client = stripe.StripeClient(
            api_key, base_addresses={"api": (base or API).rstrip("/")}, http_client=_BoundedClient(self.transport)
        )

    def ask(self, call: Callable[[Services], Any]) -> dict[str, Any]:
        """The object that Stripe answers, as JSON has it. Raises one of the three provider errors and nothing else."""
        return self._answered(lambda: call(self._client.v1).last_response.body)

    def thin_events(self, query: dict[str, Any]) -> dict[str, Any]:
        """The first page of thin events, as ``ask`` answers and raises."""
        events: Services = self._client.v2.core.events
        return self._answered(lambda: events.list(query).last_response.body)

    def more_thin_events(self, query: str) -> dict[str, Any]:
        """Another page of them, by the query that the page before names."""
        return self._answered(lambda: self._client.raw_request("get", f"{THIN_EVENTS}?{query}").body)

    def _answered(self, call: Callable[[], str]) -> dict[str, Any]:
        try:
            with bounded():
                return json_object(call().encode())
        except ProviderError:
            raise
        except stripe.StripeError as error:
            # From none: the SDK's errors hold all that was answered, and what is chained may end in a log.
            raise _understood(error) from None
        except Exception as error:  # noqa: BLE001 (the SDK reads answers before we do, and trips over strange ones)
            raise UnreadableError(f"Stripe's answer is none: {type(error).__name__}") from None


class _BoundedClient(stripe.HTTPClient):
    """How the SDK reaches Stripe. It repeats here, within our bound: the SDK gives every POST an idempotency key."""

    name = "checkout-service"

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport

    def request_with_retries(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        post_data: Any = None,
        max_network_retries: int | None = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        call = f"{method.upper()} {urlsplit(url).path}"

        def attempt() -> Answer:
            answer = self._transport.exchange(method.upper(), url, call, headers=headers, content=post_data)
            _check_use(answer, call)
            return answer

        answer = repeated(attempt, TRIES)
        return answer.content.decode("utf-8"), answer.status, answer.headers

    def close(self) -> None:
        """Connections end with the process."""


def _check_use(answer: Answer, call: str) -> None:
    """Raise what says nothing about the call itself, and may be asked again."""
    again = answer.headers.get("Stripe-Should-Retry", "")
    if answer.status >= 500 or answer.status == 429 or again == "true":
        message = f"{call}: status {answer.status}"
        if again == "false":
            raise ProviderUnavailableError(message)
        raise LaterError(message, pause=answer.retry_after)
    if 300 <= answer.status < 400:
        raise UnreadableError(f"{call}: status {answer.status}")


def _understood(error: stripe.StripeError) -> ProviderError:
    """One of our errors for one of theirs, of which nothing but codes is kept."""
    status = error.http_status or 0
    if status == 409:
        return ProviderUnavailableError("Stripe: another call with this key is at work", in_progress=True)
    if not 400 <= status < 500:
        return UnreadableError(f"Stripe: {type(error).__name__}, status {status}")
    error_object = _error_object(error)
    reason = decline_of(error_object, status)
    # Another server on the way, or at a wrong STRIPE_API_BASE, answers 404 as well. That is no word of Stripe's, and
    # what is taken for one ends news of money for good. docs.stripe.com/error-codes#resource-missing
    if status == _NOT_FOUND and reason is not Decline.UNKNOWN_REFERENCE:
        return UnreadableError("Stripe: status 404 without the code resource_missing")
    answer = answer_in_short(status, error_object)
    return ProviderRefusedError(f"Stripe: status {status}, {reason.value}", reason=reason, answer=answer)


def decline_of(error_object: Mapping[str, Any], status: int = 400) -> Decline:
    """Why, from the ``error`` in Stripe's answer or the ``last_payment_error`` of a PaymentIntent."""
    if error_object.get("type") == "idempotency_error":
        return Decline.KEY_REUSED
    code, decline, parameter = (str(error_object.get(name)) for name in ("code", "decline_code", "param"))
    usual = Decline.DECLINED if error_object.get("type") == "card_error" else Decline.OTHER
    return (
        _BY_STATUS.get(status)
        or _BY_DECLINE.get(decline)
        or _BY_CODE.get(code)
        or (_BY_PARAMETER.get(parameter) if status == 400 else None)
        or usual
    )


def _error_object(error: stripe.StripeError) -> Mapping[str, Any]:
    body = error.json_body
    error_object = body.get("error") if isinstance(body, dict) else None
    return error_object if isinstance(error_object, dict) else {}
