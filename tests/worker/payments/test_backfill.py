"""What a provider could not deliver is asked for, and entered as its webhook would have been."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from flask import Flask

from checkout_service.database.errors import DatabaseLockedError
from checkout_service.providers.adapters.stripe.provider import PAGE
from checkout_service.telemetry.metrics import payments_total
from tests.conftest import Sql
from tests.providers.kits.stripe import CHARGE, KIT, StripeBank, event, intent, refund, sign
from tests.webhook_bodies import insert_payment
from tests.worker.conftest import MakeWorker
from worker.payments.backfill import backfill
from worker.payments.undelivered_walks import FAR, NEAR


@pytest.fixture
def bank() -> StripeBank:
    return StripeBank()


@pytest.fixture
def stripe_worker(make_worker: MakeWorker, bank: StripeBank) -> Any:
    app: Flask = make_worker()
    app.extensions["providers"] = {"stripe": KIT.provider(answer=bank)}
    with app.app_context():
        yield app


def missed(bank: StripeBank, kind: str, about: dict[str, Any], number: int = 1) -> None:
    created = int(datetime.now(UTC).timestamp())
    bank.events.append(json.loads(event(kind, about, number=number, created=created)))


def status(sql: Sql, reference: str) -> str:
    return str(sql("SELECT status FROM payments WHERE provider_ref = :ref", ref=reference)[0].status)


def paid(sql: Sql, reference: str) -> dict[str, Any]:
    """The PaymentIntent of a payment of ours, paid."""
    row = sql("SELECT amount, currency FROM payments WHERE provider_ref = :ref", ref=reference)[0]
    minor = int(row.amount * 100)
    return intent(id=reference, amount=minor, amount_received=minor, currency=row.currency.lower())


@pytest.mark.usefixtures("stripe_worker")
def test_an_event_that_was_not_delivered_is_entered_once_and_its_webhook_is_then_a_duplicate(
    sql: Sql, bank: StripeBank
) -> None:
    reference = insert_payment(sql, provider="stripe", provider_ref="pi_ours")
    missed(bank, "payment_intent.succeeded", paid(sql, reference))
    missed(bank, "payment_intent.succeeded", paid(sql, reference) | {"id": "pi_of_another_service"}, 2)
    counted = payments_total.labels("stripe", "paid")._value.get()

    assert backfill().startswith("1 events")

    assert status(sql, reference) == "paid"
    assert payments_total.labels("stripe", "paid")._value.get() == counted + 1
    (entered,) = sql("SELECT event_id, outcome, delivery_id FROM payment_events")
    (webhook_event,) = (
        KIT.provider().verify_and_parse(sign(json.dumps(bank.events[0]).encode(), KIT.secrets[0]).raw("stripe")).events
    )
    assert tuple(entered) == (webhook_event.event_id, "applied", None)  # type: ignore[union-attr]
    assert backfill().startswith("0 events")
    assert len(sql("SELECT FROM payment_events")) == 1


@pytest.mark.usefixtures("stripe_worker")
def test_every_page_is_requested(sql: Sql, bank: StripeBank) -> None:
    reference = insert_payment(sql, provider="stripe", provider_ref="pi_ours")
    for number in range(PAGE):
        missed(bank, "payment_intent.processing", intent("processing", id="pi_else"), number)
    missed(bank, "payment_intent.succeeded", paid(sql, reference), PAGE)

    backfill()

    assert status(sql, reference) == "paid"
    assert len([request for request in bank.requests if request.url.path == "/v1/events"]) == 2


@pytest.mark.usefixtures("stripe_worker")
def test_the_first_run_of_a_day_goes_far_back_and_the_others_three_days(bank: StripeBank) -> None:
    backfill()
    backfill()

    since = [int(request.url.params["created[gte]"]) for request in bank.requests]
    assert since[1] - since[0] == pytest.approx((FAR - NEAR).total_seconds(), abs=5)


@pytest.mark.usefixtures("stripe_worker")
def test_of_a_refund_the_payment_is_looked_up_once(sql: Sql, bank: StripeBank) -> None:
    reference = insert_payment(sql, provider="stripe", provider_ref="pi_ours")
    bank.payments[reference] = paid(sql, reference) | {"latest_charge": {"id": CHARGE, "disputed": False}}
    missed(bank, "refund.created", refund(payment_intent=reference))

    backfill()
    looked_up = [request for request in bank.requests if request.url.path.endswith(reference)]
    assert len(looked_up) == 1
    assert status(sql, reference) == "paid"

    backfill()
    assert [request for request in bank.requests if request.url.path.endswith(reference)] == looked_up


@pytest.mark.usefixtures("stripe_worker")
def test_one_event_that_cannot_be_read_does_not_hide_the_others(sql: Sql, bank: StripeBank) -> None:
    reference = insert_payment(sql, provider="stripe", provider_ref="pi_ours")
    missed(bank, "payment_intent.succeeded", {"object": "payment_intent", "id": 7})
    missed(bank, "payment_intent.succeeded", paid(sql, reference), 2)

    backfill()

    assert status(sql, reference) == "paid"


def test_a_provider_that_is_away_ends_the_run_and_nothing_is_marked(
    sql: Sql, make_worker: MakeWorker, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkout_service.providers.transport.sleep", lambda seconds: None)
    app = make_worker()
    away = KIT.provider(answer=lambda request: httpx.Response(503))
    app.extensions["providers"] = {"stripe": away}
    with app.app_context():
        assert backfill().startswith("0 events")
        app.extensions["providers"] = {"stripe": KIT.provider(answer=bank)}
        backfill()
    assert len(bank.requests) == 1
    since = int(bank.requests[0].url.params["created[gte]"])
    assert since < (datetime.now(UTC) - NEAR * 2).timestamp()
    assert sql("SELECT FROM payment_events") == []


@pytest.mark.usefixtures("stripe_worker")
def test_an_event_whose_payment_somebody_holds_is_requested_again(
    sql: Sql, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said of it could not be entered, so it is not dealt with."""
    reference = insert_payment(sql, provider="stripe", provider_ref="pi_ours")
    bank.payments[reference] = paid(sql, reference) | {"latest_charge": {"id": CHARGE, "disputed": False}}
    missed(bank, "refund.created", refund(payment_intent=reference))

    def held(*_: object, **__: object) -> object:
        raise DatabaseLockedError

    with monkeypatch.context() as locked:
        locked.setattr("worker.payments.status_queries.record", held)
        backfill()
    assert status(sql, reference) == "pending"

    backfill()
    assert status(sql, reference) == "paid"
