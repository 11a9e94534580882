"""A payment's story in plain words: every way in which a webhook, an event or a question can end has its sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.oversight.payment_history import evidence_of
from checkout_service.pages.payment_status import PATIENCE, standing
from checkout_service.pages.status_steps import EXPLAINED, street
from checkout_service.pages.timeline_phrases import GIVEN_BACK, UNDONE, Entry, told
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.webhooks.models import STATES
from tests.conftest import Sql, Statements
from tests.oversight.conftest import InWorker, add_session, in_worker
from tests.webhook_bodies import insert_payment, insert_webhook, webhook
from tests.worker.conftest import worker_app
from worker.webhooks.task import process

__all__ = ["in_worker", "worker_app"]


@pytest.fixture
def reference(sql: Sql) -> str:
    found = insert_payment(sql)
    add_session(sql, payment_id(sql, found))
    return found


def payment_id(sql: Sql, reference: str) -> UUID:
    found: UUID = sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)[0].id
    return found


def story(app: Flask, sql: Sql, reference: str) -> list[Entry]:
    with app.app_context():
        evidence = evidence_of(payment_id(sql, reference), pages=2)
    assert evidence is not None
    return told(evidence)


def came(sql: Sql, in_worker: InWorker, body: bytes) -> None:
    in_worker(process, str(insert_webhook(sql, body)))


def test_what_each_webhook_did_is_said_in_a_sentence(app: Flask, sql: Sql, in_worker: InWorker, reference: str) -> None:
    first = webhook(reference, "processing", event_id="evt_1")
    paid = {"amount": "240.00", "currency": "USD"}
    for body in (
        first,
        first,
        webhook(reference, "paid", event_id="evt_2", amount="1.00", currency="USD"),
        webhook(reference, "paid", secret="guessed", **paid),
        webhook(reference, "paid", event_id="evt_3", **paid),
        webhook(reference, "failed", event_id="evt_4"),
        webhook(reference, "reversed", event_id="evt_5"),
        webhook("mock_pi_of_another", "paid"),
    ):
        came(sql, in_worker, body)

    opened, *webhooks = story(app, sql, reference)

    assert opened.said == "240.00 USD for 2 lines of the cart. The payment was opened at the provider and is pending."
    assert [(entry.state, entry.title, entry.said) for entry in webhooks] == [
        ("applied", "A webhook said “processing”",
         "It is verified. It says processing: the payment moved from pending to processing."),
        ("duplicate", "The same webhook arrived again",
         "It is verified, but it says what we knew already. It counts once, not twice."),
        ("mismatch", "A webhook said “paid”",
         "It is verified. It says paid with 1.00 USD, not 240.00 USD: it moves nothing, and a person has to look."),
        ("rejected", "An unverified webhook arrived",
         "It is not verified: the signature is not ours. Nothing in it was believed."),
        ("applied", "A webhook said “paid”",
         "It is verified. It says paid with 240.00 USD: the payment moved from processing to paid."),
        ("stale", "A webhook said “failed”",
         "It is verified. It says failed, but the payment is further down the street, and nothing drives back."),
        ("applied", "A webhook said “reversed”",
         "It is verified. It says reversed: the payment moved from paid to reversed."),
    ]  # fmt: skip
    assert all(entry.took is not None and entry.took < timedelta(seconds=10) for entry in webhooks)
    assert [entry.at for entry in webhooks] == sorted(entry.at for entry in webhooks)


def test_no_webhook_is_searched_for_another_than_the_owner(
    app: Flask, sql: Sql, reference: str, statements: Statements
) -> None:
    payment = payment_id(sql, reference)
    owner = sql("SELECT user_id FROM payments WHERE id = :id", id=payment)[0].user_id
    with app.app_context(), statements() as seen:
        assert evidence_of(payment, owner=uuid4(), pages=2) is None
    assert any("FROM payments" in statement for statement in seen)
    assert not [statement for statement in seen if "webhook_deliveries" in statement]
    with app.app_context():
        assert evidence_of(payment, owner=owner, pages=2) is not None


def test_a_webhook_larger_than_is_searched_is_left_out(app: Flask, sql: Sql, reference: str) -> None:
    small = insert_webhook(sql, webhook(reference))
    large = insert_webhook(sql, webhook(reference, note="n" * 3000))
    with app.app_context():
        some = evidence_of(payment_id(sql, reference), pages=2, largest=3000)
        everything = evidence_of(payment_id(sql, reference), pages=2)
    assert some is not None
    assert everything is not None
    assert {row.id for row in some.webhooks} == {small}
    assert {row.id for row in everything.webhooks} == {small, large}


def test_a_webhook_that_waits_says_so(app: Flask, sql: Sql, reference: str) -> None:
    insert_webhook(sql, webhook(reference))
    insert_webhook(sql, webhook(reference, event_id="2"), attempts="2")
    _, new, tried = story(app, sql, reference)
    assert new.said == "It was filed unopened and answered at once. It waits for a worker."
    assert tried.said.endswith("It was tried twice so far.")
    assert new.took is tried.took is None


def test_what_we_asked_the_provider_is_part_of_it(app: Flask, sql: Sql, reference: str) -> None:
    log = [{"at": datetime.now(UTC).isoformat(), "question": "look-up", "answer": "paid"},
           {"at": datetime.now(UTC).isoformat(), "question": "cancel", "answer": "still open"}]  # fmt: skip
    sql("UPDATE payments SET look_up_log = CAST(:log AS jsonb), status = 'paid'", log=json.dumps(log))
    sql("""INSERT INTO payment_events (provider, event_id, payment_id, status, outcome, received_at)
        SELECT 'mock', 'lookup', id, 'paid', 'applied', now() + interval '1 second' FROM payments""")
    _, looked_up, canceled, learned = story(app, sql, reference)
    assert looked_up.said == "Nobody had told us, so we asked. The answer: paid."
    assert canceled.title == "We asked the provider to cancel it"
    assert learned.said == "It says paid: the payment moved from pending to paid."


def test_every_state_of_a_webhook_and_every_status_has_words() -> None:
    assert set(STATES) == {"received", "rejected", "applied", *UNDONE}
    assert list(EXPLAINED) == list(PaymentStatus)


@pytest.mark.parametrize("status", list(PaymentStatus))
def test_how_a_payment_stands(status: PaymentStatus) -> None:
    now = datetime.now(UTC)
    fresh = standing(_payment(status), last_news=now)
    late = standing(_payment(status), last_news=now - PATIENCE - timedelta(seconds=1))
    assert fresh.final == (status >= PaymentStatus.EXPIRED)
    assert fresh.retryable == (status is PaymentStatus.FAILED)
    assert fresh.payable == (status is PaymentStatus.PENDING)
    assert not fresh.waiting
    assert late.waiting == (status in {PaymentStatus.PENDING, PaymentStatus.PROCESSING})
    assert (late.title == "Still waiting") == late.waiting


def test_a_flag_is_explained_and_asks_for_no_second_payment() -> None:
    flagged = standing(_payment(PaymentStatus.PENDING, "mismatch"), last_news=datetime.now(UTC))
    assert flagged.title == "Somebody has to look at this"
    assert len(flagged.reviewed) == 1
    assert not flagged.payable
    twice = standing(_payment(PaymentStatus.PAID, "paid_after_close, paid_twice"), last_news=datetime.now(UTC))
    assert twice.title == "Paid. Thank you!"
    assert len(twice.reviewed) == 2


def test_the_street_shows_where_it_stands_and_what_came_too_late() -> None:
    events = [SimpleNamespace(status=status, outcome=outcome) for status, outcome in (
        ("paid", "applied"), ("failed", "stale"), ("failed", "stale"), ("reversed", "mismatch"))]  # fmt: skip
    places = {place.name: place for place in street(PaymentStatus.PAID, events)}
    assert list(places) == [status.value for status in PaymentStatus]
    assert [name for name, place in places.items() if place.here] == ["paid"]
    assert [name for name, place in places.items() if place.behind] == list(places)[:5]
    assert [name for name, place in places.items() if place.moved] == ["pending", "paid"]
    assert places["failed"].stale == 2
    assert places["reversed"].mismatch == 1


def _payment(status: PaymentStatus, review_reason: str | None = None) -> Any:
    return SimpleNamespace(status=status.value, review_reason=review_reason)


@pytest.mark.parametrize("status", [status.value for status in RefundStatus])
def test_a_refund_is_told_whatever_became_of_it(app: Flask, sql: Sql, reference: str, status: str) -> None:
    sql("UPDATE payments SET status = 'paid'")
    sql(
        """INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash)
        SELECT id, 7, user_id, 'key', '' FROM payments"""
    )
    sql("UPDATE refunds SET status = CAST(:status AS refund_status)", status=status)

    last = story(app, sql, reference)[-1]

    assert last.title == "7.00 USD to be given back"
    assert (last.state, last.said) == GIVEN_BACK[status]
