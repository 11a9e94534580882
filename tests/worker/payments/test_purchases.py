"""A purchase at Adyen, PayPal and Mollie from the cart to the paid payment, and one that cannot be paid there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from checkout_service.payments.status import PaymentStatus
from tests.apps import MakeApp, make_app
from tests.conftest import Customer, MakeListing, Sql
from tests.providers.kits import adyen, mollie, paypal
from tests.providers.kits.kit import SignedWebhook
from tests.purchases import NOTHING, ask, counts, fill_cart, opened, replayed
from tests.worker.other_providers import Wallets
from worker.webhooks.task import process

__all__ = ["make_app"]  # a fixture

KITS: dict[str, Any] = {"adyen": adyen.KIT, "paypal": paypal.KIT, "mollie": mollie.KIT}


@pytest.fixture
def shopper(wallets: Wallets, make_app: MakeApp, customer: Customer) -> Customer:
    """A customer of a web tier that opens payments at the three, and reads none of their webhooks."""
    app = make_app(payment_providers=("mollie", "adyen", "paypal"))
    app.extensions["providers"] = {
        "mollie": mollie.KIT.provider(answer=wallets.mollie),
        "adyen": adyen.KIT.provider("", answer=wallets.adyen),
        "paypal": paypal.KIT.provider("", answer=wallets.paypal),
    }
    return replace(customer, client=app.test_client())


def approve_or_pay(wallets: Wallets, provider: str, reference: str) -> SignedWebhook:
    """What the customer does at the provider, and the webhook that comes of it."""
    if provider == "paypal":
        wallets.paypal.approve(reference)
        return paypal.approved(reference, paypal.KIT.secrets[0], signed_at=datetime.now(UTC))
    getattr(wallets, provider).pay(reference)
    webhook: SignedWebhook = KITS[provider].webhook(PaymentStatus.PAID, provider_ref=reference)
    return webhook


@pytest.mark.parametrize("provider", KITS)
def test_a_purchase_is_paid_and_requested_once(
    wallets: Wallets, sql: Sql, shopper: Customer, make_listing: MakeListing, provider: str
) -> None:
    cart = fill_cart(shopper, (make_listing(unit_price="120.00"), 2))

    session = opened(shopper, cart, provider=provider)
    again = ask(shopper, cart, provider=provider)

    assert (again.json, replayed(again)) == (session, True)
    assert (session["provider"], session["amount"], session["currency"]) == (provider, "240.00", "USD")
    (reference,) = getattr(wallets, provider).payments
    webhook = approve_or_pay(wallets, provider, reference)
    kind = "application/x-www-form-urlencoded" if provider == "mollie" else "application/json"
    path = f"/api/payments/webhook/{provider}"
    for _ in range(2):
        shopper.client.post(path, data=webhook.body, headers=webhook.headers, content_type=kind)
    for row in sql("SELECT id FROM webhook_deliveries ORDER BY id"):
        process(str(row.id))

    payment = shopper.get(f"/api/payments/{session['payment_id']}").json
    assert (payment["status"], payment["amount"]) == ("paid", "240.00")
    states = sorted(row.state for row in sql("SELECT state FROM webhook_deliveries"))
    assert states == ["applied", "duplicate"]
    assert len(wallets.paypal.captured) == (provider == "paypal")


def test_the_first_that_is_on_is_queried_unless_another_is_named(
    wallets: Wallets, shopper: Customer, make_listing: MakeListing
) -> None:
    cart = fill_cart(shopper, (make_listing(), 1))

    assert opened(shopper, cart)["provider"] == "mollie"
    assert ask(shopper, cart, key="purchase-2", provider="stripe").status_code == 422
    assert len(wallets.mollie.payments) == 1
    assert (wallets.adyen.payments, wallets.paypal.payments) == ({}, {})


@pytest.mark.parametrize(("provider", "currency"), [("adyen", "CVE"), ("paypal", "HUF"), ("paypal", "TWD")])
def test_an_amount_that_the_provider_cannot_express_opens_nothing(
    wallets: Wallets, sql: Sql, shopper: Customer, make_listing: MakeListing, provider: str, currency: str
) -> None:
    """ISO 4217 gives these currencies two decimals, and the provider none."""
    cart = fill_cart(shopper, (make_listing(unit_price="40.50", currency=currency), 1))

    answer = ask(shopper, cart, provider=provider)

    assert answer.status_code in range(400, 503)
    assert answer.json["type"]
    assert counts(sql) == NOTHING
    assert getattr(wallets, provider).requests == []
