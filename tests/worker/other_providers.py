"""Payments opened at Adyen, PayPal and Mollie, their stand-ins, and webhooks about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.providers.base import Opened, Opening
from tests.conftest import Sql
from tests.providers.kits import adyen, mollie, paypal
from tests.providers.kits.kit import AMOUNT, CURRENCY, SignedWebhook
from tests.worker.promises import insert_cart
from worker.payments import look_ups


@dataclass(frozen=True, kw_only=True)
class Wallets:
    """A worker that has an account at each of the three, and each one's server."""

    app: Flask
    sql: Sql
    adyen: adyen.AdyenBank
    paypal: paypal.PayPalBank
    mollie: mollie.MollieBank

    def open(self, provider: str, *, ends: str = "now() + interval '1 day'") -> Opened:
        """A payment with its session, opened there as the web tier does."""
        payment_id, user = uuid4(), self.sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id
        made: Opened = self.app.extensions["providers"][provider].open(
            Opening(payment_id=payment_id, amount=AMOUNT, currency=CURRENCY)
        )
        self.sql(
            """INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency)
            VALUES (:id, :user, :provider, :reference, :amount, :currency)""",
            id=payment_id,
            user=user,
            provider=provider,
            reference=made.provider_ref,
            amount=made.amount,
            currency=made.currency,
        )
        self.sql(
            f"""INSERT INTO checkout_sessions (user_id, cart_id, idempotency_key, request_hash, payment_id,
                payment_token, amount, currency, lines, expires_at)
            VALUES (:user, :cart, :key, '', :id, :token, :amount, :currency, '[]', {ends})""",
            user=user,
            cart=insert_cart(self.sql),
            key=uuid4().hex,
            id=payment_id,
            token=made.payment_token,
            amount=made.amount,
            currency=made.currency,
        )
        return made

    def file(self, provider: str, webhook: SignedWebhook, **columns: str) -> UUID:
        """The webhook as the webhook receiver keeps it; columns such as received_at as SQL literals."""
        given = {"received_at": "'2026-11-25T12:00:00Z'"} | columns
        return self.sql(
            f"""INSERT INTO webhook_deliveries (provider, headers, body, {", ".join(given)})
            VALUES (:provider, CAST(:headers AS jsonb), :body, {", ".join(given.values())}) RETURNING id""",
            provider=provider,
            headers=json.dumps(webhook.headers),
            body=webhook.body,
        )[0].id

    def events(self) -> list[tuple[Any, ...]]:
        """Status and outcome of each event, the first first."""
        rows = self.sql("SELECT status::text, outcome FROM payment_events ORDER BY created_at, id")
        return [tuple(row) for row in rows]


@pytest.fixture
def wallets(make_worker: Callable[..., Flask], sql: Sql) -> Iterator[Wallets]:
    """A worker with an account at each; the test runs inside its context."""
    banks: dict[str, Any] = {"adyen": adyen.AdyenBank(), "paypal": paypal.PayPalBank(), "mollie": mollie.MollieBank()}
    app = make_worker()
    app.extensions["providers"] = {
        "adyen": adyen.KIT.provider(answer=banks["adyen"]),
        "paypal": paypal.KIT.provider(answer=banks["paypal"]),
        "mollie": mollie.KIT.provider(answer=banks["mollie"]),
    }
    look_ups._in_vain.clear()  # what this process remembers is no matter of the next test
    with app.app_context():
        yield Wallets(app=app, sql=sql, **banks)
    look_ups._in_vain.clear()
