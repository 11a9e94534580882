"""A timeline in a customer's words: every way in which a webhook, an event or a question can end has its sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.delivery_states import DeliveryState
from checkout_service.oversight.entries import PaymentEventRecorded, WebhookReceived
from checkout_service.oversight.payment_history import FOUND, PaymentNow
from checkout_service.oversight.timeline import Timeline, timeline_of
from checkout_service.pages.amounts import form_of
from checkout_service.pages.payment_status import PATIENCE, Around, Headline
from checkout_service.pages.payment_status import headline as headline_of
from checkout_service.pages.status_steps import EXPLAINED, status_steps
from checkout_service.pages.timeline_phrases import REFUNDED, WITHOUT_EVENTS, CustomerPhrase, phrases
from checkout_service.payments.outcomes import EventOutcome
from checkout_service.payments.status import PaymentStatus, RefundStatus
from tests.conftest import Sql, Statements
from tests.money import attempt, bring_to, capture, fold
from tests.oversight.conftest import InWorker, add_session, in_worker
from tests.webhook_bodies import insert_payment, insert_webhook, name_in_webhooks, webhook
from worker.webhooks.task import process

__all__ = ["in_worker"]

WRITE = form_of("en").write


def headline(payment: PaymentNow, *, last_moved_at: datetime | None = None, **known: Any) -> Headline:
    return headline_of(payment, around=Around(last_moved_at=last_moved_at or datetime.now(UTC), **known), write=WRITE)


@pytest.fixture
def reference(sql: Sql) -> str:
    found = insert_payment(sql)
    add_session(sql, payment_id(sql, found))
    return found


def payment_id(sql: Sql, reference: str) -> UUID:
    found: UUID = sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)[0].id
    return found


def phrases_of(app: Flask, sql: Sql, reference: str) -> list[CustomerPhrase]:
    with app.app_context():
        timeline = timeline_of(payment_id(sql, reference), pages=2)
    assert timeline is not None
    return phrases(timeline, write=WRITE)


def webhooks_in(timeline: Timeline) -> set[UUID]:
    return {entry.delivery_id for entry in timeline.entries if isinstance(entry, WebhookReceived)}


def came(sql: Sql, in_worker: InWorker, body: bytes) -> None:
    in_worker(process, str(insert_webhook(sql, body)))


def test_what_each_webhook_did_is_in_a_sentence(app: Flask, sql: Sql, in_worker: InWorker, reference: str) -> None:
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

    opened, *webhooks, disputed = phrases_of(app, sql, reference)

    assert (disputed.title, disputed.text) == ("The payment was disputed", "Your bank took $240.00 back.")
    assert opened.text == "$240.00 for 2 lines of the cart. The payment was opened at the provider and is pending."
    assert [(entry.badge, entry.title, entry.text) for entry in webhooks] == [
        ("applied", "A webhook said “processing”",
         "It is verified. It says processing, and that was written down."),
        ("duplicate", "The same webhook arrived again",
         "It is verified, but it says what we knew already. It counts once, not twice."),
        ("applied", "A webhook said “paid”",
         "It is verified. It says paid with $1.00, and that was written down."),
        ("rejected", "An unverified webhook arrived",
         ("It is unverified: the signature is not ours. Somebody else may have sent it, or our own secret may be "
          "wrong. Nothing in it was believed.")),
        ("applied", "A webhook said “paid”",
         "It is verified. It says paid with $240.00, and that was written down."),
        ("stale", "A webhook said “failed”",
         "It is verified. It says failed, which we knew already or which came too late to change anything."),
        ("applied", "A webhook said “reversed”",
         "It is verified. It says reversed, and that was written down."),
    ]  # fmt: skip
    assert all(entry.took is not None and entry.took < timedelta(seconds=10) for entry in webhooks)
    assert [entry.at for entry in webhooks] == sorted(entry.at for entry in webhooks)


def test_the_sentence_of_an_event_leaves_out_what_it_does_not_say(
    app: Flask, sql: Sql, in_worker: InWorker, reference: str
) -> None:
    came(sql, in_worker, webhook(reference, "partially_paid", event_id="evt_1", amount="40.00", currency="USD"))
    came(sql, in_worker, webhook(reference, "paid", event_id="evt_2", amount="240.00"))
    came(
        sql, in_worker, webhook(reference, "won", event_id="evt_3", dispute_ref="dp_1", amount="40.00", currency="USD")
    )

    _, part, paid, news, _ = phrases_of(app, sql, reference)

    assert part.title == "A webhook said “partially paid”"
    assert part.text == "It is verified. It says partially paid with $40.00, and that was written down."
    assert paid.text == "It is verified. It says paid with 240.00, and that was written down."
    assert news.text == "It is verified. It tells of $40.00, and that was written down."


def test_what_is_released_of_a_collected_attempt_was_not_called_off(app: Flask, sql: Sql, reference: str) -> None:
    payment = payment_id(sql, reference)
    for ref in ("at_1", "at_2"):
        attempt(sql, payment, "canceled", ref=ref, authorized="240")
    capture(sql, payment, "cp_1", "120", attempt_ref="at_1")
    fold(sql, payment)

    shown = {entry.key: (entry.badge, entry.text) for entry in phrases_of(app, sql, reference)}

    assert shown["attempt-at_1"] == ("applied", "Money was collected of it. What was left is not held back any more.")
    assert shown["attempt-at_2"] == ("canceled", "It was called off.")


def test_no_webhook_is_searched_for_another_than_the_owner(
    app: Flask, sql: Sql, reference: str, statements: Statements
) -> None:
    payment = payment_id(sql, reference)
    owner = sql("SELECT user_id FROM payments WHERE id = :id", id=payment)[0].user_id
    with app.app_context(), statements() as seen:
        assert timeline_of(payment, owner=uuid4(), pages=2) is None
    assert any("FROM payments" in statement for statement in seen)
    assert not [statement for statement in seen if "webhook_deliveries" in statement]
    with app.app_context():
        assert timeline_of(payment, owner=owner, pages=2) is not None


def test_a_webhook_larger_than_is_searched_is_left_out(app: Flask, sql: Sql, reference: str) -> None:
    small = insert_webhook(sql, webhook(reference))
    large = insert_webhook(sql, webhook(reference, note="n" * 3000))
    with app.app_context():
        some = timeline_of(payment_id(sql, reference), pages=2, largest=3000)
        everything = timeline_of(payment_id(sql, reference), pages=2)
    assert some is not None
    assert everything is not None
    assert webhooks_in(some) == {small}
    assert webhooks_in(everything) == {small, large}


def test_a_look_ends_where_it_has_searched_or_found_enough_and_goes_on_from_there(
    app: Flask, sql: Sql, reference: str
) -> None:
    """Each statement searches so many bytes and finds so many webhooks; none is passed over on the way."""
    payment = payment_id(sql, reference)
    name_in_webhooks(sql, 40, filler=250 * 1024)
    name_in_webhooks(sql, FOUND + 5)
    counts, place = [], None
    with app.app_context():
        everything = timeline_of(payment)
        for _ in range(10):
            look = timeline_of(payment, pages=1, after=place)
            assert look is not None
            counts.append(len(webhooks_in(look)))
            place = look.looked_until
            if place is None:
                break
        small = timeline_of(payment, pages=1, largest=16 * 1024)

    assert everything is not None
    assert len(webhooks_in(everything)) == FOUND + 45
    assert counts[0] == 8 * 2**20 // (250 * 1024) + 1
    assert counts[1] == FOUND
    assert sum(counts) == FOUND + 45
    assert small is not None
    assert len(webhooks_in(small)) == FOUND, "what is too large to be searched is passed, and costs nothing"


def test_a_webhook_that_waits_says_so(app: Flask, sql: Sql, reference: str) -> None:
    insert_webhook(sql, webhook(reference))
    insert_webhook(sql, webhook(reference, event_id="2"), attempts="2")
    _, new, tried = phrases_of(app, sql, reference)
    assert new.text == "It was stored as it came and answered at once. It waits for a worker."
    assert tried.text.endswith("It was tried twice so far.")
    assert new.took is tried.took is None


def test_what_we_queried_the_provider_is_part_of_it(app: Flask, sql: Sql, reference: str) -> None:
    log = [{"at": datetime.now(UTC).isoformat(), "question": "look-up", "answer": "paid"},
           {"at": datetime.now(UTC).isoformat(), "question": "cancel", "answer": "still open"}]  # fmt: skip
    sql("UPDATE payments SET look_up_log = CAST(:log AS jsonb)", log=json.dumps(log))
    sql("""INSERT INTO payment_events (provider, event_id, payment_id, status, outcome, received_at)
        SELECT 'mock', 'lookup', id, 'paid', 'applied', now() + interval '1 second' FROM payments""")
    _, looked_up, canceled, learned = phrases_of(app, sql, reference)
    assert looked_up.text == "Nobody had reported to us, so we asked. The answer: paid."
    assert canceled.title == "We asked the provider to cancel it"
    assert learned.text == "It says paid, and that was written down."


def test_every_state_of_a_webhook_and_every_status_has_words() -> None:
    assert {state.value for state in DeliveryState} == {"received", "rejected", "applied", *WITHOUT_EVENTS}
    assert list(EXPLAINED) == list(PaymentStatus)


@pytest.mark.parametrize("status", list(PaymentStatus))
def test_the_headline_of_each_status(status: PaymentStatus) -> None:
    now = datetime.now(UTC)
    payment = _payment(status, amount_captured=Decimal(100) if status.money_came else Decimal(0))
    fresh = headline(payment, last_moved_at=now)
    late = headline(payment, last_moved_at=now - PATIENCE - timedelta(seconds=1))
    assert fresh.final == (status >= PaymentStatus.EXPIRED)
    assert fresh.retryable == (status is PaymentStatus.FAILED)
    assert fresh.payable == (status is PaymentStatus.PENDING)
    assert not fresh.waiting
    assert late.waiting == (status in {PaymentStatus.PENDING, PaymentStatus.PROCESSING})
    assert (late.title == "Still waiting") == late.waiting


def test_a_flag_is_explained_and_asks_for_no_second_payment() -> None:
    now = datetime.now(UTC)
    flagged = headline(_payment(PaymentStatus.PENDING, review_reason="mismatch"), last_moved_at=now)
    assert flagged.title == "Somebody has to look at this"
    assert len(flagged.reviewed) == 1
    assert not flagged.payable
    twice = headline(_payment(PaymentStatus.PAID, review_reason="paid_after_close, paid_twice"), last_moved_at=now)
    assert twice.title == "Paid. Thank you!"
    assert len(twice.reviewed) == 2


@pytest.mark.parametrize(
    ("refunded", "lost", "title"),
    [
        ("240", "0", "Refunded"),
        ("200", "40", "Refunded"),
        ("40", "0", "Paid, and partly refunded"),
        ("0", "0", "Paid. Thank you!"),
    ],
)
def test_a_refunded_payment_says_so_in_its_headline(refunded: str, lost: str, title: str) -> None:
    payment = _payment(
        PaymentStatus.PAID,
        amount_captured=Decimal(240),
        amount_refunded=Decimal(refunded),
        amount_lost=Decimal(lost),
    )
    found = headline(payment, last_moved_at=datetime.now(UTC))
    assert found.title == title
    assert (f"${refunded}.00" in found.meaning) == (refunded != "0")


def test_a_part_of_the_money_is_shown_with_both_amounts() -> None:
    payment = _payment(PaymentStatus.PARTIALLY_PAID, amount_captured=Decimal(200), amount_refunded=Decimal(10))
    assert headline(payment, last_moved_at=datetime.now(UTC)).meaning == (
        "$10.00 of what you paid was given back. $200.00 of $240.00 came so far."
    )


@pytest.mark.parametrize(
    ("status", "reported", "drawn"),
    [
        ("pending", [], ["pending", "paid"]),
        ("paid", ["processing", "paid"], ["pending", "processing", "paid"]),
        ("processing", ["failed", "processing"], ["pending", "processing", "paid"]),
        ("paid", ["failed", "authorized", "paid"], ["pending", "failed", "authorized", "paid"]),
        ("canceled", ["canceled"], ["pending", "canceled"]),
        ("reversed", ["paid", "reversed"], ["pending", "paid", "reversed"]),
        ("authorized", ["authorized"], ["pending", "authorized", "paid"]),
    ],
)
def test_only_statuses_on_the_way_are_drawn(status: str, reported: list[str], drawn: list[str]) -> None:
    steps = status_steps(PaymentStatus(status), [_event(each, "applied") for each in reported])
    assert [step.name for step in steps] == drawn
    assert [step.name for step in steps if step.current] == [status]
    assert [step.reached for step in steps] == [PaymentStatus(name) <= PaymentStatus(status) for name in drawn]


@pytest.mark.parametrize("outcome", ["mismatch", "stale"])
def test_what_does_not_fit_or_came_too_late_is_no_step(outcome: str) -> None:
    steps = status_steps(PaymentStatus.PAID, [_event("processing", outcome), _event("failed", outcome)])
    assert [step.name for step in steps] == ["pending", "paid"]


def _payment(status: PaymentStatus, **values: Any) -> PaymentNow:
    zero = Decimal(0)
    columns: dict[str, Any] = {
        "id": uuid4(), "user_id": uuid4(), "provider": "mock", "provider_ref": "mock_pi_1", "amount": Decimal(240),
        "currency": "USD", "amount_captured": zero, "amount_lost": zero, "amount_blocked": zero,
        "amount_authorized": zero, "amount_accepted": None, "amount_refunded": zero, "amount_refunding": zero,
        "under_way": False, "authorization_expires_at": None, "version": 1, "review_reason": None, "duplicates": (),
        "created_at": datetime.now(UTC), "next_look_up_at": None, "look_ups": 0,
        "order": None, "without_order": None,
    }  # fmt: skip
    return PaymentNow(status=status, **columns | values)


def _event(status: str, outcome: str) -> PaymentEventRecorded:
    return PaymentEventRecorded(
        at=datetime.now(UTC),
        event_id="evt_1",
        delivery_id=None,
        status=PaymentStatus(status),
        amount=None,
        currency=None,
        outcome=EventOutcome(outcome),
        occurred_at=None,
    )


@pytest.mark.parametrize("status", list(RefundStatus))
def test_every_status_of_a_refund_has_words(app: Flask, sql: Sql, reference: str, status: RefundStatus) -> None:
    bring_to(sql, payment_id(sql, reference), "paid")
    sql(
        """INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash)
        SELECT id, 7, user_id, 'key', '' FROM payments"""
    )
    sql("UPDATE refunds SET status = CAST(:status AS refund_status)", status=status.value)

    last = phrases_of(app, sql, reference)[-1]

    assert last.title == "$7.00 to be given back"
    assert (last.badge, last.text) == REFUNDED[status]
