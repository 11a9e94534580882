"""GoCardless' deliveries of more than a hundred events: ours, another shop's, and what cannot be understood."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from flask import Flask

from checkout_service.providers.base import Opening
from tests.conftest import Sql
from tests.providers.kits.gocardless import KIT, GoCardlessBank, delivery, event
from tests.providers.kits.kit import AMOUNT, CURRENCY
from tests.webhook_bodies import state_of
from tests.worker.conftest import webhook_row
from tests.worker.promises import insert_cart
from worker.payments.backfill import backfill
from worker.payments.look_ups import expire
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process

MANY = 110


@dataclass
class Shop:
    """A worker with an account, GoCardless' server, and payments that were opened there."""

    sql: Sql
    bank: GoCardlessBank
    app: Flask
    away: bool = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("away")
        return self.bank(request)

    def open(self, count: int = 1, *, ends: str = "now() + interval '1 day'") -> list[str]:
        """Payments as the web tier opens them; their references."""
        provider = self.app.extensions["providers"]["gocardless"]
        user, cart = self.sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id, insert_cart(self.sql)
        made = [provider.open(Opening(payment_id=uuid4(), amount=AMOUNT, currency=CURRENCY)) for _ in range(count)]
        for each in made:
            self.sql(
                f"""WITH made AS (INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency)
                    VALUES (:id, :user, 'gocardless', :reference, :amount, :currency) RETURNING id)
                INSERT INTO checkout_sessions (user_id, cart_id, idempotency_key, request_hash, payment_id,
                    payment_token, amount, currency, lines, expires_at)
                SELECT :user, :cart, :key, '', id, :token, :amount, :currency, '[]', {ends} FROM made""",
                id=UUID(each.provider_ref),
                user=user,
                cart=cart,
                key=uuid4().hex,
                reference=each.provider_ref,
                token=each.payment_token,
                amount=each.amount,
                currency=each.currency,
            )
        return [each.provider_ref for each in made]

    def file(self, *events: Any) -> UUID:
        webhook = KIT.sealed(delivery(*events))
        return self.sql(
            """INSERT INTO webhook_deliveries (provider, headers, body) VALUES ('gocardless', CAST(:headers AS jsonb),
            :body) RETURNING id""",
            headers=json.dumps(webhook.headers),
            body=webhook.body,
        )[0].id

    def statuses(self) -> Counter[str]:
        return Counter(row.status for row in self.sql("SELECT status::text FROM payments"))


@pytest.fixture
def shop(make_worker: Callable[..., Flask], sql: Sql) -> Iterator[Shop]:
    app = make_worker()
    made = Shop(sql, GoCardlessBank(), app)
    app.extensions["providers"] = {"gocardless": KIT.provider(answer=made)}
    with app.app_context():
        yield made


def foreign(number: int, **metadata: str) -> dict[str, Any]:
    return event("payments", "confirmed", number, metadata, payment=f"PM{number:06}")


def test_a_delivery_of_many_payments_moves_ours_and_asks_about_no_other(shop: Shop) -> None:
    references = shop.open(MANY)
    for reference in references:
        shop.bank.fulfil(reference)
    events = [shop.bank.happen(reference, "confirmed") for reference in references]
    events += [shop.bank.happen(reference, "failed") for reference in references[:10]]
    events += [foreign(number, order="4711") for number in range(1000, 1040)]
    shop.bank.requests.clear()
    webhook = shop.file(*events[::-1])

    process(str(webhook))

    assert state_of(shop.sql, webhook) == "applied"
    assert shop.statuses() == {"paid": MANY - 10, "reversed": 10}
    look_ups = Counter(call.url.params.get("payment") for call in shop.bank.requests if call.url.path == "/events")
    assert look_ups == dict.fromkeys(shop.bank.debits, 1), "one look-up for each payment, however many events it has"


def test_the_same_delivery_again_moves_nothing(shop: Shop) -> None:
    references = shop.open(MANY)
    for reference in references:
        shop.bank.fulfil(reference)
    events = [shop.bank.happen(reference, "confirmed") for reference in references]
    for delivered in (events, events[::-1]):
        webhook = shop.file(*delivered)
        process(str(webhook))
    assert state_of(shop.sql, webhook) == "duplicate"
    assert shop.statuses() == {"paid": MANY}
    (row,) = shop.sql("SELECT count(*), sum(amount) FROM captures")
    assert (row.count, row.sum) == (MANY, MANY * AMOUNT)


def test_an_event_that_cannot_be_understood_fails_its_delivery_and_the_others_count(shop: Shop) -> None:
    references = shop.open(3)
    for reference in references:
        shop.bank.fulfil(reference)
    events = [shop.bank.happen(reference, "confirmed") for reference in references]
    webhook = shop.file(events[0], {"id": 4711}, *events[1:])

    process(str(webhook))

    assert shop.statuses() == {"paid": 3}
    row = webhook_row(shop.sql, webhook)
    assert "event 2 of 4" in row.detail


def test_a_payment_that_never_comes_parks_its_delivery_and_the_others_count(shop: Shop) -> None:
    (reference,) = shop.open()
    shop.bank.fulfil(reference)
    mine, later = shop.bank.happen(reference, "confirmed"), foreign(7, payment_id=str(uuid4()))
    webhook = shop.file(later, mine)

    process(str(webhook))

    assert (state_of(shop.sql, webhook), shop.statuses()) == ("parked", {"paid": 1})
    shop.sql("UPDATE webhook_deliveries SET received_at = now() - interval '73 hours', next_attempt_at = now()")
    sweep()
    process(str(webhook))
    row = webhook_row(shop.sql, webhook)
    assert (row.state, row.detail) == ("applied", "the rest is of a payment that another service opened")


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([event("payouts", "paid", 1, {}, payout="PO1")], "nothing_to_record"),
        ([foreign(1, order="4711")], "not_ours"),
        ([event("loans", "created", 1, {})], "unknown_type"),
    ],
)
def test_what_is_ignored_says_why(shop: Shop, events: list[Any], reason: str) -> None:
    webhook = shop.file(*events)
    process(str(webhook))
    row = webhook_row(shop.sql, webhook)
    assert (row.state, row.detail.partition(":")[0]) == ("ignored", reason)


def test_a_delivery_waits_for_a_server_that_is_away_without_using_up_an_attempt(shop: Shop) -> None:
    references = shop.open(2)
    for reference in references:
        shop.bank.fulfil(reference)
    webhook = shop.file(*(shop.bank.happen(reference, "confirmed") for reference in references))
    shop.away = True
    process(str(webhook))
    row = webhook_row(shop.sql, webhook)
    assert (row.state, row.attempts, shop.statuses()) == ("received", 1, {"pending": 2})

    shop.away = False
    shop.sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    sweep()
    process(str(webhook))
    assert (state_of(shop.sql, webhook), shop.statuses()) == ("applied", {"paid": 2})


def test_a_delivery_waits_while_its_events_are_not_listed_yet(shop: Shop) -> None:
    """What is taken for the end would be forgotten for good; the others of the delivery count meanwhile."""
    first, second = shop.open(2)
    for reference in (first, second):
        shop.bank.pay(reference)
    confirmed = shop.bank.events[-1]
    shop.bank.behind = {"charged_back"}
    webhook = shop.file(shop.bank.happen(first, "charged_back"), confirmed)
    process(str(webhook))
    row = webhook_row(shop.sql, webhook)
    assert (row.state, row.attempts) == ("received", 1)
    assert shop.statuses() == {"pending": 1, "paid": 1}

    shop.bank.behind = set()
    shop.sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    sweep()
    process(str(webhook))
    assert (state_of(shop.sql, webhook), shop.statuses()) == ("applied", {"reversed": 1, "paid": 1})


def test_a_session_that_ends_cancels_what_nobody_paid_and_leaves_a_debit_on_its_way(shop: Shop) -> None:
    unpaid, under_way, failed = shop.open(3, ends="now() - interval '1 minute'")
    for reference in (under_way, failed):
        process(str(shop.file(shop.bank.fulfil(reference))))
    shop.bank.happen(under_way, "submitted")
    process(str(shop.file(shop.bank.happen(failed, "failed"))))

    expire()

    found = {row.provider_ref: row.status for row in shop.sql("SELECT provider_ref, status::text FROM payments")}
    assert found == {unpaid: "expired", under_way: "processing", failed: "failed"}
    assert shop.bank.payments[unpaid]["status"] == "cancelled"


def test_the_backfill_enters_what_could_not_be_delivered(shop: Shop) -> None:
    paid, refunded = shop.open(2)
    for reference in (paid, refunded):
        shop.bank.pay(reference)
    process(str(shop.file(shop.bank.events[-1])))
    body = delivery(next(each for each in shop.bank.events if each["action"] == "confirmed")).decode()
    shop.bank.webhooks = [{"id": "WB1", "successful": False, "request_body": body}]
    shop.bank.give_back(refunded, "RFdashboard", "paid", 4000)

    for _ in range(2):
        backfill()

    assert shop.statuses() == {"paid": 2}
    (refund,) = shop.sql("SELECT amount, status::text FROM refunds")
    assert (refund.amount, refund.status) == (40, "succeeded")


@pytest.mark.parametrize("metadata", [{}, {"payment_id": "INV-4711"}, {"deployment": "another name of ours"}])
def test_a_late_failure_finds_its_payment_by_any_name(shop: Shop, metadata: dict[str, str]) -> None:
    """Staff and bookkeeping rewrite it, and a shop may get another PAYMENT_NAMESPACE."""
    shop.app.extensions["providers"] = {"gocardless": KIT.provider(answer=shop, deployment="uniforms")}
    (reference,) = shop.open()
    process(str(shop.file(shop.bank.fulfil(reference))))
    process(str(shop.file(shop.bank.happen(reference, "confirmed"))))
    assert shop.statuses() == {"paid": 1}
    late = shop.bank.happen(reference, "failed")
    late["resource_metadata"] = metadata if metadata.get("payment_id") else metadata | {"payment_id": reference}
    if not metadata:
        del late["resource_metadata"]

    process(str(shop.file(late)))

    assert shop.statuses() == {"reversed": 1}


def test_a_refund_of_the_dashboard_is_entered_by_its_event(shop: Shop) -> None:
    (reference,) = shop.open()
    shop.bank.pay(reference)
    process(str(shop.file(shop.bank.events[-1])))
    theirs = event("refunds", "created", 90, {}, refund="RFtheirs")
    for status, expected in (("paid", "succeeded"), ("bounced", "failed")):
        webhook = shop.file(theirs, shop.bank.give_back(reference, "RFdashboard", status, 4000))
        process(str(webhook))
        (refund,) = shop.sql("SELECT amount, status::text FROM refunds")
        assert (state_of(shop.sql, webhook), refund.amount, refund.status) == ("applied", 40, expected)
    webhook = shop.file(theirs)
    process(str(webhook))
    assert webhook_row(shop.sql, webhook).detail.startswith("not_ours: ")


def test_the_end_of_a_session_leaves_a_debit_alone_whose_webhooks_are_late(shop: Shop) -> None:
    (reference,) = shop.open(ends="now() - interval '1 minute'")
    shop.bank.fulfil(reference)

    expire()

    (debit,) = shop.bank.debits.values()
    assert (shop.statuses(), debit["status"]) == ({"processing": 1}, "pending_submission")
