"""Webhooks of real providers through webhook receiver, worker and transitions: also of one that was switched off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.registry import account_forms
from checkout_service.settings.values import SettingsError, WebSettings, WorkerSettings
from checkout_service.telemetry.metrics import secret_matches_total
from tests.conftest import JWT_SECRET, MOCK_SECRET, Servers, Sql
from tests.providers.contract.test_mutations import CARD, SPACED, _planted
from tests.providers.kits import standard
from tests.providers.kits.kit import AMOUNT, SignedWebhook
from tests.providers.kits.stripe import API_KEY, INTENT, KIT, event, intent, sign
from tests.webhook_bodies import insert_payment, state_of, status_of
from tests.worker.conftest import MakeWorker
from worker.webhooks.task import WebhookFailedError, process

OLD, CURRENT = KIT.secrets[0], KIT.secrets[1]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, servers: Servers) -> pytest.MonkeyPatch:
    """Stripe and a provider of our own are set up, and only the mock provider is on."""
    for name, value in {
        "DATABASE_URL": servers.web_url,
        "WORKER_DATABASE_URL": servers.worker_url,
        "REDIS_URL": servers.redis_url,
        "JWT_SECRET": JWT_SECRET,
        "ENVIRONMENT": "test",
        "PAYMENT_PROVIDERS": "mock",
        "MOCK_WEBHOOK_SECRETS": MOCK_SECRET,
        "STRIPE_API_KEY": API_KEY,
        "STRIPE_WEBHOOK_SECRETS": f"{OLD},{CURRENT}",
        "STANDARD_API_KEY": standard.API_KEY,
        "STANDARD_API_BASE": "http://inhouse.test",
        "STANDARD_WEBHOOK_SECRETS": standard.KIT.secrets[0],
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def off(environment: pytest.MonkeyPatch, make_worker: MakeWorker) -> Iterator[Flask]:
    """A worker as the environment makes it."""
    app = make_worker(accounts=WorkerSettings.from_environment(account_forms()).accounts)
    with app.app_context():
        yield app


def deliver(client: FlaskClient, provider: str, webhook: SignedWebhook) -> UUID:
    answer = client.post(
        f"/api/payments/webhook/{provider}",
        data=webhook.body,
        headers=webhook.headers,
        content_type="application/json",
    )
    assert answer.status_code == 202, answer.text
    delivery_id = UUID(answer.json["delivery_id"])
    process(str(delivery_id))
    return delivery_id


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.usefixtures("off")
def test_a_provider_that_was_switched_off_is_still_read_and_opens_nothing(client: FlaskClient, sql: Sql) -> None:
    reference = insert_payment(sql, provider="stripe", provider_ref=INTENT)
    matches = secret_matches_total.labels("stripe", "2")
    before = matches._value.get()

    webhook = KIT.webhook(KIT.statuses[3], secret=CURRENT, signed_at=now())
    delivery = deliver(client, "stripe", webhook)

    assert state_of(sql, delivery) == "applied"
    assert status_of(sql, reference) == "paid"
    assert matches._value.get() == before + 1
    assert "stripe" not in client.application.extensions["providers"]


@pytest.mark.usefixtures("off")
def test_a_webhook_of_a_kind_that_nobody_knows_is_ignored_and_a_unverified_one_rejected(
    client: FlaskClient, sql: Sql
) -> None:
    reference = insert_payment(sql, provider="stripe", provider_ref=INTENT)

    unknown = deliver(client, "stripe", KIT.webhook(None, signed_at=now()))
    unverified = deliver(client, "stripe", KIT.webhook(KIT.statuses[3], secret="whsec_guessed", signed_at=now()))
    live = event("payment_intent.succeeded", intent(), livemode=True)
    foreign = deliver(client, "stripe", sign(live, OLD, signed_at=now()))

    assert [state_of(sql, one) for one in (unknown, unverified, foreign)] == ["ignored", "rejected", "ignored"]
    assert status_of(sql, reference) == "pending"


@pytest.mark.usefixtures("off")
def test_a_provider_of_ones_own_pays_by_standard_webhooks(client: FlaskClient, sql: Sql) -> None:
    reference = insert_payment(sql, provider="standard", provider_ref=standard.PAYMENT_REF)
    webhook = standard.KIT.webhook(PaymentStatus.PAID, signed_at=now())

    first, again = (deliver(client, "standard", webhook) for _ in range(2))

    assert [state_of(sql, one) for one in (first, again)] == ["applied", "duplicate"]
    assert status_of(sql, reference) == "paid"
    assert sql("SELECT amount FROM payment_events")[0].amount == AMOUNT


@pytest.mark.usefixtures("off")
def test_card_data_stays_in_the_webhook_and_reaches_no_log_and_no_other_column(
    client: FlaskClient, sql: Sql, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    insert_payment(sql, provider="stripe", provider_ref=INTENT)
    verified = json.dumps(_planted(json.loads(event("payment_intent.succeeded", intent())))).encode()
    states = [
        state_of(sql, deliver(client, "stripe", webhook))
        for webhook in (
            sign(verified, OLD, signed_at=now()),
            sign(verified + b" ", "whsec_guessed", signed_at=now()),
            sign(verified.replace(b'"usd"', f'"{CARD}"'.encode()), OLD, signed_at=now()),
        )
    ]
    assert states == ["applied", "rejected", "received"]
    (unreadable,) = sql("SELECT id FROM webhook_deliveries WHERE state = 'received'")
    with pytest.raises(WebhookFailedError, match="not understood"):
        process(str(unreadable.id))

    heard = "".join(capfd.readouterr()) + caplog.text + _all_columns(sql)
    for digits in (CARD, SPACED, "hunter2", "Xt5EWLLDS7FJjR1c"):
        assert digits not in heard
    assert CARD in str(bytes(sql("SELECT body FROM webhook_deliveries LIMIT 1")[0].body))


def _all_columns(sql: Sql) -> str:
    """Everything in the database but the webhooks' own bodies."""
    tables = sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows: list[Any] = []
    for table in tables:
        row = "to_jsonb(t) - 'body'" if table.tablename == "webhook_deliveries" else "to_jsonb(t)"
        rows += sql(f"SELECT {row} AS row FROM {table.tablename} AS t")
    return str(rows)


def test_what_a_provider_needs_is_prompted_for_at_the_start(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PAYMENT_PROVIDERS", "stripe,standard")
    assert set(WebSettings.from_environment(account_forms()).accounts) == {"stripe", "standard"}
    assert WebSettings.from_environment(account_forms()).accounts["stripe"].secrets == ()

    environment.delenv("STRIPE_API_KEY")
    environment.delenv("STANDARD_WEBHOOK_SECRETS")
    environment.setattr("checkout_service.settings.reader.find_spec", lambda name: None)
    with pytest.raises(SettingsError) as caught:
        WorkerSettings.from_environment(account_forms())

    words = str(caught.value)
    assert (
        "stripe needs: the extra stripe of the file that this service was installed from: pip install 'FILE[stripe]'"
        in words
    )
    assert "STRIPE_API_KEY" in words
    assert "STANDARD_WEBHOOK_SECRETS" in words
