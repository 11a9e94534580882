"""Adyen, PayPal and Mollie through the worker: batches, thin events, captures, and what nobody reported."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from flask.testing import FlaskClient

from checkout_service.payments.status import PaymentStatus
from tests.conftest import Sql
from tests.crowd import at_once
from tests.money import bring_to
from tests.providers.kits import adyen, mollie, paypal
from tests.providers.kits.kit import SignedWebhook
from tests.webhook_bodies import state_of, status_of
from tests.worker.conftest import MakeWorker, webhook_row
from tests.worker.other_providers import Wallets
from worker.payments.look_ups import expire, look_up
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process

OVER = "now() - interval '1 second'"
WEBHOOK = paypal.KIT.secrets[0]


def news(wallets: Wallets, reference: str, **columns: str) -> UUID:
    """Mollie's webhook, processed: its bytes are the same for all news."""
    delivery = wallets.file("mollie", SignedWebhook(body=f"id={reference}".encode()), **columns)
    process(str(delivery))
    return delivery


def approve(wallets: Wallets, reference: str, *, number: int = 1) -> UUID:
    """The customer approves, and PayPal's webhook about it is filed."""
    wallets.paypal.approve(reference)
    return wallets.file("paypal", paypal.approved(reference, WEBHOOK, number=number))


def lapse(sql: Sql) -> None:
    """Let every webhook and every payment be due."""
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")
    sql("UPDATE payments SET next_look_up_at = now() WHERE next_look_up_at IS NOT NULL")


def captures(wallets: Wallets) -> list[str]:
    return [call.url.path for call in wallets.paypal.requests if call.url.path.endswith("/capture")]


def test_mollies_one_webhook_brings_news_after_news(wallets: Wallets, sql: Sql) -> None:
    reference = wallets.open("mollie").provider_ref
    held = wallets.mollie.payments[reference]

    assert (state_of(sql, news(wallets, reference)), status_of(sql, reference)) == ("ignored", "pending")
    held["status"] = "pending"
    assert (state_of(sql, news(wallets, reference)), status_of(sql, reference)) == ("applied", "processing")
    wallets.mollie.pay(reference)
    assert (state_of(sql, news(wallets, reference)), status_of(sql, reference)) == ("applied", "paid")
    assert state_of(sql, news(wallets, reference)) == "duplicate"
    wallets.mollie.charge_back(reference)
    assert (state_of(sql, news(wallets, reference)), status_of(sql, reference)) == ("applied", "reversed")
    assert state_of(sql, news(wallets, reference)) == "duplicate"

    assert wallets.events() == [("processing", "applied"), ("paid", "applied"), (None, "applied")]
    (row,) = sql("SELECT raw_payload::text AS raw, review_reason FROM payments")
    assert "cardNumber" not in row.raw
    assert row.review_reason is None


def test_a_webhook_in_mollies_name_about_a_strangers_payment_asks_nobody(wallets: Wallets, sql: Sql) -> None:
    wallets.mollie.payments["tr_stranger"] = {}

    delivery = news(wallets, "tr_stranger", received_at="now() - interval '2 minutes'")

    assert state_of(sql, delivery) == "rejected"
    assert wallets.mollie.requests == []


def test_mollie_being_away_uses_up_no_attempt(wallets: Wallets, sql: Sql) -> None:
    reference = wallets.open("mollie").provider_ref
    wallets.mollie.pay(reference)
    wallets.app.extensions["providers"]["mollie"] = mollie.KIT.provider(answer=lambda _: httpx.Response(503))

    delivery = news(wallets, reference, received_at="now()")
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("rejected", "pending"), "nobody vouches for it"
    assert "503" in webhook_row(sql, delivery).detail

    wallets.app.extensions["providers"]["mollie"] = mollie.KIT.provider(answer=wallets.mollie)
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")
    sweep()
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")


def test_an_approval_is_captured_and_paid_once(wallets: Wallets, sql: Sql) -> None:
    reference = wallets.open("paypal").provider_ref
    first = approve(wallets, reference)

    process(str(first))

    assert (state_of(sql, first), status_of(sql, reference)) == ("applied", "paid")
    again = wallets.file("paypal", paypal.approved(reference, WEBHOOK))
    process(str(again))
    (made,) = wallets.paypal.movements(reference, "captures")
    reported = wallets.file("paypal", paypal.event("PAYMENT.CAPTURE.COMPLETED", made, number=7))
    process(str(reported))

    assert (state_of(sql, again), state_of(sql, reported)) == ("duplicate", "applied")
    assert len(wallets.paypal.captured) == len(captures(wallets)) == 1
    assert wallets.events() == [("paid", "applied"), ("paid", "stale")]
    assert sql("SELECT review_reason FROM payments")[0].review_reason is None


def test_a_capture_holds_no_lock_and_its_webhook_is_under_lease(wallets: Wallets, sql: Sql) -> None:
    reference = wallets.open("paypal").provider_ref
    delivery = approve(wallets, reference)
    seen: list[Any] = []

    def watching(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/capture"):
            seen.append(webhook_row(sql, delivery))
            seen.append(
                sql("""SELECT count(*) FROM pg_stat_activity
                WHERE usename = 'checkout_worker' AND xact_start IS NOT NULL AND datname = current_database()""")[0]
            )
        return wallets.paypal(request)

    wallets.app.extensions["providers"]["paypal"] = paypal.KIT.provider(answer=watching)
    process(str(delivery))

    webhook, transactions = seen
    assert (webhook.state, webhook.attempts) == ("received", 1)
    assert 0 < webhook.due_in <= 30
    assert transactions.count == 0
    assert status_of(sql, reference) == "paid"


def test_two_workers_with_a_webhook_each_capture_once(wallets: Wallets, sql: Sql, make_worker: MakeWorker) -> None:
    reference = wallets.open("paypal").provider_ref
    webhooks = [approve(wallets, reference, number=number) for number in (1, 2)]
    apps = [make_worker() for _ in webhooks]
    for app in apps:
        app.extensions["providers"] = {"paypal": paypal.KIT.provider(answer=wallets.paypal)}
    wallets.paypal.tokens = 1

    def work(app: Any, delivery: UUID) -> None:
        access = app.extensions["providers"]["paypal"]._access
        access._headers, access._until = {"Authorization": "Bearer A21AA1"}, float("inf")
        with app.app_context():
            process(str(delivery))

    at_once([lambda app=app, webhook=webhook: work(app, webhook) for app, webhook in zip(apps, webhooks, strict=True)])

    assert status_of(sql, reference) == "paid"
    assert len(wallets.paypal.captured) == 1
    assert wallets.events() == [("paid", "applied")]
    assert {state_of(sql, webhook) for webhook in webhooks} <= {"applied", "duplicate"}


def test_a_capture_whose_answer_is_lost_is_not_made_twice(wallets: Wallets, sql: Sql) -> None:
    reference = wallets.open("paypal").provider_ref
    delivery = approve(wallets, reference)

    def losing(request: httpx.Request) -> httpx.Response:
        answer = wallets.paypal(request)
        if request.url.path.endswith("/capture"):
            raise httpx.ReadTimeout("lost")
        return answer

    wallets.app.extensions["providers"]["paypal"] = paypal.KIT.provider(answer=losing)
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("received", "pending")
    assert len(wallets.paypal.captured) == 1

    wallets.app.extensions["providers"]["paypal"] = paypal.KIT.provider(answer=wallets.paypal)
    lapse(sql)
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")
    assert len(wallets.paypal.captured) == 1


def test_a_declined_method_is_a_failure_that_another_approval_mends(wallets: Wallets, sql: Sql) -> None:
    reference = wallets.open("paypal").provider_ref
    wallets.paypal.declines = 1

    process(str(approve(wallets, reference)))
    assert status_of(sql, reference) == "failed"
    process(str(approve(wallets, reference, number=2)))

    assert status_of(sql, reference) == "paid"
    assert wallets.events() == [("failed", "applied"), ("paid", "applied")]


@pytest.mark.parametrize("status", ["expired", "canceled"])
def test_an_approval_of_a_payment_that_is_closed_takes_no_money(wallets: Wallets, sql: Sql, status: str) -> None:
    reference = wallets.open("paypal").provider_ref
    (payment,) = sql("SELECT id FROM payments")
    bring_to(sql, payment.id, status)
    delivery = approve(wallets, reference)

    process(str(delivery))
    lapse(sql)
    look_up()

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("ignored", status)
    assert (wallets.paypal.captured, captures(wallets)) == ([], [])


def test_an_approval_of_a_payment_that_somebody_canceled_takes_no_money(wallets: Wallets, sql: Sql) -> None:
    reference = wallets.open("paypal").provider_ref
    sql("INSERT INTO cancel_requests (payment_id, requested_by) SELECT id, user_id FROM payments")

    process(str(approve(wallets, reference)))

    assert status_of(sql, reference) == "pending"
    assert (wallets.paypal.captured, captures(wallets)) == ([], [])


def test_an_order_of_a_session_that_is_over_expires_and_is_never_captured_after_that(
    wallets: Wallets, sql: Sql
) -> None:
    reference = wallets.open("paypal", ends=OVER).provider_ref

    expire()
    assert status_of(sql, reference) == "expired"
    process(str(approve(wallets, reference)))

    assert status_of(sql, reference) == "expired"
    assert wallets.paypal.captured == []


def test_an_approval_that_nobody_reported_is_captured_by_the_look_up(wallets: Wallets, sql: Sql) -> None:
    reference = wallets.open("paypal").provider_ref
    wallets.paypal.approve(reference)
    lapse(sql)

    assert look_up() == "asked about 1 payments, learned 1 events"

    assert status_of(sql, reference) == "paid"
    assert len(wallets.paypal.captured) == 1


def test_a_unverified_in_paypals_name_moves_nothing_and_fetches_nothing(wallets: Wallets, sql: Sql) -> None:
    reference = wallets.open("paypal").provider_ref
    wallets.paypal.approve(reference)
    verified = paypal.approved(reference, WEBHOOK)
    elsewhere = SignedWebhook(
        body=verified.body, headers=verified.headers | {"paypal-cert-url": "https://evil.test/CERT-1"}
    )
    before = len(wallets.paypal.requests)

    delivery = wallets.file("paypal", elsewhere)
    process(str(delivery))

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("rejected", "pending")
    assert len(wallets.paypal.requests) == before


def batch(*items: dict[str, Any]) -> SignedWebhook:
    return SignedWebhook(body=adyen.batch(*[adyen.sign(item, adyen.KIT.secrets[0]) for item in items]))


def test_a_batch_of_adyens_moves_each_of_its_payments(wallets: Wallets, sql: Sql) -> None:
    first, second = (wallets.open("adyen").provider_ref for _ in range(2))
    items = [
        adyen.item(merchantReference=first),
        adyen.item(merchantReference=second, success="false", pspReference="P2"),
        adyen.item(merchantReference="of another service", pspReference="P3"),
        adyen.item("REPORT_AVAILABLE", merchantReference="", pspReference="P4"),
    ]

    deliveries = [wallets.file("adyen", batch(*items), created_at=f"now() + {n} * interval '1 s'") for n in (0, 1)]
    for delivery in deliveries:
        process(str(delivery))

    assert (status_of(sql, first), status_of(sql, second)) == ("paid", "failed")
    assert sorted(state_of(sql, delivery) for delivery in deliveries) == ["applied", "duplicate"]
    assert len(wallets.events()) == 2
    raw = sql("SELECT raw_payload::text AS raw FROM payments WHERE status = 'paid'")[0].raw
    # A card's digits as they stand in the webhook: four alone may stand in a reference too.
    assert '"1111"' not in raw
    assert ":1111:" not in raw


def test_one_unverified_item_refuses_its_whole_webhook(wallets: Wallets, sql: Sql) -> None:
    first, second = (wallets.open("adyen").provider_ref for _ in range(2))
    verified = adyen.sign(adyen.item(merchantReference=first), adyen.KIT.secrets[0])
    unverified = adyen.sign(adyen.item(merchantReference=second), "00" * 32)
    delivery = wallets.file("adyen", SignedWebhook(body=adyen.batch(verified, unverified)))

    process(str(delivery))

    assert state_of(sql, delivery) == "rejected"
    assert (status_of(sql, first), status_of(sql, second), wallets.events()) == ("pending", "pending", [])


HISTORY = [("AUTHORISATION", "false", "P1"), ("AUTHORISATION", "true", "P2"), ("CAPTURE_FAILED", "true", "P3")]


@pytest.mark.parametrize("turn", [1, -1])
def test_adyens_events_end_alike_in_any_order(wallets: Wallets, sql: Sql, turn: int) -> None:
    reference = wallets.open("adyen").provider_ref

    for code, success, psp in HISTORY[::turn]:
        item = adyen.item(code, success, merchantReference=reference, pspReference=psp, originalReference="P2")
        process(str(wallets.file("adyen", batch(item))))

    assert status_of(sql, reference) == "reversed"
    assert {status for status, _ in wallets.events()} == {"failed", "paid", "reversed"}
    assert sql("SELECT review_reason FROM payments")[0].review_reason is None


def test_an_authorisation_that_was_canceled_after_its_capture_is_a_persons_to_look_at(
    wallets: Wallets, sql: Sql
) -> None:
    reference = wallets.open("adyen").provider_ref
    for psp, code in (("A", "AUTHORISATION"), ("C", "CAPTURE"), ("X", "CANCEL_OR_REFUND")):
        item = adyen.item(code, merchantReference=reference, pspReference=psp, originalReference="A")
        process(str(wallets.file("adyen", batch(item))))

    (row,) = sql("SELECT status::text, review_reason FROM payments")
    assert tuple(row) == ("paid", "unclear_cancellation")


def test_adyens_money_that_is_not_ours_is_a_mismatch(wallets: Wallets, sql: Sql) -> None:
    reference = wallets.open("adyen").provider_ref
    for number, amount in enumerate([{"currency": "USD", "value": 1}, {"currency": "KWD", "value": 1_235}]):
        item = adyen.item(merchantReference=reference, amount=amount, pspReference=f"P{number}")
        process(str(wallets.file("adyen", batch(item))))

    (row,) = sql("SELECT status::text, review_reason FROM payments")
    assert tuple(row) == ("partially_paid", "mismatch")
    assert wallets.events() == [("paid", "applied"), ("paid", "mismatch")]


@pytest.mark.parametrize("provider", ["adyen", "paypal", "mollie"])
def test_a_payment_whose_session_is_over_expires_at_its_provider(wallets: Wallets, sql: Sql, provider: str) -> None:
    reference = wallets.open(provider, ends=OVER).provider_ref

    expire()

    assert status_of(sql, reference) == "expired"
    ended = {"adyen": "expired", "paypal": "CREATED", "mollie": "canceled"}
    assert getattr(wallets, provider).payments[reference]["status"] == ended[provider]


@pytest.mark.parametrize(("provider", "status"), [("adyen", "processing"), ("paypal", "paid"), ("mollie", "paid")])
def test_what_was_paid_in_the_last_second_does_not_expire(
    wallets: Wallets, sql: Sql, provider: str, status: str
) -> None:
    """Adyen's links do not say that money came; until its webhook does, such a payment waits."""
    reference = wallets.open(provider, ends=OVER).provider_ref
    getattr(wallets, provider).pay(reference)

    expire()

    assert status_of(sql, reference) == status


@pytest.mark.parametrize(("provider", "status"), [("adyen", "processing"), ("paypal", "paid"), ("mollie", "paid")])
def test_what_nobody_reported_is_looked_up(wallets: Wallets, sql: Sql, provider: str, status: str) -> None:
    reference = wallets.open(provider).provider_ref
    getattr(wallets, provider).pay(reference)
    lapse(sql)

    assert look_up() == "asked about 1 payments, learned 1 events"

    assert status_of(sql, reference) == status


def test_an_approval_that_was_declined_in_the_evening_is_not_captured_the_next_morning(
    wallets: Wallets, sql: Sql
) -> None:
    reference = wallets.open("paypal").provider_ref
    wallets.paypal.declines, wallets.paypal.stays_approved = 1, True
    process(str(approve(wallets, reference)))
    assert (status_of(sql, reference), len(captures(wallets))) == ("failed", 1)

    for hours in (1, 6):
        wallets.paypal.later(hours=hours)
        lapse(sql)
        assert look_up().startswith("asked about 1 payments")
    assert (status_of(sql, reference), len(captures(wallets))) == ("failed", 1)

    wallets.paypal.approve(reference)
    wallets.paypal.payments[reference]["update_time"] = "2026-11-26T08:00:00Z"
    process(str(wallets.file("paypal", paypal.approved(reference, WEBHOOK, number=2))))
    assert (status_of(sql, reference), len(wallets.paypal.captured)) == ("paid", 1)


@pytest.mark.parametrize("provider", ["adyen", "paypal", "mollie"])
def test_a_webhook_comes_whole_through_the_receiver(
    wallets: Wallets, sql: Sql, client: FlaskClient, provider: str
) -> None:
    """The headers that its signature needs are kept, and it is answered as its provider wants."""
    reference = wallets.open(provider).provider_ref
    getattr(wallets, provider).pay(reference)
    kit = {"adyen": adyen.KIT, "paypal": paypal.KIT, "mollie": mollie.KIT}[provider]
    webhook = kit.webhook(PaymentStatus.PAID, signed_at=datetime.now(UTC), provider_ref=reference)
    kind = "application/x-www-form-urlencoded" if provider == "mollie" else "application/json"

    answer = client.post(
        f"/api/payments/webhook/{provider}",
        data=webhook.body,
        headers=webhook.headers | {"Cookie": "a=b"},
        content_type=kind,
    )

    assert answer.status_code == (200 if provider == "adyen" else 202)
    assert (answer.text == "[accepted]") is (provider == "adyen")
    (filed,) = sql("SELECT id, headers FROM webhook_deliveries")
    assert {name for name in filed.headers if name != "x-request-id"} == set(webhook.headers)
    process(str(filed.id))
    assert (state_of(sql, filed.id), status_of(sql, reference)) == ("applied", "paid")
