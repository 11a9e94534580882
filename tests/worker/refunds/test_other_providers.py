"""Refunds at Adyen, PayPal and Mollie, through the worker: asked for by us, or made in a dashboard."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import httpx
import pytest

from checkout_service.payments.status import PaymentStatus
from tests.conftest import Sql
from tests.money import bring_to
from tests.providers.kits import adyen, mollie, paypal
from tests.providers.kits.kit import SignedWebhook
from tests.refunding import insert_refund, make_due, refund_row, sums
from tests.webhook_bodies import state_of, status_of
from tests.worker.other_providers import Wallets
from worker.outstanding import InDoubtError
from worker.refunds.task import refund
from worker.webhooks.task import process

WEBHOOK = paypal.KIT.secrets[0]


def paid(wallets: Wallets, provider: str) -> tuple[UUID, str]:
    """A payment that was paid, as its webhook told: its id and its reference."""
    reference = wallets.open(provider).provider_ref
    getattr(wallets, provider).pay(reference)
    webhooks = {
        "adyen": adyen.KIT.webhook(PaymentStatus.PAID, provider_ref=reference),
        "paypal": paypal.approved(reference, WEBHOOK, number=90),
        "mollie": mollie.KIT.webhook(None, provider_ref=reference),
    }
    process(str(wallets.file(provider, webhooks[provider])))
    (row,) = wallets.sql("SELECT id, status::text FROM payments WHERE provider_ref = :ref", ref=reference)
    assert row.status == "paid"
    return row.id, reference


def adyen_item(code: str, success: str, reference: str, psp: str, value: int = 4000) -> SignedWebhook:
    fields = {
        "merchantReference": reference,
        "pspReference": psp,
        "originalReference": "NC6HT9CRT65ZG001",
        "amount": {"currency": "USD", "value": value},
    }
    return SignedWebhook(body=adyen.batch(adyen.sign(adyen.item(code, success, **fields), adyen.KIT.secrets[0])))


def test_a_refund_whose_answer_was_lost_before_the_token_ended_counts_as_requested(wallets: Wallets, sql: Sql) -> None:
    payment_id, _ = paid(wallets, "paypal")
    refund_id = insert_refund(sql, payment_id)
    tries = []

    def lose(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/refund"):
            return wallets.paypal(request)
        tries.append(request)
        if len(tries) == 1:
            wallets.paypal(request)
            raise httpx.ReadTimeout("the answer got lost", request=request)
        return httpx.Response(401, json={"error": "invalid_token"})

    wallets.app.extensions["providers"]["paypal"] = paypal.KIT.provider(answer=lose)
    wallets.paypal.tokens = 0

    assert refund(str(refund_id)).startswith("later: unavailable")

    row = refund_row(sql, refund_id)
    assert (row.now, len(wallets.paypal.refunds), len(tries)) == ("requested", 1, 2)
    assert row.sent_at is not None, "it may be there, so its key and its cover count from the first try on"


@pytest.mark.parametrize("provider", ["adyen", "paypal", "mollie"])
def test_a_refund_is_requested_once_and_is_on_its_way(wallets: Wallets, sql: Sql, provider: str) -> None:
    payment_id, _ = paid(wallets, provider)
    refund_id = insert_refund(sql, payment_id)

    assert refund(str(refund_id)) == "processing"
    assert refund(str(refund_id)) == "nothing is outstanding now"

    row = refund_row(sql, refund_id)
    (made,) = getattr(wallets, provider).refunds
    assert (row.now, row.provider_ref) == ("processing", made)
    assert sums(sql, payment_id) == ("0.00", "40.00")


@pytest.mark.parametrize("name", ["merchantReference of the refund", "merchantReference of the payment"])
@pytest.mark.parametrize(
    ("events", "status", "given"),
    [
        ([("REFUND", "true")], "succeeded", "40.00"),
        ([("REFUND", "false")], "failed", "0.00"),
        ([("REFUND", "true"), ("REFUND_FAILED", "true")], "failed", "0.00"),
        ([("REFUND", "true"), ("REFUNDED_REVERSED", "true")], "failed", "0.00"),
        ([("REFUNDED_REVERSED", "true"), ("REFUND", "true")], "failed", "0.00"),
    ],
)
def test_adyens_webhooks_end_a_refund_and_may_undo_it(
    wallets: Wallets, sql: Sql, events: list[tuple[str, str]], status: str, given: str, name: str
) -> None:
    payment_id, reference = paid(wallets, "adyen")
    refund_id = insert_refund(sql, payment_id)
    refund(str(refund_id))
    (psp,) = wallets.adyen.refunds
    merchant = f"{reference}_{refund_id.hex}" if "refund" in name else reference

    for code, success in events:
        delivery = wallets.file("adyen", adyen_item(code, success, merchant, psp))
        process(str(delivery))

    assert refund_row(sql, refund_id).now == status
    assert sums(sql, payment_id) == (given, "0.00")
    assert sql("SELECT count(*) FROM refunds")[0].count == 1
    assert status_of(sql, reference) == "paid"


def test_a_refund_made_at_adyen_appears_once(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = paid(wallets, "adyen")

    for _ in range(2):
        process(str(wallets.file("adyen", adyen_item("REFUND", "true", reference, "DASHBOARD"))))

    assert sums(sql, payment_id) == ("40.00", "0.00")
    (row,) = sql("SELECT provider_ref, amount, status::text FROM refunds")
    assert tuple(row) == ("DASHBOARD", Decimal("40.00"), "succeeded")


def test_a_refund_at_paypal_ends_by_look_up_and_by_webhook(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = paid(wallets, "paypal")
    first, second = (insert_refund(sql, payment_id) for _ in range(2))
    for refund_id in (first, second):
        refund(str(refund_id))
    by_look_up, by_webhook = wallets.paypal.refunds.values()
    by_look_up["status"] = "COMPLETED"

    make_due(sql)
    refund(str(first))
    assert [refund_row(sql, refund_id).now for refund_id in (first, second)] == ["succeeded", "processing"]
    webhook = paypal.sign(
        paypal.event_body("PAYMENT.CAPTURE.REFUNDED", by_webhook | {"status": "COMPLETED"}, number=3), WEBHOOK
    )
    delivery = wallets.file("paypal", webhook)
    process(str(delivery))

    assert (state_of(sql, delivery), refund_row(sql, second).now) == ("applied", "succeeded")
    assert sums(sql, payment_id) == ("80.00", "0.00")
    assert status_of(sql, reference) == "paid"


def test_mollies_one_webhook_brings_refunds_of_ours_and_of_the_dashboard(wallets: Wallets, sql: Sql) -> None:
    payment_id, reference = paid(wallets, "mollie")
    refund_id = insert_refund(sql, payment_id)
    refund(str(refund_id))
    (made,) = wallets.mollie.refunds
    wallets.mollie.refunds[made]["status"] = "refunded"
    wallets.mollie.refund(reference, "re_dashboard", "10.00")

    deliveries = [wallets.file("mollie", mollie.KIT.webhook(None, provider_ref=reference)) for _ in range(2)]
    for delivery in deliveries:
        process(str(delivery))

    assert refund_row(sql, refund_id).now == "succeeded"
    assert sums(sql, payment_id) == ("50.00", "0.00")
    rows = sql("SELECT provider_ref FROM refunds ORDER BY amount")
    assert [row.provider_ref for row in rows] == ["re_dashboard", made]
    assert sorted(state_of(sql, delivery) for delivery in deliveries) == ["applied", "duplicate"]


def test_a_refund_at_adyen_waits_for_the_name_of_what_was_paid(wallets: Wallets, sql: Sql) -> None:
    reference = wallets.open("adyen").provider_ref
    (payment,) = sql("SELECT id FROM payments")
    bring_to(sql, payment.id, "paid")
    refund_id = insert_refund(sql, payment.id)

    assert "not known yet" in refund(str(refund_id))
    process(str(wallets.file("adyen", adyen.KIT.webhook(PaymentStatus.PAID, provider_ref=reference))))
    make_due(sql)

    assert refund(str(refund_id)) == "processing"
    assert wallets.adyen.requests[-1].url.path == "/v72/payments/NC6HT9CRT65ZG001/refunds"


def test_a_refund_that_a_provider_refuses_has_failed(wallets: Wallets, sql: Sql) -> None:
    payment_id, _ = paid(wallets, "paypal")
    refund_id = insert_refund(sql, payment_id)
    wallets.paypal.payments.clear()

    refund(str(refund_id))

    assert refund_row(sql, refund_id).now == "failed"
    assert sums(sql, payment_id) == ("0.00", "0.00")


@pytest.mark.parametrize("arrived", [True, False])
def test_a_refund_at_paypal_whose_key_is_forgotten_is_looked_for_and_never_made_twice(
    wallets: Wallets, sql: Sql, arrived: bool
) -> None:
    """Asked for 46 days ago, the answer lost: an operator runs the task again."""
    payment_id, _ = paid(wallets, "paypal")
    refund_id = insert_refund(sql, payment_id)

    def lost(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/refund"):
            return wallets.paypal(request)
        if arrived:
            wallets.paypal(request)
        raise httpx.ReadTimeout("the answer got lost", request=request)

    wallets.app.extensions["providers"]["paypal"] = paypal.KIT.provider(answer=lost)
    assert "unavailable" in refund(str(refund_id))
    wallets.app.extensions["providers"]["paypal"] = paypal.KIT.provider(answer=wallets.paypal)
    wallets.paypal.later(days=46)
    sql("UPDATE refunds SET sent_at = sent_at - interval '46 days'")
    make_due(sql)

    if arrived:
        assert refund(str(refund_id)) == "processing"
        assert refund_row(sql, refund_id).provider_ref in wallets.paypal.refunds
    else:
        with pytest.raises(InDoubtError):
            refund(str(refund_id))
        assert "dashboard" in refund_row(sql, refund_id).detail
    assert len(wallets.paypal.refunds) == int(arrived)
