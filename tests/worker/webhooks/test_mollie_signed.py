"""Mollie's two kinds of webhooks through the worker: one movement of whatever both tell, and nothing of what nobody
signed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import permutations
from typing import Any
from uuid import UUID

import httpx
import pytest

from checkout_service.telemetry.metrics import secret_matches_total
from tests.conftest import Sql
from tests.crowd import at_once
from tests.providers.kits import mollie
from tests.providers.kits.kit import SignedWebhook
from tests.providers.kits.mollie import SECRETS, event_body, sign
from tests.webhook_bodies import state_of, status_of
from tests.worker.conftest import webhook_row
from tests.worker.other_providers import Wallets
from worker.webhooks import look_ups
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import WebhookFailedError, process

SUMS = "SELECT amount_captured, amount_refunded, amount_lost, review_reason FROM payments"


@pytest.fixture
def signed(wallets: Wallets) -> Wallets:
    """Mollie with two live secrets."""
    switch(wallets)
    return wallets


def switch(wallets: Wallets, *secrets: str, **options: str) -> None:
    kit = mollie.KIT.provider(*(secrets or SECRETS[:2]), answer=wallets.mollie, **options)
    wallets.app.extensions["providers"]["mollie"] = kit


def sums_of(sql: Sql) -> list[tuple[str, ...]]:
    """Of each payment what came, was given back and was lost, and why it needs a person."""
    return [(*(f"{amount:.2f}" for amount in row[:3]), str(row.review_reason)) for row in sql(SUMS)]


def classic(reference: str) -> SignedWebhook:
    body = f"id={reference}".encode()
    return SignedWebhook(body=body, headers={"content-type": "application/x-www-form-urlencoded"})


def news(wallets: Wallets, webhook: SignedWebhook, **columns: str) -> UUID:
    delivery = wallets.file("mollie", webhook, **columns)
    process(str(delivery))
    return delivery


def link(reference: str, what: str) -> str:
    return f"https://api.mollie.com/v2/payments/{reference}/{what}"


def test_full_and_simple_events_of_each_kind_lead_to_what_mollie_says_now(signed: Wallets, sql: Sql) -> None:
    bank, reference = signed.mollie, signed.open("mollie").provider_ref
    bank.pay(reference)
    paid = sign(
        event_body("payment.paid", reference, bank.payments[reference] | {"amount": {"value": "1", "currency": "EUR"}})
    )
    assert (state_of(sql, news(signed, paid)), status_of(sql, reference)) == ("applied", "paid")
    bank.refund(reference, "re_1", "40.00")
    full = sign(event_body("refund.refunded", "re_1", bank.refunds["re_1"]))
    assert state_of(sql, news(signed, full)) == "applied"
    bank.refund(reference, "re_2", "10.00")
    simple = sign(event_body("refund.refunded", "re_2", link=link(reference, "refunds/re_2")))
    assert state_of(sql, news(signed, simple)) == "applied"
    bank.refund(reference, "re_3", "5.00")
    alone = sign(event_body("refund.refunded", "re_3"))
    assert state_of(sql, news(signed, alone)) == "applied"
    bank.charge_back(reference, "60.00", "chb_1")
    back = sign(event_body("chargeback.received", "chb_1"))
    assert state_of(sql, news(signed, back)) == "applied"
    assert sums_of(sql) == [("240.00", "55.00", "60.00", "None")]
    bank.charge_back(reference, "60.00", "chb_1", reversedAt="2026-11-28T12:00:00+00:00")
    assert state_of(sql, news(signed, sign(event_body("chargeback.reversed", "chb_1")))) == "applied"
    assert sums_of(sql) == [("240.00", "55.00", "0.00", "None")]
    for webhook in (paid, full, simple, alone, back):
        assert state_of(sql, news(signed, webhook)) == "duplicate"


MOVEMENTS: dict[str, tuple[Callable[[Any, str], Any], str, str]] = {
    "refund": (lambda bank, ref: bank.refund(ref, "re_1", "40.00"), "refund.refunded", "re_1"),
    "refund failed": (lambda bank, ref: bank.refund(ref, "re_1", "40.00", status="failed"), "refund.failed", "re_1"),
    "refund canceled": (
        lambda bank, ref: bank.refund(ref, "re_1", "40.00", status="canceled"),
        "refund.canceled",
        "re_1",
    ),
    "chargeback": (lambda bank, ref: bank.charge_back(ref, "40.00", "chb_1"), "chargeback.received", "chb_1"),
}


MOVED = {
    "refund": ("240.00", "40.00", "0.00", "None"),
    "refund failed": ("240.00", "0.00", "0.00", "None"),
    "refund canceled": ("240.00", "0.00", "0.00", "None"),
    "chargeback": ("240.00", "0.00", "40.00", "None"),
}


@pytest.mark.parametrize("name", MOVEMENTS)
def test_both_feeds_of_one_change_are_one_movement_in_any_order(signed: Wallets, sql: Sql, name: str) -> None:
    happen, kind, entity_id = MOVEMENTS[name]
    sums = []
    for order in permutations(range(3)):
        sql("TRUNCATE payments, webhook_deliveries, users CASCADE")
        bank, reference = signed.mollie, signed.open("mollie").provider_ref
        bank.refunds.clear()
        bank.chargebacks.clear()
        bank.pay(reference)
        happen(bank, reference)
        family = kind.split(".")[0]
        entity = {"refund": bank.refunds, "chargeback": bank.chargebacks}[family][entity_id]
        feeds = [classic(reference), sign(event_body(kind, entity_id, entity)), sign(event_body(kind, entity_id))]
        states = [state_of(sql, news(signed, feeds[place])) for place in order]
        assert states == ["applied", "duplicate", "duplicate"]
        sums.append(sums_of(sql))
    assert all(each == sums[0] for each in sums)
    assert sums[0] == [MOVED[name]]


def test_both_feeds_at_once_on_two_machines_are_one_movement(signed: Wallets, sql: Sql) -> None:
    bank, reference = signed.mollie, signed.open("mollie").provider_ref
    bank.pay(reference)
    bank.refund(reference, "re_1", "40.00")
    feeds = [classic(reference), sign(event_body("refund.refunded", "re_1", bank.refunds["re_1"]))]
    deliveries = [signed.file("mollie", webhook) for webhook in feeds]

    def work(delivery: UUID) -> None:
        with signed.app.app_context():
            process(str(delivery))

    at_once([partial(work, delivery) for delivery in deliveries])

    assert {state_of(sql, delivery) for delivery in deliveries} <= {"applied", "duplicate"}
    assert sums_of(sql) == [("240.00", "40.00", "0.00", "None")]
    assert len(sql("SELECT id FROM refunds")) == 1


def test_a_capture_that_failed_is_known_by_its_event(wallets: Wallets, sql: Sql) -> None:
    switch(wallets, capture="manual")
    bank, reference = wallets.mollie, wallets.open("mollie").provider_ref
    bank.authorize(reference)
    made = bank.capture(reference, "240.00", status="failed")

    delivery = news(wallets, sign(event_body("capture.failed", made["id"], made)))

    assert state_of(sql, delivery) == "applied"
    assert [row.status for row in sql("SELECT status::text FROM captures")] == ["refused"]
    alone = news(wallets, sign(event_body("capture.failed", made["id"])))
    assert state_of(sql, alone) == "duplicate", "by its name it is known here"


def test_a_capture_of_ours_that_an_event_names_alone_leads_to_its_payment(wallets: Wallets, sql: Sql) -> None:
    switch(wallets, capture="manual")
    bank, reference = wallets.mollie, wallets.open("mollie").provider_ref
    bank.authorize(reference)
    bank.capturing = "pending"
    made = bank.capture(reference, "240.00")
    news(wallets, classic(reference))
    assert status_of(sql, reference) == "authorized"
    bank.settle(made["id"], "succeeded")

    delivery = news(wallets, sign(event_body("capture.succeeded", made["id"])))

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")


def test_a_capture_that_nobody_knows_waits_without_a_call_and_is_then_not_ours(wallets: Wallets, sql: Sql) -> None:
    switch(wallets, capture="manual")
    bank, reference = wallets.mollie, wallets.open("mollie").provider_ref
    made_before = len(bank.requests)
    young, old = (
        webhook_row(sql, news(wallets, sign(event_body("capture.succeeded", "cpt_theirs")), received_at=age))
        for age in ("now()", "now() - interval '73 hours'")
    )
    assert (young.state, young.detail) == ("parked", "its payment is not here yet")
    assert (old.state, old.detail) == ("ignored", "not_ours: of a payment that another service opened")
    assert len(bank.requests) == made_before

    bank.authorize(reference)
    made = bank.capture(reference, "240.00")
    delivery = news(wallets, sign(event_body("capture.succeeded", made["id"])), received_at="now()")
    assert state_of(sql, delivery) == "parked"
    news(wallets, classic(reference))
    sweep()
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("duplicate", "paid")


def test_events_that_call_nobody_leave_the_circuit_as_it_is(
    signed: Wallets, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[str] = []
    monkeypatch.setattr(look_ups, "note_answered", noted.append)
    news(signed, sign(event_body("capture.succeeded", "cpt_theirs")))
    assert noted == []


def test_json_without_a_right_signature_is_rejected_asks_nobody_and_is_kept_by_what_it_names(
    signed: Wallets, sql: Sql
) -> None:
    reference = signed.open("mollie").provider_ref
    signed.mollie.pay(reference)
    made_before = len(signed.mollie.requests)
    body = event_body("payment.paid", reference, signed.mollie.payments[reference])
    wrong = [sign(body, "not a secret of ours"), sign(body, SECRETS[2])]
    wrong += [SignedWebhook(body=body, headers={"content-type": "application/json"})]
    wrong += [
        SignedWebhook(body=body, headers={"content-type": "application/json", "x-mollie-signature": value})
        for value in ("", "sha256=", "legacy")
    ]
    for webhook in wrong:
        row = webhook_row(sql, news(signed, webhook))
        assert (row.state, row.rejected_class) == ("rejected", 1)
    assert (len(signed.mollie.requests), status_of(sql, reference)) == (made_before, "pending")

    switch(signed, "")
    row = webhook_row(sql, news(signed, sign(body)))
    assert (row.state, "MOLLIE_WEBHOOK_SECRETS is not set" in row.detail) == ("rejected", True)


def test_a_webhook_that_was_rejected_for_a_secret_is_applied_once_the_secret_is_right(
    signed: Wallets, sql: Sql
) -> None:
    reference = signed.open("mollie").provider_ref
    signed.mollie.pay(reference)
    delivery = news(signed, sign(event_body("payment.paid", reference), SECRETS[2]))
    assert state_of(sql, delivery) == "rejected"

    switch(signed, *SECRETS)
    process(str(delivery))

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")


def test_with_classic_webhooks_off_an_unsigned_one_costs_nothing(wallets: Wallets, sql: Sql) -> None:
    switch(wallets, classic_webhooks="off")
    reference = wallets.open("mollie").provider_ref
    assert b"webhookUrl" not in wallets.mollie.requests[-1].content
    wallets.mollie.pay(reference)
    made_before = len(wallets.mollie.requests)

    row = webhook_row(sql, news(wallets, classic(reference), received_at="now()"))

    assert (row.state, row.detail) == ("rejected", "unsigned, and MOLLIE_CLASSIC_WEBHOOKS is off")
    assert (len(wallets.mollie.requests), status_of(sql, reference)) == (made_before, "pending")
    assert state_of(sql, news(wallets, sign(event_body("payment.paid", reference)))) == "applied"
    assert status_of(sql, reference) == "paid"


def test_what_is_ignored_says_why_and_asks_nobody(signed: Wallets, sql: Sql) -> None:
    theirs = {"resource": "payment", "id": "tr_theirs", "mode": "test", "metadata": {"order": "7"}}
    for body, detail in [
        (event_body("payout.completed", "po_1"), "unknown_type: of a kind that we do not know"),
        (event_body("hook.ping", "hook_1"), "nothing_to_record: says nothing that we keep"),
        (event_body("payment.paid", "tr_theirs", theirs), "not_ours: of a payment that another service opened"),
        (event_body("payment.paid", "tr_x", theirs | {"mode": "live"}), "not_ours: of another shop, account or mode"),
    ]:
        row = webhook_row(sql, news(signed, sign(body)))
        assert (row.state, row.detail) == ("ignored", detail)
    assert signed.mollie.requests == []


def test_an_event_that_moved_nothing_is_kept_with_its_payment(signed: Wallets, sql: Sql) -> None:
    """A full payload says more of its customer than a form does, and is erased with them."""
    reference = signed.open("mollie").provider_ref
    event = sign(event_body("payment.of_next_year", reference, signed.mollie.payments[reference]))

    row = webhook_row(sql, news(signed, event))

    assert (row.state, row.detail) == ("ignored", "nothing_to_record: says nothing that we keep")
    assert row.provider_ref == reference


def test_an_event_of_ours_that_is_before_its_payment_waits_for_it(signed: Wallets, sql: Sql) -> None:
    made = signed.open("mollie")
    signed.mollie.pay(made.provider_ref)
    (row,) = sql("SELECT id, user_id FROM payments")
    sql("TRUNCATE payments CASCADE")
    event = sign(event_body("payment.paid", made.provider_ref, signed.mollie.payments[made.provider_ref]))
    delivery = news(signed, event, received_at="now()")
    assert state_of(sql, delivery) == "parked"

    sql(
        "INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency) "
        "VALUES (:id, :user, 'mollie', :ref, 240, 'USD')",
        id=row.id,
        user=row.user_id,
        ref=made.provider_ref,
    )
    sweep()
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, made.provider_ref)) == ("applied", "paid")


def test_an_event_of_ours_whose_payment_never_comes_is_failed_and_not_anothers(signed: Wallets, sql: Sql) -> None:
    made = signed.open("mollie")
    signed.mollie.pay(made.provider_ref)
    (payment,) = sql("SELECT id FROM payments")
    sql("TRUNCATE payments CASCADE")
    paid = sign(event_body("payment.paid", made.provider_ref, signed.mollie.payments[made.provider_ref]))
    delivery = signed.file("mollie", paid, received_at="now() - interval '73 hours'")
    with suppress(WebhookFailedError):
        process(str(delivery))
        process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.state, row.detail) == ("failed", f"its payment {payment.id} never came under this reference")
    simple = sign(event_body("payment.paid", made.provider_ref))
    assert state_of(sql, news(signed, simple, received_at="now() - interval '73 hours'")) == "ignored"


def test_a_payment_that_is_here_is_looked_up_whatever_its_metadata_is(signed: Wallets, sql: Sql) -> None:
    reference = signed.open("mollie").provider_ref
    signed.mollie.pay(reference)
    signed.mollie.payments[reference]["metadata"] = {"note": "changed by somebody"}

    delivery = news(signed, sign(event_body("payment.paid", reference, signed.mollie.payments[reference])))

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")


def test_a_refund_that_mollie_does_not_list_is_not_ours(signed: Wallets, sql: Sql) -> None:
    row = webhook_row(sql, news(signed, sign(event_body("refund.refunded", "re_theirs"))))
    assert (row.state, row.detail.split(":")[0]) == ("ignored", "not_ours")


def later(sql: Sql) -> None:
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")


def test_a_chargeback_whose_event_is_before_mollies_list_is_applied_once_it_is_listed(
    signed: Wallets, sql: Sql
) -> None:
    bank, reference = signed.mollie, signed.open("mollie").provider_ref
    bank.pay(reference)
    news(signed, classic(reference))
    delivery = news(signed, sign(event_body("chargeback.received", "chb_1")), received_at="now()")
    row = webhook_row(sql, delivery)
    assert (row.state, row.detail) == ("received", look_ups.NOT_SHOWN_YET)

    bank.charge_back(reference, "60.00", "chb_1")
    later(sql)
    process(str(delivery))

    assert state_of(sql, delivery) == "applied"
    assert sums_of(sql) == [("240.00", "0.00", "60.00", "None")]


@pytest.mark.parametrize("status", [400, 422])
def test_a_list_that_refuses_us_is_called_again_and_drops_nothing(signed: Wallets, sql: Sql, status: int) -> None:
    bank, reference = signed.mollie, signed.open("mollie").provider_ref
    bank.pay(reference)
    news(signed, classic(reference))
    bank.charge_back(reference, "60.00", "chb_1")
    error = httpx.Response(status, json={"status": status, "field": "limit"})
    signed.app.extensions["providers"]["mollie"] = mollie.KIT.provider(*SECRETS, answer=lambda _: error)
    delivery = news(signed, sign(event_body("chargeback.received", "chb_1")))
    assert state_of(sql, delivery) == "received"

    switch(signed)
    later(sql)
    process(str(delivery))
    assert state_of(sql, delivery) == "applied"
    assert sums_of(sql) == [("240.00", "0.00", "60.00", "None")]


def test_a_refund_that_is_known_here_is_not_looked_for_in_a_list(signed: Wallets, sql: Sql) -> None:
    bank, reference = signed.mollie, signed.open("mollie").provider_ref
    bank.pay(reference)
    bank.refund(reference, "re_1", "40.00", status="pending")
    news(signed, classic(reference))
    bank.refunds["re_1"]["status"] = "refunded"
    made_before = len(bank.requests)

    assert state_of(sql, news(signed, sign(event_body("refund.refunded", "re_1")))) == "applied"

    assert [call.url.path for call in bank.requests[made_before:]] == [f"/v2/payments/{reference}"]


def test_the_secret_that_matched_is_counted(signed: Wallets) -> None:
    reference = signed.open("mollie").provider_ref
    before = secret_matches_total.labels("mollie", "2")._value.get()
    news(signed, sign(event_body("payment.paid", reference), "an older one", SECRETS[1]))
    assert secret_matches_total.labels("mollie", "2")._value.get() == before + 1


def test_mollie_being_away_puts_a_signed_event_off_and_uses_up_no_attempt(signed: Wallets, sql: Sql) -> None:
    reference = signed.open("mollie").provider_ref
    signed.mollie.pay(reference)
    away = mollie.KIT.provider(*SECRETS, answer=lambda _: httpx.Response(503))
    signed.app.extensions["providers"]["mollie"] = away
    delivery = news(signed, sign(event_body("payment.paid", reference)), received_at="now()")
    assert state_of(sql, delivery) == "received", "somebody vouches for it"

    switch(signed)
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")
