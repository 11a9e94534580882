"""What a client does next, as each provider's adapter says it of the token that it opened a payment with."""

from __future__ import annotations

from typing import Any

import pytest

from checkout_service.payments.next_action import show_next_action
from checkout_service.providers.adapters.stripe.provider import StripeProvider
from checkout_service.providers.fields import redirect_to
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.providers.contract.test_calls import opened
from tests.providers.kits.kit import Kit

NONE = {"type": "none"}


def expected(name: str, token: str) -> dict[str, Any]:
    match name:
        case "adyen" | "gocardless" | "mollie":
            assert token.startswith("https://")
            return {"type": "redirect", "url": token}
        case "stripe":
            return {"type": "client_secret", "value": token, "publishable_key": None}
        case "paypal":
            return {"type": "provider_order", "id": token}
        case "mock":
            return {"type": "redirect", "url": f"http://mock.test/v1/pay/{token}"}
        case _:
            return NONE  # a token of its own, which is no address


def test_each_provider_tells_what_to_do_with_its_token(kit: Kit) -> None:
    provider = kit.provider(answer=kit.bank())
    held = opened(provider)

    action = provider.next_action(held.payment_token)

    assert show_next_action(action) == expected(kit.name, held.payment_token)
    assert held.payment_token not in repr(action)


@pytest.mark.parametrize(
    "token", ["", "\x00", "\ud800", "javascript:alert(1)", "http://[", "mock_pi_\ud800", "//evil.example", "x" * 9000]
)
def test_whatever_a_token_is_nothing_is_raised_and_no_browser_is_sent_elsewhere(kit: Kit, token: str) -> None:
    shown = show_next_action(kit.provider(answer=kit.bank()).next_action(token))

    assert shown["type"] != "redirect" or shown["url"].startswith("http://mock.test/v1/pay/")


@pytest.mark.parametrize(
    ("token", "leads"),
    [
        ("https://pay.example/1", True),
        ("https://pay.example/1#2", True),
        ("http://pay.example/1", False),
        ("https:///1", False),
        ("https://pay.example/a b\n", False),
        ("javascript://pay.example/%0aalert(1)", False),
        ("mock_pi_1", False),
        ("https://[pay", False),
    ],
)
def test_a_browser_is_sent_to_https_alone(token: str, leads: bool) -> None:
    assert (redirect_to(token) is not None) is leads


def test_stripes_component_is_made_with_the_accounts_publishable_key() -> None:
    options = {"api_key": Secret("sk_test_x"), "publishable_key": Secret("pk_test_x")}

    shown = show_next_action(StripeProvider(Account(options=options)).next_action("pi_1_secret_2"))

    assert shown == {"type": "client_secret", "value": "pi_1_secret_2", "publishable_key": "pk_test_x"}
