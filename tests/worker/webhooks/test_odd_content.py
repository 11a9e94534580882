"""A NUL or half an emoji in somebody's name: the payment is paid, and only that character is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from checkout_service.payments.status import PaymentStatus
from tests.conftest import Sql
from tests.providers.kits import adyen, standard, stripe
from tests.providers.kits.kit import NOW, Kit, SignedWebhook
from tests.webhook_bodies import insert_payment, state_of, status_of
from tests.worker.conftest import MakeWorker
from worker.webhooks.task import WebhookFailedError, process

KITS: dict[str, Kit] = {"stripe": stripe.KIT, "adyen": adyen.KIT, "standard": standard.KIT}
ODD = {"a NUL": "Ada\0 Lovelace", "half an emoji": "Ada \ud83c Lovelace"}


@dataclass(frozen=True, kw_only=True)
class Named:
    """A place in a provider's webhook for what somebody typed, and one for a name that we use."""

    put: Callable[[dict[str, Any], str], None]
    put_into_reference: Callable[[dict[str, Any], str], None]


def _item(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["notificationItems"][0]["NotificationRequestItem"]
    return found


PLACES = {
    "stripe": Named(
        put=lambda body, name: body["data"]["object"].update(shipping={"name": name, "address": {name: name}}),
        put_into_reference=lambda body, name: body["data"]["object"].update(id=name),
    ),
    "adyen": Named(
        put=lambda body, name: _item(body)["additionalData"].update(cardHolderName=name),
        put_into_reference=lambda body, name: _item(body).update(pspReference=name),
    ),
    "standard": Named(
        put=lambda body, name: body["data"].update(note=name, reason=name),
        put_into_reference=lambda body, name: body["data"].update(provider_ref=name),
    ),
}


@pytest.fixture
def worker(make_worker: MakeWorker) -> Iterator[Flask]:
    app = make_worker()
    app.extensions["providers"] = {name: kit.provider() for name, kit in KITS.items()}
    with app.app_context():
        yield app


def filed(sql: Sql, provider: str, webhook: SignedWebhook) -> UUID:
    found: UUID = sql(
        """INSERT INTO webhook_deliveries (provider, headers, body, received_at)
        VALUES (:provider, CAST(:headers AS jsonb), :body, :now) RETURNING id""",
        provider=provider,
        headers=json.dumps(webhook.headers),
        body=webhook.body,
        now=NOW,
    )[0].id
    return found


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("name", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("provider", KITS)
def test_it_is_paid_whatever_the_customer_is_called(sql: Sql, provider: str, name: str) -> None:
    kit = KITS[provider]
    reference = insert_payment(sql, provider=provider, provider_ref=kit.reference().provider_ref)
    body = json.loads(kit.webhook(PaymentStatus.PAID).body)
    PLACES[provider].put(body, name)

    delivery = filed(sql, provider, kit.sealed(json.dumps(body).encode()))
    process(str(delivery))

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")
    (kept,) = sql("SELECT raw_payload::text AS raw FROM payments")
    assert kept.raw, "and what is kept of it is kept"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("name", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("provider", KITS)
def test_what_we_use_stays_strict(sql: Sql, provider: str, name: str) -> None:
    kit = KITS[provider]
    reference = insert_payment(sql, provider=provider, provider_ref=kit.reference().provider_ref)
    body = json.loads(kit.webhook(PaymentStatus.PAID).body)
    PLACES[provider].put_into_reference(body, name)

    delivery = filed(sql, provider, kit.sealed(json.dumps(body).encode()))
    process(str(delivery))  # in a set, which fails for nobody
    with pytest.raises(WebhookFailedError, match="not understood"):
        process(str(delivery))

    assert status_of(sql, reference) == "pending"
