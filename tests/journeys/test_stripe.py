"""Stripe from end to end: its SDK in our processes and its own signed webhooks, from localstripe in its own process.

localstripe is GPL-3.0 and never imported here. It knows no idempotency keys, no redelivery and few events; those are
tried against the stand-in of tests/providers/kits/stripe.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import stripe

from checkout_service.local.servers import free_port
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.stripe.provider import StripeProvider
from checkout_service.providers.base import Opening, ProviderEvent, ProviderRefundEvent, Reference
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.flower_pages import stack as station
from tests.flower_pages.stack import eventually

API_KEY, SECRET = "sk_test_12345", "whsec_of_the_journey_with_stripe"
SERVE = "from aiohttp import web; from localstripe.server import app; web.run_app(app, host='127.0.0.1', port={port})"


@pytest.fixture(scope="module")
def local_stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, folder = free_port(), tmp_path_factory.mktemp("localstripe")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE.format(port=port)],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={"TMPDIR": str(folder)},
        )
        try:
            base = f"http://127.0.0.1:{port}"
            eventually(lambda: _answers(base) or process.poll() is not None)
            assert process.poll() is None, (folder / "log").read_text()
            yield base
        finally:
            process.terminate()
            process.wait(timeout=60)


def _answers(base: str) -> bool:
    try:
        return bool(httpx.get(f"{base}/v1/balance", auth=(API_KEY, ""), timeout=2).status_code)
    except httpx.TransportError:
        return False


class Shopper:
    """A customer's browser: our API with a token, and Stripe with a client secret, by Stripe's own SDK."""

    def __init__(self, customer: Customer, base: str, local_stripe: str) -> None:
        self._api = httpx.Client(base_url=base, headers=dict(customer.headers), timeout=60)
        self._local = local_stripe
        self._sdk = stripe.StripeClient(API_KEY, base_addresses={"api": local_stripe}).v1

    def open(self, listing: str, qty: int) -> dict[str, Any]:
        self._api.post("/api/cart/items", json={"listing": listing, "qty": qty}).raise_for_status()
        cart = self._api.get("/api/cart").json()
        answer = self._api.post(
            "/api/checkout/session",
            json={"cart_id": cart["id"], "provider": "stripe"},
            headers={"Idempotency-Key": str(uuid4())},
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def status(self, session: dict[str, Any]) -> str:
        return str(self._api.get(f"/api/payments/{session['payment_id']}").raise_for_status().json()["status"])

    def confirm(self, session: dict[str, Any], **method: Any) -> Any:
        """Pay with a card or an account, as Stripe's own page would."""
        intent = session["payment_token"].partition("_secret_")[0]
        made = self._sdk.payment_methods.create(method)  # type: ignore[arg-type]
        self._sdk.payment_intents.update(intent, {"payment_method": made.id})
        return self._sdk.payment_intents.confirm(intent)

    def authenticate(self, session: dict[str, Any], *, success: bool) -> None:
        intent = session["payment_token"].partition("_secret_")[0]
        form = {"key": "pk_test_x", "client_secret": session["payment_token"], "success": str(success).lower()}
        httpx.post(f"{self._local}/v1/payment_intents/{intent}/_authenticate", data=form, timeout=60).raise_for_status()

    def close(self) -> None:
        self._api.close()


def card(number: str) -> dict[str, Any]:
    return {"type": "card", "card": {"number": number, "exp_month": 12, "exp_year": 2030, "cvc": "123"}}


@contextmanager
def house(servers: Servers, local_stripe: str, logs: Path) -> Iterator[str]:
    """Our web and worker processes, with Stripe as their one provider; where the web process serves."""
    settings = station.environment(
        servers,
        PAYMENT_PROVIDERS="stripe",
        STRIPE_API_KEY=API_KEY,
        STRIPE_API_BASE=local_stripe,
        STRIPE_WEBHOOK_SECRETS=f"whsec_of_last_year,{SECRET}",
    )
    with station.run(logs, settings, "web", "worker"):
        base = f"http://127.0.0.1:{settings['PORT']}"
        hook = {"url": f"{base}/api/payments/webhook/stripe", "secret": SECRET}
        httpx.post(f"{local_stripe}/_config/webhooks/ours", data=hook, timeout=60).raise_for_status()
        yield base


def test_customers_pay_are_declined_authenticate_and_fail_later(
    customer: Customer, make_listing: MakeListing, sql: Sql, servers: Servers, local_stripe: str, tmp_path: Path
) -> None:
    listing = str(make_listing(unit_price="12.50")["id"])
    with house(servers, local_stripe, tmp_path) as base:
        shopper = Shopper(customer, base, local_stripe)
        paid, declined, secure, debited = (shopper.open(listing, qty) for qty in (1, 2, 3, 4))

        assert shopper.confirm(paid, **card("4242424242424242")).status == "succeeded"
        with pytest.raises(stripe.CardError):
            shopper.confirm(declined, **card("4000000000000341"))
        assert shopper.confirm(secure, **card("4000002500003155")).status == "requires_action"
        assert shopper.status(secure) == "pending"
        shopper.authenticate(secure, success=True)
        account = {"type": "sepa_debit", "sepa_debit": {"iban": "DE62370400440532013001"}}
        assert shopper.confirm(debited, **account).status == "processing"

        found = {"paid": paid, "declined": declined, "secure": secure, "debited": debited}
        expected = {"paid": "paid", "declined": "failed", "secure": "paid", "debited": "failed"}
        eventually(lambda: {name: shopper.status(session) for name, session in found.items()} == expected)
        shopper.close()

    assert {row.state for row in sql("SELECT state FROM webhook_deliveries WHERE provider = 'stripe'")} == {"applied"}
    written = str(sql("SELECT raw_payload, look_up_log FROM payments")) + "".join(
        log.read_text() for log in tmp_path.rglob("*") if log.is_file()
    )
    for secret in ("4242424242424242", '"last4"', "fingerprint", "DE62370400440532013001", "_secret_", SECRET, API_KEY):
        assert secret not in written


def test_the_sdk_looks_up_cancels_and_refunds_at_a_server_of_its_own(local_stripe: str) -> None:
    provider = StripeProvider(Account(options={"api_key": Secret(API_KEY), "api_base": Secret(local_stripe)}))

    def begun() -> Reference:
        payment_id = uuid4()
        held = provider.open(Opening(payment_id=payment_id, amount=Decimal("25.00"), currency="EUR"))
        assert (held.amount, held.currency) == (Decimal("25.00"), "EUR")
        return Reference(
            provider_ref=held.provider_ref,
            payment_id=payment_id,
            amount=held.amount,
            currency="EUR",
            payment_token=held.payment_token,
        )

    def recorded(answer: Sequence[ProviderEvent | ProviderRefundEvent]) -> list[ProviderEvent | ProviderRefundEvent]:
        """Without what only tells that no attempt is under way."""
        return [event for event in answer if event.event_id]

    sdk = stripe.StripeClient(API_KEY, base_addresses={"api": local_stripe}).v1
    one = begun()
    assert recorded(provider.look_up(one)) == []
    sdk.payment_intents.update(one.provider_ref, {"payment_method": "pm_card_visa"})
    sdk.payment_intents.confirm(one.provider_ref)

    (event,) = recorded(provider.look_up(one))
    assert isinstance(event, ProviderEvent)
    assert (event.status, event.amount, event.payment_id) == (PaymentStatus.PAID, Decimal("25.00"), one.payment_id)
    refund_id = UUID(int=7)
    (made,) = provider.refund(one, refund_id=refund_id, amount=Decimal("5.00"), reason="a page was missing")
    assert isinstance(made, ProviderRefundEvent)
    assert (made.status, made.amount, made.refund_id) == (RefundStatus.SUCCEEDED, Decimal("5.00"), refund_id)
    assert made in provider.look_up(one)

    other = begun()
    (canceled,) = recorded(provider.cancel(other))
    assert isinstance(canceled, ProviderEvent)
    assert canceled.status is PaymentStatus.CANCELED
    provider._calls.transport._client and provider._calls.transport._client.close()
