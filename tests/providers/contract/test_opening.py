"""What each provider is sent when a payment is opened: what the request named, in the provider's own members."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import httpx
import pytest

from checkout_service.providers.base import Buyer, Decline, DeliveryAddress, Opening, ProviderRefusedError
from checkout_service.providers.buyers import e164, in_two, language_and_country
from tests.providers.contract.test_calls import opened
from tests.providers.kits.collection import KITS
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID, Kit

BACK, AWAY = f"https://shop.example/paid/{PAYMENT_ID}", "https://shop.example/cart"


BUYER = Buyer(email="ada@example.com", name="Ada King Lovelace", locale="en-GB", phone="+44 (0)20 7946-0018")
ADDRESS = DeliveryAddress(
    name="Grace Hopper",
    line1="12 St James's Square",
    line2="Flat 3",
    postal_code="SW1Y 4JH",
    city="London",
    region="Greater London",
    country="GB",
    phone="+44 20 7946 0019",
)
ORDER = {"buyer": BUYER, "delivery_address": ADDRESS, "description": "School blazers"}
OF_PEOPLE = ("ada@example.com", "Lovelace", "Hopper", "James")


def sent_to(kit: Kit, **options: Any) -> dict[str, Any]:
    """What the provider's server is sent to open a payment with these members of an Opening."""
    bank, bodies = kit.bank(), []

    def answer(request: httpx.Request) -> httpx.Response:
        text = request.content.decode()
        if request.method == "POST" and opens(text):
            bodies.append(request)
        return bank(request)

    opened(kit.provider(answer=answer), **options)
    assert len(bodies) == (2 if kit.name == "gocardless" else 1)
    return members_of(bodies[0]) | members_of(bodies[-1])


def opens(text: str) -> bool:
    """Whether a request is one that opens a payment: it names ours, or the pages of what was requested before."""
    return str(PAYMENT_ID) in text or PAYMENT_ID.hex in text or "billing_request_flows" in text


def members_of(request: httpx.Request) -> dict[str, Any]:
    if request.headers["content-type"].startswith("application/json"):
        body: dict[str, Any] = json.loads(request.content)
        return body
    return dict(parse_qsl(request.content.decode()))


def test_without_anything_named_a_provider_is_sent_what_it_always_was(kit: Kit) -> None:
    ours = sent_to(kit)

    members = {
        "adyen": {"merchantAccount", "reference", "amount", "reusable", "metadata"},
        "gocardless": {"billing_requests", "billing_request_flows"},
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
        case "gocardless":
            flow = sent["billing_request_flows"]
            assert (flow["redirect_uri"], flow["exit_uri"]) == (BACK, AWAY)
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


def test_buyer_address_and_description_go_in_the_providers_own_members(kit: Kit) -> None:
    plain, sent = sent_to(kit), sent_to(kit, **ORDER)

    extra = {name: value for name, value in sent.items() if plain.get(name) != value}
    match kit.name:
        case "adyen":
            assert extra == {
                "description": "School blazers",
                "shopperEmail": "ada@example.com",
                "shopperName": {"firstName": "Ada King", "lastName": "Lovelace"},
                "shopperLocale": "en-GB",
                "telephoneNumber": "+442079460018",
                "deliveryAddress": {
                    "street": "12 St James's Square, Flat 3",
                    "houseNumberOrName": "N/A",
                    "postalCode": "SW1Y 4JH",
                    "city": "London",
                    "country": "GB",
                },
            }
        case "gocardless":
            order, flow = extra.pop("billing_requests"), extra.pop("billing_request_flows")
            assert order["payment_request"]["description"] == "School blazers"
            assert flow["language"] == "en"
            assert flow["prefilled_customer"] == {
                "given_name": "Ada King",
                "family_name": "Lovelace",
                "email": "ada@example.com",
                "phone_number": "+442079460018",
            }
            assert extra == {}
            assert "Hopper" not in json.dumps(sent), "a bank has nowhere to deliver to"
        case "mollie":
            assert extra == {
                "description": "School blazers",
                "locale": "en_GB",
                "billingAddress": {
                    "givenName": "Ada King",
                    "familyName": "Lovelace",
                    "email": "ada@example.com",
                    "phone": "+442079460018",
                },
                "shippingAddress": {
                    "givenName": "Grace",
                    "familyName": "Hopper",
                    "streetAndNumber": "12 St James's Square",
                    "streetAdditional": "Flat 3",
                    "postalCode": "SW1Y 4JH",
                    "city": "London",
                    "region": "Greater London",
                    "country": "GB",
                    "phone": "+442079460019",
                },
            }
        case "paypal":
            (unit,) = extra.pop("purchase_units")
            assert unit["description"] == "School blazers"
            assert unit["shipping"] == {
                "name": {"full_name": "Grace Hopper"},
                "address": {
                    "address_line_1": "12 St James's Square",
                    "address_line_2": "Flat 3",
                    "admin_area_2": "London",
                    "admin_area_1": "Greater London",
                    "postal_code": "SW1Y 4JH",
                    "country_code": "GB",
                },
            }
            payer = {"email_address": "ada@example.com", "name": {"given_name": "Ada King", "surname": "Lovelace"}}
            assert extra == {"payer": payer}
        case "stripe":
            assert extra == {
                "description": "School blazers",
                "receipt_email": "ada@example.com",
                "shipping[name]": "Grace Hopper",
                "shipping[phone]": "+44 20 7946 0019",
                "shipping[address][line1]": "12 St James's Square",
                "shipping[address][line2]": "Flat 3",
                "shipping[address][city]": "London",
                "shipping[address][state]": "Greater London",
                "shipping[address][postal_code]": "SW1Y 4JH",
                "shipping[address][country]": "GB",
            }
        case _:
            assert extra == {
                "description": "School blazers",
                "buyer": {
                    "email": "ada@example.com",
                    "name": "Ada King Lovelace",
                    "locale": "en-GB",
                    "phone": "+44 (0)20 7946-0018",
                },
                "delivery_address": {
                    "name": "Grace Hopper",
                    "line1": "12 St James's Square",
                    "line2": "Flat 3",
                    "postal_code": "SW1Y 4JH",
                    "city": "London",
                    "region": "Greater London",
                    "country": "GB",
                    "phone": "+44 20 7946 0019",
                },
            }


def test_paypals_own_page_is_led_to_with_who_pays_and_where_it_goes() -> None:
    sent = sent_to(KITS["paypal"], return_url=BACK, **ORDER)

    assert "payer" not in sent
    assert sent["payment_source"] == {
        "paypal": {
            "email_address": "ada@example.com",
            "name": {"given_name": "Ada King", "surname": "Lovelace"},
            "experience_context": {
                "return_url": BACK,
                "user_action": "PAY_NOW",
                "shipping_preference": "SET_PROVIDED_ADDRESS",
                "locale": "en-GB",
            },
        }
    }


HARD = {
    "buyer": Buyer(email="j\u00fcrgen@b\u00fccher.example", name="Sukarno", locale="tlh", phone="020 7946 0018"),
    "delivery_address": DeliveryAddress(
        name="X" * 200, line1="\u6d4b" * 200, postal_code="A" * 20, city="C" * 100, country="CN"
    ),
    "description": "\u00e9" * 255,
}
"""What customers may write here, and no provider takes as it is."""


def test_what_a_provider_takes_no_such_form_of_is_left_out(kit: Kit) -> None:
    sent = json.dumps(sent_to(kit, **HARD), ensure_ascii=False)

    if kit.name in {"mock", "standard"}:
        return  # theirs is the form of ours
    assert "j\u00fcrgen" not in sent
    assert "tlh" not in sent
    assert "020 7946" not in sent
    assert "Sukarno" not in sent
    assert ("\u6d4b" in sent) is (kit.name in {"stripe", "paypal"}), "they take lines of 200 characters and more"
    most = {"adyen": 255, "gocardless": 255, "mollie": 255, "paypal": 127, "stripe": 255}[kit.name]
    assert sent.count("\u00e9") == most
    assert kit.name != "paypal" or '"country_code": "C2"' in sent


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({"country": "US", "region": "ny", "postal_code": "10001-1234"}, ("NY", "10001")),
        ({"country": "US", "region": "New York", "postal_code": "10001"}, None),
        ({"country": "US", "region": "NY", "postal_code": "1000"}, None),
        ({"country": "CA", "region": None, "postal_code": "K1A 0B1"}, None),
        ({"country": "CA", "region": "ON", "postal_code": "K1A 0B1"}, ("ON", "K1A 0B1")),
        ({"country": "GB", "region": None, "postal_code": "A" * 11}, None),
    ],
)
def test_adyen_is_sent_no_address_that_it_refuses(change: dict[str, Any], taken: tuple[str, str] | None) -> None:
    sent = sent_to(KITS["adyen"], delivery_address=replace(ADDRESS, **change))

    found = sent.get("deliveryAddress")
    assert (found and (found["stateOrProvince"], found["postalCode"])) == taken


class Dislikes:
    """A server that refuses whatever names a person, as long as it is asked."""

    def __init__(self, kit: Kit) -> None:
        self.bank, self.requests = kit.bank(), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        text = unquote_plus(request.content.decode())
        if request.method == "POST" and (str(PAYMENT_ID) in text or PAYMENT_ID.hex in text):
            self.requests.append(request)
            if any(word in text for word in OF_PEOPLE):
                return httpx.Response(422, json={"error": {"type": "invalid_request_error", "param": "shipping"}})
        return self.bank(request)


def test_a_payment_is_opened_without_what_its_provider_refuses(kit: Kit) -> None:
    if kit.name in {"mock", "gocardless"}:
        pytest.skip("what somebody orders at its server is to be seen; of GoCardless the pages alone name people")
    server = Dislikes(kit)
    provider = kit.provider(answer=server)

    first, again = opened(provider, **ORDER), opened(provider, **ORDER)

    assert first == again
    assert list(server.bank.payments) == [first.provider_ref]
    whole, plain, *others = server.requests
    assert members_of(plain) == sent_to(kit)
    assert [request.content for request in others] == [whole.content, plain.content]
    keys = [
        request.headers.get("Idempotency-Key") or request.headers["PayPal-Request-Id"] for request in server.requests
    ]
    assert keys == [str(PAYMENT_ID), f"{PAYMENT_ID}-plain"] * 2


def test_what_is_refused_for_another_reason_is_not_tried_again(kit: Kit) -> None:
    requests = []

    def answer(request: httpx.Request) -> httpx.Response:
        if "oauth2" in request.url.path:
            return kit.bank()(request)
        requests.append(request)
        return httpx.Response(401, json={"error": {"type": "invalid_request_error"}})

    with pytest.raises(ProviderRefusedError) as caught:
        opened(kit.provider(answer=answer), **ORDER)

    assert caught.value.reason is Decline.CREDENTIALS
    assert len({request.content for request in requests}) == 1


def test_an_order_without_extras_is_refused_once(kit: Kit) -> None:
    requests = []

    def answer(request: httpx.Request) -> httpx.Response:
        if "oauth2" in request.url.path:
            return kit.bank()(request)
        requests.append(request)
        return httpx.Response(422, json={"error": {"type": "invalid_request_error"}})

    with pytest.raises(ProviderRefusedError):
        opened(kit.provider(answer=answer))

    assert len(requests) == 1


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("+44 20 7946 0018", "+442079460018"),
        ("+44 (0)20-7946.0018", "+442079460018"),
        ("0044 20 7946 0018", None),
        ("020 7946 0018", None),
        ("+0 123456789", None),
        ("+44 20 7946 0018 ext. 2", None),
        ("+\u0664\u0664 20 7946 0018", None),
        ("+1234567890123456", None),
        (None, None),
    ],
)
def test_a_number_is_sent_where_it_names_its_country(written: str | None, read: str | None) -> None:
    assert e164(written) == read


def test_names_and_locales_are_taken_apart_where_they_can_be() -> None:
    assert in_two(" Ada  King Lovelace ") == ("Ada King", "Lovelace")
    assert in_two("Sukarno") is None
    assert language_and_country("zh-Hant-TW") == ("zh", "TW")
    assert language_and_country("DE-at") == ("de", "AT")
    assert language_and_country("es-419") is None
    assert language_and_country("en") is None
    assert language_and_country("en-x-gb") is None


def test_whoever_buys_is_printed_nowhere() -> None:
    shown = repr(
        Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY, buyer=BUYER, delivery_address=ADDRESS)
    )

    assert not any(word in shown for word in OF_PEOPLE)
