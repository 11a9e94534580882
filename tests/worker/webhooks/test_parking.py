"""Webhooks about payments that are not here yet wait for them, up to 72 hours."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import Messages, webhook_row
from tests.worker.scripted import ScriptedProvider, event
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import WebhookFailedError, process

HOURS_72 = 72 * 3600


def unknown() -> str:
    return f"mock_pi_{uuid4().hex}"


def move_payment_to(sql: Sql, reference: str) -> str:
    """A payment that appears under this reference."""
    sql("ALTER TABLE payments DISABLE TRIGGER USER")
    sql("UPDATE payments SET provider_ref = :to WHERE provider_ref = :was", to=reference, was=insert_payment(sql))
    sql("ALTER TABLE payments ENABLE TRIGGER USER")
    return reference


def park(sql: Sql, reference: str, **columns: str) -> UUID:
    delivery = insert_webhook(sql, webhook(reference, event_id=f"evt_{reference}"), **columns)
    process(str(delivery))
    return delivery


@pytest.mark.usefixtures("worker")
def test_a_webhook_about_an_unknown_payment_is_parked(sql: Sql) -> None:
    reference = unknown()

    delivery = park(sql, reference, received_at="now() - interval '1 hour'")

    row = webhook_row(sql, delivery)
    assert (row.state, row.attempts, row.provider_ref, row.processed_at) == ("parked", 0, reference, None)
    assert row.due_in == pytest.approx(HOURS_72 - 3600, abs=60)
    assert (row.next_attempt_at - row.received_at).total_seconds() == HOURS_72
    assert sql("SELECT count(*) FROM payment_events")[0].count == 0


@pytest.mark.usefixtures("worker")
def test_a_parked_webhook_is_applied_by_itself_once_its_payment_appears(sql: Sql, messages: Messages) -> None:
    reference = unknown()
    delivery = park(sql, reference)
    sweep()
    assert (str(delivery),) not in messages(), "its payment is not here yet"
    move_payment_to(sql, reference)

    sweep()

    assert (str(delivery),) in messages()
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")
    assert webhook_row(sql, delivery).attempts == 1


@pytest.mark.usefixtures("worker")
def test_a_payment_that_came_while_nobody_swept_is_found_by_the_walk(sql: Sql, messages: Messages) -> None:
    reference = unknown()
    delivery = park(sql, reference)
    others = [park(sql, unknown()) for _ in range(3)]
    move_payment_to(sql, reference)
    sql("UPDATE payments SET created_at = now() - interval '1 day'")

    for _ in range(3):  # wherever an earlier walk of this process stands: on to its end, back to the beginning, through
        sweep()

    assert (str(delivery),) in messages()
    assert [state_of(sql, other) for other in others] == ["parked"] * 3
    assert all(webhook_row(sql, other).due_in > HOURS_72 - 60 for other in others)


@pytest.mark.usefixtures("worker")
def test_the_payment_of_another_provider_brings_nothing_forward(sql: Sql) -> None:
    delivery = park(sql, unknown())
    reference = webhook_row(sql, delivery).provider_ref
    move_payment_to(sql, reference)
    sql("UPDATE webhook_deliveries SET provider = 'stripe'")

    sweep()
    sweep()

    assert webhook_row(sql, delivery).due_in > HOURS_72 - 60


@pytest.mark.usefixtures("worker")
def test_a_webhook_parked_for_72_hours_about_our_payment_fails(sql: Sql) -> None:
    """As a failed task of its own, so that an operator sees it."""
    reference = unknown()
    delivery = park(sql, reference)
    sql("UPDATE webhook_deliveries SET received_at = now() - interval '72 hours', next_attempt_at = now()")

    with pytest.raises(WebhookFailedError, match=str(delivery)):
        process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.state, row.next_attempt_at) == ("failed", None)
    assert str(UUID(reference.removeprefix("mock_pi_"))) in row.detail


@pytest.mark.usefixtures("worker")
def test_one_that_fails_does_not_say_that_a_payment_under_another_reference_is_not_here(sql: Sql) -> None:
    reference = unknown()
    own_id = UUID(reference.removeprefix("mock_pi_"))
    insert_payment(sql)
    sql("""
        INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency)
        SELECT :id, user_id, provider, 'mock_pi_other', amount, currency FROM payments
    """, id=own_id)  # fmt: skip
    delivery = park(sql, reference)
    sql("UPDATE webhook_deliveries SET received_at = now() - interval '72 hours', next_attempt_at = now()")

    with pytest.raises(WebhookFailedError):
        process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.provider_ref, row.detail) == (reference, f"its payment {own_id} never came under this reference")


@pytest.mark.usefixtures("worker")
def test_a_webhook_parked_for_72_hours_about_anothers_payment_is_ignored(sql: Sql) -> None:
    delivery = park(sql, "pi_of_another_service")
    sql("UPDATE webhook_deliveries SET received_at = now() - interval '72 hours', next_attempt_at = now()")

    process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.state, row.next_attempt_at, row.provider_ref) == ("ignored", None, "pi_of_another_service")
    assert row.detail == "not_ours: of a payment that another service opened"


@pytest.mark.usefixtures("worker")
def test_a_webhook_found_after_72_hours_in_the_receiver_is_still_applied(sql: Sql) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference), received_at="now() - interval '80 hours'")

    process(str(delivery))

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")


@pytest.mark.usefixtures("worker")
def test_a_parked_webhook_that_is_due_takes_no_neighbours(sql: Sql) -> None:
    """It was tried before, though its attempt was given back."""
    delivery = park(sql, unknown())
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    neighbour = insert_webhook(sql, webhook(insert_payment(sql)))

    process(str(delivery))

    assert [state_of(sql, delivery), state_of(sql, neighbour)] == ["parked", "received"]


def test_of_several_unknown_payments_one_of_ours_decides(sql: Sql, scripted: ScriptedProvider) -> None:
    ours = uuid4()
    body = b'{"items": 2}'
    scripted.webhooks[body] = [event("theirs", "paid"), event("ours", "paid", payment_id=ours)]
    delivery = insert_webhook(
        sql, body, state="'parked'", received_at="now() - interval '73 hours'", next_attempt_at="now()"
    )

    with pytest.raises(WebhookFailedError, match=str(ours)):
        process(str(delivery))

    assert (state_of(sql, delivery), webhook_row(sql, delivery).provider_ref) == ("failed", "ours")


def test_a_batch_waits_for_each_of_its_payments(sql: Sql, scripted: ScriptedProvider) -> None:
    known, first, second = insert_payment(sql), unknown(), unknown()
    body = b'{"items": 3}'
    scripted.webhooks[body] = [
        event(reference, "paid", event_id=f"evt_{index}") for index, reference in enumerate([first, known, second])
    ]
    delivery = insert_webhook(sql, body)

    for reference in [first, second]:
        process(str(delivery))
        assert (state_of(sql, delivery), webhook_row(sql, delivery).provider_ref) == ("parked", reference)
        assert status_of(sql, known) == "paid", "what is known is applied at once"
        move_payment_to(sql, reference)
        sweep()
    process(str(delivery))

    assert state_of(sql, delivery) == "applied"
    assert {row.status for row in sql("SELECT status::text FROM payments")} == {"paid"}
    assert sql("SELECT count(*) FROM payment_events")[0].count == 3
