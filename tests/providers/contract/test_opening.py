"""What each provider is sent when a payment is opened: what the request named, in the provider's own members."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import httpx

from tests.providers.contract.test_calls import opened
from tests.providers.kits.kit import PAYMENT_ID, Kit

BACK, AWAY = f"https://shop.example/paid/{PAYMENT_ID}", "https://shop.example/cart"


def sent_to(kit: Kit, provider: Any = None, **options: Any) -> dict[str, Any]:
    """What the provider's server is sent to open a payment with these members of an Opening."""
    bank, bodies = kit.bank(), []

    def answer(request: httpx.Request) -> httpx.Response:
        text = request.content.decode()
        if request.method == "POST" and (str(PAYMENT_ID) in text or PAYMENT_ID.hex in text):
            bodies.append(request)
        return bank(request)

    opened(kit.provider(answer=answer), **options)
    (request,) = bodies
    if request.headers["content-type"].startswith("application/json"):
        body: dict[str, Any] = json.loads(request.content)
        return body
    return dict(parse_qsl(request.content.decode()))


def test_without_anything_named_a_provider_is_sent_what_it_always_was(kit: Kit) -> None:
    ours = sent_to(kit)

    members = {
        "adyen": {"merchantAccount", "reference", "amount", "reusable", "metadata"},
        "mollie": {"amount", "description", "metadata", "redirectUrl", "webhookUrl"},
        "paypal": {"intent", "purchase_units"},
        "mock": {"payment_id", "amount", "currency"},
        "standard": {"payment_id", "amount", "currency"},
        "stripe": {"amount", "currency", "metadata[payment_id]", "metadata[deployment]"},
    }[kit.name]
    assert set(ours) - {"returnUrl", "payment_source"} == members


def test_a_payments_own_return_urls_stand_in_place_of_the_accounts(kit: Kit) -> None:
    sent = sent_to(kit, return_url=BACK, cancel_url=AWAY)

    match kit.name:
        case "adyen":
            assert sent["returnUrl"] == BACK
            assert AWAY not in json.dumps(sent)
        case "mollie":
            assert (sent["redirectUrl"], sent["cancelUrl"]) == (BACK, AWAY)
        case "paypal":
            context = sent["payment_source"]["paypal"]["experience_context"]
            assert (context["return_url"], context["cancel_url"], context["user_action"]) == (BACK, AWAY, "PAY_NOW")
        case "stripe":
            assert "shop.example" not in json.dumps(sent), "Stripe refuses a return_url without a confirmation"
        case _:
            assert (sent["return_url"], sent["cancel_url"]) == (BACK, AWAY)


def test_what_a_retry_sends_is_the_same_to_the_byte(kit: Kit) -> None:
    assert sent_to(kit, return_url=BACK, cancel_url=AWAY) == sent_to(kit, return_url=BACK, cancel_url=AWAY)
