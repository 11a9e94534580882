"""A provider that leaves calls without an answer is left alone for a while, and no task waits for it meanwhile."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from checkout_service.cache import cache
from checkout_service.providers.base import Decline, ProviderRefusedError, ProviderUnavailableError, UnreadableError
from tests.conftest import Sql
from tests.refunding import insert_refund, make_due, paid_payment, refund_event, refund_row
from tests.webhook_bodies import insert_payment, insert_webhook, state_of
from tests.worker.conftest import MakeWorker, Messages, webhook_row
from tests.worker.scripted import ScriptedProvider, thin_event
from worker.payments import sweeping
from worker.payments.cancelling import cancel
from worker.payments.look_ups import look_up
from worker.payments.sweeping import sweep
from worker.refunds.task import refund
from worker.unanswered import IN_A_ROW
from worker.webhooks.task import process

NO_ANSWER = ProviderUnavailableError("no answer")


def ask_for_refunds(sql: Sql, count: int) -> list[tuple[UUID, str]]:
    """Refunds of as many payments, each with its payment's reference."""
    payments = [paid_payment(sql) for _ in range(count)]
    return [(insert_refund(sql, payment), reference) for payment, reference in payments]


def ask_to_cancel(sql: Sql, reference: str) -> UUID:
    """Its customer asks to call this payment off; the payment's id."""
    (row,) = sql(
        """INSERT INTO cancel_requests (payment_id, requested_by) SELECT id, user_id FROM payments
        WHERE provider_ref = :reference RETURNING payment_id""",
        reference=reference,
    )
    return UUID(str(row.payment_id))


@pytest.fixture
def away(sql: Sql, scripted: ScriptedProvider) -> ScriptedProvider:
    """A provider that three refunds were asked for in vain."""
    for refund_id, _ in ask_for_refunds(sql, IN_A_ROW):
        scripted.refunds[refund_id] = NO_ANSWER
        assert refund(str(refund_id)) == "later: unavailable: no answer"
    scripted.refunded.clear()
    return scripted


def end_of_pause() -> None:
    cache().release("away:mock")


def test_what_waits_for_it_is_put_off_without_a_call(sql: Sql, away: ScriptedProvider) -> None:
    ((waiting, _),) = ask_for_refunds(sql, 1)

    assert refund(str(waiting)).startswith("later: unavailable: not called")

    row = refund_row(sql, waiting)
    assert (away.refunded, row.now, row.sent_at) == ([], "requested", None)
    assert row.next_attempt_at is not None


def test_after_the_pause_one_call_tries_again_and_an_answer_ends_it(sql: Sql, away: ScriptedProvider) -> None:
    (first, reference), (second, _) = ask_for_refunds(sql, 2)
    away.refunds[first] = NO_ANSWER
    end_of_pause()
    assert refund(str(first)) == "later: unavailable: no answer"
    assert refund(str(second)).startswith("later: unavailable: not called"), "it is away again, by one call"

    end_of_pause()
    make_due(sql)
    assert refund(str(second)).startswith("later: unavailable: not called"), "another one tried just now"
    cache().release("trial:mock")
    make_due(sql)
    away.refunds[first] = [refund_event(reference, "succeeded", refund_id=first)]
    assert refund(str(first)) == "succeeded"

    third, fourth = (refund_id for refund_id, _ in ask_for_refunds(sql, 2))
    for refund_id in (third, fourth):
        assert refund(str(refund_id)) == "later: the provider says nothing about it"


@pytest.mark.parametrize(
    "answer",
    [ProviderRefusedError("no", reason=Decline.NOT_IN_THIS_STATE), UnreadableError("a page")],
    ids=["refused", "not understood"],
)
@pytest.mark.parametrize("of", ["refund", "look-up", "news"])
def test_an_answer_that_helps_nobody_is_one_too(sql: Sql, away: ScriptedProvider, of: str, answer: Exception) -> None:
    """Else one task in 20 s would call a provider that answers all of them."""
    end_of_pause()
    reference = insert_payment(sql)
    away.truths[reference] = answer
    if of == "refund":
        ((refund_id, _),) = ask_for_refunds(sql, 1)
        away.refunds[refund_id] = answer
        refund(str(refund_id))
    elif of == "look-up":
        sql("UPDATE payments SET next_look_up_at = now() WHERE provider_ref = :reference", reference=reference)
        look_up()
    else:
        body = uuid4().hex.encode()
        away.webhooks[body] = [thin_event(reference)]
        process(str(insert_webhook(sql, body)))

    assert not cache().known(["failing:mock", "trial:mock"])


def test_every_process_leaves_it_alone_and_other_providers_are_called(
    sql: Sql, make_worker: MakeWorker, scripted: ScriptedProvider
) -> None:
    deployment = uuid4()
    first, second = (make_worker(payment_namespace=deployment) for _ in range(2))
    for app in (first, second):
        app.extensions["providers"] = {"mock": scripted, "mollie": scripted}
    references = [insert_payment(sql) for _ in range(IN_A_ROW + 1)]
    scripted.cancellations = dict.fromkeys(references, NO_ANSWER)
    elsewhere = insert_payment(sql, provider="mollie")
    *tried, left, other = (ask_to_cancel(sql, reference) for reference in [*references, elsewhere])

    with first.app_context():
        for payment_id in tried:
            cancel(str(payment_id))
    with second.app_context():
        cancel(str(left))
        cancel(str(other))

    assert scripted.canceled == [*references[:-1], elsewhere]


def test_one_payment_that_is_never_answered_for_is_its_own_fault(sql: Sql, scripted: ScriptedProvider) -> None:
    ((cursed, _),) = ask_for_refunds(sql, 1)
    scripted.refunds[cursed] = NO_ANSWER
    for _ in range(IN_A_ROW + 1):
        refund(str(cursed))
        make_due(sql)
    ((other, _),) = ask_for_refunds(sql, 1)

    assert refund(str(other)) == "later: the provider says nothing about it"


def test_an_answer_between_begins_the_count_anew(sql: Sql, scripted: ScriptedProvider) -> None:
    for place, (refund_id, _) in enumerate(ask_for_refunds(sql, 2 * IN_A_ROW)):
        if place % IN_A_ROW:
            scripted.refunds[refund_id] = NO_ANSWER
        assert not refund(str(refund_id)).startswith("later: unavailable: not called")


def test_a_cancellation_and_news_that_need_a_look_up_wait_for_nobody_either(sql: Sql, away: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    assert cancel(str(ask_to_cancel(sql, reference))) == "the payment is still pending"
    assert away.canceled == []

    body = uuid4().hex.encode()
    away.webhooks[body] = [thin_event(reference)]
    delivery = insert_webhook(sql, body)
    process(str(delivery))
    assert (away.looked_up, state_of(sql, delivery), webhook_row(sql, delivery).attempts) == ([], "received", 1)


def test_look_ups_that_are_answered_end_it(sql: Sql, away: ScriptedProvider) -> None:
    insert_payment(sql)
    sql("UPDATE payments SET next_look_up_at = now() WHERE status = 'pending'")
    assert look_up() == "asked about 1 payments, learned 0 events"
    ((waiting, _),) = ask_for_refunds(sql, 1)

    assert refund(str(waiting)) == "later: the provider says nothing about it"


def test_news_about_many_payments_at_a_provider_that_is_away_call_it_three_times(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    references = [insert_payment(sql) for _ in range(3 * IN_A_ROW)]
    scripted.truths = dict.fromkeys(references, NO_ANSWER)
    for reference in references:
        scripted.webhooks[reference.encode()] = [thin_event(reference)]
        delivery = insert_webhook(sql, reference.encode())

    process(str(delivery))

    assert len(scripted.looked_up) == IN_A_ROW
    assert {row.state for row in sql("SELECT state FROM webhook_deliveries")} == {"received"}


@pytest.mark.usefixtures("worker")
def test_a_sweep_sends_in_turn_by_provider_and_by_customer(sql: Sql, messages: Messages) -> None:
    """Of each kind each provider's first, and at each provider each customer's first."""
    customer = uuid4()
    of_one = [insert_refund(sql, paid_payment(sql, owner=customer)[0]) for _ in range(5)]
    ((of_another, _),) = ask_for_refunds(sql, 1)
    here = [ask_to_cancel(sql, insert_payment(sql)) for _ in range(5)]
    elsewhere = ask_to_cancel(sql, insert_payment(sql, provider="mollie"))
    make_due(sql)
    sql("UPDATE refunds SET next_attempt_at = now() - interval '1 hour' WHERE id = ANY(:all)", all=of_one)
    sql("UPDATE cancel_requests SET next_attempt_at = now() - interval '1 hour' WHERE payment_id = ANY(:all)", all=here)

    assert sweep() == "sent 12 of 12 that are due"

    sent = [UUID(argument) for (argument,) in messages("payments")]
    assert [each for each in sent if each in {*of_one, of_another}].index(of_another) == 1
    assert [each for each in sent if each in {*here, elsewhere}].index(elsewhere) == 1


@pytest.mark.usefixtures("worker")
def test_a_sweep_sends_so_many_of_each_kind(sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = sweeping._due.text.replace(f"place_of_all <= {sweeping.STEP}", "place_of_all <= 2")
    monkeypatch.setattr(sweeping, "_due", sweeping.text(fewer))
    ask_for_refunds(sql, 3)
    for _ in range(3):
        ask_to_cancel(sql, insert_payment(sql))
    make_due(sql)

    assert sweep() == "sent 4 of 4 that are due"
