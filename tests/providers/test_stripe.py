"""What is Stripe's own: its currencies, its states, what is another account's, and its many ways to say no."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers import transport
from checkout_service.providers.adapters.stripe.objects import charged
from checkout_service.providers.adapters.stripe.provider import StripeProvider
from checkout_service.providers.base import (
    Decline,
    IgnoredReason,
    Opening,
    ParsedWebhook,
    ProviderRefusedError,
    ProviderUnavailableError,
    ThinEvent,
)
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID
from tests.providers.kits.stripe import (
    CHARGE,
    DEPLOYMENT,
    INTENT,
    KIT,
    StripeBank,
    charge,
    event,
    intent,
    problem,
    refund,
    sign,
)

DECLINED = {"type": "card_error", "code": "card_declined"}


def parsed(kind: str, about: dict[str, Any], **fields: Any) -> ParsedWebhook:
    return KIT.provider().verify_and_parse(sign(event(kind, about, **fields), KIT.secrets[0]).raw("stripe"))


def events_of(kind: str, about: dict[str, Any], **fields: Any) -> list[Any]:
    return list(parsed(kind, about, **fields).events)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("12.50", "USD", 1250), ("12.00", "JPY", 12), ("12.00", "ISK", 1200), ("12.00", "UGX", 1200), ("12.00", "MGA", 12),
     ("1.50", "KWD", 1500)],
)  # fmt: skip
def test_stripes_own_smallest_units(amount: str, currency: str, minor: int) -> None:
    assert charged(Decimal(amount), currency) == minor


def test_of_three_decimals_the_last_is_0() -> None:
    assert charged(Decimal("1.230"), "KWD") == 1230
    with pytest.raises(ProviderRefusedError) as caught:
        charged(Decimal("1.235"), "KWD")
    assert caught.value.reason is Decline.AMOUNT_REFUSED


@pytest.mark.parametrize("currency", ["JPY", "ISK", "UGX", "MGA"])
def test_no_fraction_of_a_currency_that_has_none(currency: str) -> None:
    with pytest.raises(ProviderRefusedError) as caught:
        charged(Decimal("12.50"), currency)
    assert caught.value.reason is Decline.AMOUNT_REFUSED


def test_of_a_paid_payment_the_amount_that_came_counts() -> None:
    (provider_event,) = events_of("payment_intent.succeeded", intent(amount=24000, amount_received=20000))
    assert (provider_event.amount, provider_event.status) == (Decimal("200.00"), PaymentStatus.PARTIALLY_PAID)


@pytest.mark.parametrize(
    ("about", "fields"),
    [
        (intent(), {"livemode": True}),
        (intent(), {"account": "acct_another"}),
    ],
    ids=["of the live mode", "of a connected account"],
)
def test_an_event_of_another_mode_or_account_is_not_ours(about: dict[str, Any], fields: dict[str, Any]) -> None:
    assert parsed("payment_intent.succeeded", about, **fields) == ParsedWebhook(
        secret=0, ignored=IgnoredReason.NOT_OURS
    )


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("customer.created", {}, IgnoredReason.UNKNOWN_TYPE),
        ("payment_intent.succeeded", {"object": "v3.event"}, IgnoredReason.UNKNOWN_TYPE),
        ("customer.created", {"account": "acct_another"}, IgnoredReason.NOT_OURS),
        ("charge.succeeded", {"data": {"object": charge(payment_intent=None)}}, IgnoredReason.NOT_OURS),
        ("refund.created", {"data": {"object": refund(payment_intent=None, charge=None)}}, IgnoredReason.NOT_OURS),
    ],
)
def test_what_is_ignored_says_why(kind: str, fields: dict[str, Any], reason: IgnoredReason) -> None:
    assert parsed(kind, intent(), **fields) == ParsedWebhook(secret=0, ignored=reason)


def test_a_refund_that_names_no_intent_is_found_by_its_charge() -> None:
    (found,) = events_of("refund.created", refund(payment_intent=None))
    assert (found.provider_ref, list(found.names), found.capture_ref) == ("", [CHARGE], CHARGE)
    assert events_of("refund.created", refund(payment_intent=None, charge=None)) == []


def test_that_a_charge_was_refunded_is_a_thin_event() -> None:
    about = {"id": CHARGE, "object": "charge", "payment_intent": INTENT, "amount_refunded": 100}
    assert events_of("charge.refunded", about) == [ThinEvent(provider="stripe", provider_ref=INTENT)]


@pytest.mark.parametrize(
    ("status", "proven"),
    [("pending", "processing"), ("requires_action", "processing"), ("canceled", "failed"), ("failed", "failed")],
)
def test_a_refunds_states(status: str, proven: str) -> None:
    (provider_event,) = events_of("refund.updated", refund(status))
    assert provider_event.status is RefundStatus(proven)


def test_a_secret_of_last_year_and_other_schemes_do_not_hide_a_good_signature() -> None:
    webhook = sign(event("payment_intent.succeeded", intent()), KIT.secrets[1])
    parsed = KIT.provider(*KIT.secrets).verify_and_parse(webhook.raw("stripe"))
    assert (len(parsed.events), parsed.secret) == (1, 1)

    weaker = webhook.headers["stripe-signature"].replace("v1=", "v0=")
    only_v0 = sign(webhook.body, KIT.secrets[1])
    only_v0.headers["stripe-signature"] = weaker
    with pytest.raises(Exception, match="scheme"):
        KIT.provider(*KIT.secrets).verify_and_parse(only_v0.raw("stripe"))


@pytest.mark.parametrize(
    ("details", "status", "reason"),
    [
        (
            {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"},
            402,
            "insufficient_funds",
        ),
        ({"type": "card_error", "code": "card_declined", "decline_code": "stolen_card"}, 402, "suspected_fraud"),
        ({"type": "card_error", "code": "card_declined", "decline_code": "of another age"}, 402, "declined"),
        ({"type": "card_error", "code": "expired_card"}, 402, "expired_method"),
        ({"type": "card_error", "code": "of another age"}, 402, "declined"),
        ({"type": "card_error", "code": "authentication_required"}, 402, "authentication_failed"),
        ({"type": "invalid_request_error", "code": "amount_too_small"}, 400, "amount_refused"),
        ({"type": "invalid_request_error", "param": "currency"}, 400, "currency_refused"),
        ({"type": "invalid_request_error", "code": "charge_already_refunded"}, 400, "not_in_this_state"),
        ({"type": "invalid_request_error", "code": "resource_missing"}, 404, "unknown_reference"),
        ({"type": "idempotency_error"}, 400, "key_reused"),
        ({"type": "invalid_request_error"}, 401, "credentials"),
        ({"type": "invalid_request_error"}, 403, "credentials"),
        ({}, 400, "other"),
    ],
    ids=str,
)
def test_stripes_ways_to_say_no_are_ours(details: dict[str, Any], status: int, reason: str) -> None:
    provider = KIT.provider(answer=lambda _: problem(status, **details))

    with pytest.raises(ProviderRefusedError) as caught:
        provider.open(Opening(payment_id=uuid4(), amount=AMOUNT, currency=CURRENCY))

    assert caught.value.reason is Decline(reason)
    assert "4242" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_key_that_is_in_use_is_a_retry_at_work_and_a_lock_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "sleep", lambda seconds: None)
    requests: list[str] = []

    def answering(status: int, **headers: str) -> StripeProvider:
        def answer(request: httpx.Request) -> httpx.Response:
            requests.append(request.headers["Idempotency-Key"])
            return httpx.Response(status, json={"error": {"type": "api_error"}}, headers=headers)

        return KIT.provider(answer=answer)

    def error(provider: StripeProvider) -> ProviderUnavailableError:
        requests.clear()
        with pytest.raises(ProviderUnavailableError) as caught:
            provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
        assert set(requests) == {str(PAYMENT_ID)}
        return caught.value

    assert error(answering(409)).in_progress
    assert len(requests) == 1
    assert not error(answering(409, **{"Stripe-Should-Retry": "true"})).in_progress
    assert len(requests) == transport.TRIES
    error(answering(500, **{"Stripe-Should-Retry": "false"}))
    assert len(requests) == 1


def test_a_key_that_comes_with_another_order_is_refused() -> None:
    provider = KIT.provider(answer=StripeBank())
    provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))

    with pytest.raises(ProviderRefusedError) as caught:
        provider.open(Opening(payment_id=PAYMENT_ID, amount=Decimal("1.00"), currency=CURRENCY))
    assert caught.value.reason is Decline.KEY_REUSED


def test_a_live_key_reads_live_events_alone() -> None:
    provider = StripeProvider(
        Account(options={"api_key": Secret("rk_live_x")}, secrets=[Secret(secret) for secret in KIT.secrets])
    )
    for live in (True, False):
        webhook = sign(event("payment_intent.succeeded", intent(), livemode=live), KIT.secrets[0])
        assert bool(provider.verify_and_parse(webhook.raw("stripe")).events) is live


def test_the_sdk_says_nothing_to_our_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        provider = KIT.provider(answer=lambda _: problem(402, type="card_error", code="card_declined"))
        with pytest.raises(ProviderRefusedError):
            provider.open(Opening(payment_id=uuid4(), amount=AMOUNT, currency=CURRENCY))

    assert [record for record in caplog.records if record.name.startswith("stripe")] == []


def test_what_is_sent_is_what_stripe_documents() -> None:
    bank = StripeBank()
    KIT.provider(answer=bank).open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))

    (request,) = bank.requests
    assert request.url == "https://api.stripe.com/v1/payment_intents"
    assert request.headers["Idempotency-Key"] == str(PAYMENT_ID)
    assert dict(part.split("=") for part in request.content.decode().split("&")) == {
        "amount": "24000",
        "currency": "usd",
        "metadata[payment_id]": str(PAYMENT_ID),
        "metadata[deployment]": DEPLOYMENT,
    }
    assert json.loads(json.dumps(dict(request.headers)))["stripe-version"]
