"""A purchase at Stripe, from the session to what the customer reads: declined, then a debit under way, then paid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from checkout_service.oversight.timeline import timeline_of
from checkout_service.pages.amounts import form_of
from checkout_service.pages.payment_status import Around, Headline, headline
from tests.conftest import Customer, MakeListing, Sql
from tests.own_apps import MakeApp, make_app
from tests.providers.kits.stripe import KIT, StripeBank, event, sign
from tests.purchases import fill_cart, opened
from tests.worker.conftest import MakeWorker
from worker.payments.look_ups import expire
from worker.webhooks.task import process

__all__ = ["make_app"]  # a fixture


@pytest.mark.parametrize("kinds", [("payment_failed", "processing"), ("processing", "payment_failed")], ids=str)
def test_a_debit_that_is_under_way_is_processing_whatever_failed_before(
    make_app: MakeApp,
    make_worker: MakeWorker,
    make_customer: Callable[[], Customer],
    make_listing: MakeListing,
    sql: Sql,
    kinds: tuple[str, str],
) -> None:
    bank = StripeBank()
    adapter = KIT.provider(answer=bank)
    web, worker = make_app(), make_worker()
    web.extensions["providers"] = worker.extensions["providers"] = {"stripe": adapter}
    buyer = replace(make_customer(), client=web.test_client())
    session = opened(buyer, fill_cart(buyer, (make_listing(unit_price="120.00"), 2)))
    (held,) = bank.payments.values()
    created = int(datetime.now(UTC).timestamp())
    states = {
        "payment_failed": {"status": "requires_payment_method", "last_payment_error": {"code": "card_declined"}},
        "processing": {"status": "processing", "latest_charge": "py_1", "last_payment_error": None},
        "succeeded": {"status": "succeeded", "latest_charge": "py_1", "amount_received": 24000},
    }

    def deliver(kind: str, at: int) -> None:
        body = event(f"payment_intent.{kind}", held | states[kind], id=f"evt_{kind}", created=created + at)
        signed = sign(body, KIT.secrets[0], signed_at=datetime.now(UTC))
        answer = buyer.client.post(
            "/api/payments/webhook/stripe",
            data=signed.body,
            headers=signed.headers,
            content_type="application/json",
        )
        with worker.app_context():
            process(answer.json["delivery_id"])

    def read() -> dict[str, Any]:
        answer = buyer.get(f"/api/payments/{session['payment_id']}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json)

    def page() -> Headline:
        with web.app_context():
            timeline = timeline_of(UUID(session["payment_id"]))
            assert timeline is not None
            return headline(timeline.payment, around=Around(last_moved_at=datetime.now(UTC)), write=form_of("en").write)

    for kind in kinds:
        deliver(kind, {"payment_failed": -60, "processing": -30}[kind])
    assert (read()["status"], read()["under_way"]) == ("processing", True)
    assert (page().title, page().retryable) == ("Your bank is working on it", False)

    # The session is over, and the money that is coming is waited for.
    sql("UPDATE checkout_sessions SET expires_at = now() - interval '1 hour'")
    with worker.app_context():
        expire()
    assert read()["status"] == "processing"
    assert [request.url.path for request in bank.requests] == ["/v1/payment_intents"]

    deliver("succeeded", 0)
    assert (read()["status"], read()["under_way"], read()["amount_captured"]) == ("paid", False, "240.00")
