"""Thin events in Stripe's list of all: those that came are passed over, of the others each object is read once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import httpx
import pytest

from checkout_service.cache import cache
from checkout_service.database.errors import DatabaseLockedError
from tests.conftest import Sql
from tests.providers.kits.stripe import CHARGE, KIT, REFUND, StripeBank, charge, event, intent, refund, sign, thin_event
from tests.webhook_bodies import insert_payment, state_of, status_of
from tests.worker.conftest import MakeWorker
from worker.delivered import marks_of
from worker.payments import listed_events
from worker.payments.backfill import backfill
from worker.webhooks.task import process

OURS = "pi_ours"


@pytest.fixture
def bank() -> StripeBank:
    return StripeBank()


@pytest.fixture(params=["thin"])
def stripe_worker(make_worker: MakeWorker, bank: StripeBank, request: pytest.FixtureRequest) -> Any:
    app = make_worker()
    app.extensions["providers"] = {"stripe": KIT.provider(answer=bank, events=request.param)}
    with app.app_context():
        yield app


def happened(
    bank: StripeBank, kind: str, ref: str, number: int = 1, *, ago: timedelta = timedelta(0)
) -> dict[str, Any]:
    created = (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    made = thin_event(kind, ref, number=number, created=created)
    bank.thin_events.append(made)
    return made


def reads(bank: StripeBank) -> list[str]:
    return [request.url.path for request in bank.requests if not request.url.path.endswith("/events")]


def pay(bank: StripeBank, ref: str = OURS) -> None:
    bank.payments[ref] = intent(id=ref, latest_charge=charge(payment_intent=ref))


@pytest.mark.usefixtures("stripe_worker")
def test_a_thin_event_that_never_came_is_entered_once(sql: Sql, bank: StripeBank) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    happened(bank, "payment_intent.succeeded", OURS, ago=timedelta(days=2))

    assert backfill().startswith("1 events")
    assert status_of(sql, OURS) == "paid"
    assert reads(bank) == [f"/v1/payment_intents/{OURS}"]

    assert backfill().startswith("0 events")
    assert reads(bank) == [f"/v1/payment_intents/{OURS}"]


@pytest.mark.usefixtures("stripe_worker")
def test_an_event_whose_webhook_came_is_not_read_again(sql: Sql, bank: StripeBank) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    came = happened(bank, "payment_intent.succeeded", OURS)
    webhook = sign(json.dumps(came).encode(), KIT.secrets[0], signed_at=datetime.now(UTC))
    row = sql(
        """INSERT INTO webhook_deliveries (provider, headers, body)
        VALUES ('stripe', CAST(:headers AS jsonb), :body) RETURNING id""",
        headers=json.dumps(webhook.headers),
        body=webhook.body,
    )[0]
    process(str(row.id))
    assert state_of(sql, UUID(str(row.id))) == "applied"
    deadline = monotonic() + 20
    while not cache().known(list(marks_of("stripe", [came["id"]]).values())) and monotonic() < deadline:
        sleep(0.02)  # it is put a moment later, by a thread
    bank.requests.clear()

    backfill()

    assert reads(bank) == []


@pytest.mark.usefixtures("stripe_worker")
def test_many_events_of_one_object_are_one_read_and_those_of_others_none(sql: Sql, bank: StripeBank) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    pay(bank, "pi_of_another_service")
    for number in range(10):
        happened(bank, "payment_intent.succeeded", OURS, number)
        happened(bank, "payment_intent.succeeded", "pi_of_another_service", 100 + number)

    backfill()

    assert reads(bank) == [f"/v1/payment_intents/{OURS}"]


@pytest.mark.usefixtures("stripe_worker")
def test_refunds_are_booked_from_their_list(sql: Sql, bank: StripeBank) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    bank.refunds[REFUND] = refund(payment_intent=OURS, amount=4000, metadata={})
    happened(bank, "charge.refunded", CHARGE)

    backfill()

    (row,) = sql("SELECT amount_captured AS captured, amount_refunded AS refunded FROM payments")
    assert (row.captured, row.refunded) == (240, 40)


@pytest.mark.usefixtures("stripe_worker")
def test_the_next_run_begins_where_the_last_whole_one_began(bank: StripeBank) -> None:
    before = datetime.now(UTC)
    backfill()
    backfill()

    first, second = (request.url.params["created[gte]"] for request in bank.requests)
    assert abs(datetime.fromisoformat(first) - (before - listed_events.FIRST)) < timedelta(seconds=10)
    assert abs(datetime.fromisoformat(second) - (before - listed_events.OVERLAP)) < timedelta(seconds=10)


@pytest.mark.usefixtures("stripe_worker")
def test_every_page_is_requested_and_a_run_reads_a_bounded_number(
    sql: Sql, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed_events, "MOST_READ", 3)
    bank.page = 2
    for number in range(5):
        ref = f"pi_{number}"
        insert_payment(sql, provider="stripe", provider_ref=ref)
        pay(bank, ref)
        bank.payments[ref]["latest_charge"] |= {"id": f"ch_{number}"}
        happened(bank, "payment_intent.succeeded", ref, number)

    backfill()
    assert reads(bank) == [f"/v1/payment_intents/pi_{number}" for number in (4, 3, 2)]
    backfill()
    assert sorted(reads(bank)) == [f"/v1/payment_intents/pi_{number}" for number in range(5)]
    assert {status_of(sql, f"pi_{number}") for number in range(5)} == {"paid"}


@pytest.mark.usefixtures("stripe_worker")
def test_a_refused_object_is_not_requested_again(bank: StripeBank) -> None:
    happened(bank, "refund.created", "re_gone")

    backfill()
    backfill()

    assert reads(bank) == ["/v1/refunds/re_gone"]


def test_a_provider_that_is_away_ends_the_walk_and_nothing_is_marked(
    sql: Sql, make_worker: MakeWorker, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkout_service.providers.transport.sleep", lambda seconds: None)
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    happened(bank, "payment_intent.succeeded", OURS)

    def listing_alone(request: httpx.Request) -> httpx.Response:
        return bank(request) if request.url.path.endswith("/events") else httpx.Response(503)

    app = make_worker()
    with app.app_context():
        app.extensions["providers"] = {"stripe": KIT.provider(answer=listing_alone, events="thin")}
        assert backfill().startswith("0 events")
        app.extensions["providers"] = {"stripe": KIT.provider(answer=bank, events="thin")}
        assert backfill().startswith("1 events")
    assert status_of(sql, OURS) == "paid"


@pytest.mark.usefixtures("stripe_worker")
def test_what_somebody_holds_is_entered_by_the_next_run(
    sql: Sql, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    happened(bank, "payment_intent.succeeded", OURS)

    def held(*_: object, **__: object) -> object:
        raise DatabaseLockedError

    with monkeypatch.context() as locked:
        locked.setattr("worker.payments.listed_events.record", held)
        backfill()
    assert status_of(sql, OURS) == "pending"

    backfill()
    assert status_of(sql, OURS) == "paid"


@pytest.mark.parametrize("stripe_worker", ["both"], indirect=True)
@pytest.mark.usefixtures("stripe_worker")
def test_both_lists_are_one_movement(sql: Sql, bank: StripeBank) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    happened(bank, "payment_intent.succeeded", OURS)
    in_full = intent(id=OURS)
    bank.events.append(
        json.loads(event("payment_intent.succeeded", in_full, created=int(datetime.now(UTC).timestamp())))
    )

    backfill()

    assert status_of(sql, OURS) == "paid"
    (row,) = sql("SELECT sum(amount) AS captured, count(*) AS count FROM captures")
    assert (row.captured, row.count) == (240, 1)


@pytest.mark.parametrize("stripe_worker", ["snapshot"], indirect=True)
@pytest.mark.usefixtures("stripe_worker")
def test_the_list_of_thin_events_is_not_requested_unless_it_is_set(bank: StripeBank) -> None:
    backfill()

    assert [request.url.path for request in bank.requests] == ["/v1/events"]
