"""A ``paid`` about other money than ours moves nothing, flags the payment, and is judged again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import webhook_row
from tests.worker.scripted import ScriptedProvider, event
from tests.worker.transitions.entered import see_all_reasons
from worker.webhooks.task import process

UNCOUNTED = {
    "currency": {"amount": "240.00", "currency": "EUR"},
    "no amount at all": {"amount": "0.00", "currency": "USD"},
    "currency alone": {"currency": "EUR"},
}
"""Money that cannot be counted."""


def outcomes(sql: Sql) -> list[str]:
    return [row.outcome for row in sql("SELECT outcome FROM payment_events ORDER BY id")]


def reason(sql: Sql, reference: str) -> str | None:
    return sql("SELECT review_reason FROM payments WHERE provider_ref = :reference", reference=reference)[0][0]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("money", UNCOUNTED.values(), ids=UNCOUNTED.keys())
def test_money_that_cannot_be_counted_is_a_mismatch(sql: Sql, money: dict[str, str]) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference, event_id="evt_1", **money))

    process(str(delivery))

    assert status_of(sql, reference) == "pending"
    assert reason(sql, reference) == "mismatch"
    assert outcomes(sql) == ["mismatch"]
    assert state_of(sql, delivery) == "applied"
    assert webhook_row(sql, delivery).detail.startswith("mismatch")


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("amount", "status", "why"), [("239.99", "partially_paid", "mismatch"), ("240.01", "paid", "overpaid")]
)
def test_another_amount_than_was_due_is_entered_and_flagged(sql: Sql, amount: str, status: str, why: str) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference, event_id="evt_1", amount=amount, currency="USD"))

    process(str(delivery))

    assert (status_of(sql, reference), reason(sql, reference)) == (status, why)
    assert (outcomes(sql), state_of(sql, delivery)) == (["applied"], "applied")
    assert [str(row.amount_captured) for row in sql("SELECT amount_captured FROM payments")] == [amount]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("money", [{}, {"amount": "240"}, {"currency": "USD"}, {"amount": "240.0", "currency": "USD"}])
def test_the_mock_provider_may_leave_money_out(sql: Sql, money: dict[str, str]) -> None:
    reference = insert_payment(sql)

    process(str(insert_webhook(sql, webhook(reference, **money))))

    assert (status_of(sql, reference), reason(sql, reference)) == ("paid", None)


@pytest.mark.usefixtures("worker")
def test_only_paid_is_judged_by_its_money(sql: Sql) -> None:
    reference = insert_payment(sql)

    process(str(insert_webhook(sql, webhook(reference, "failed", amount="1.00", currency="EUR"))))

    assert (status_of(sql, reference), reason(sql, reference)) == ("failed", None)


@pytest.mark.usefixtures("worker")
def test_a_mismatch_redelivered_right_is_applied(sql: Sql) -> None:
    reference = insert_payment(sql)
    wrong = insert_webhook(sql, webhook(reference, event_id="evt_1", amount="240.00", currency="EUR"))
    process(str(wrong))
    right = insert_webhook(sql, webhook(reference, event_id="evt_1", amount="240.00", currency="USD"))

    process(str(right))

    assert status_of(sql, reference) == "paid"
    assert outcomes(sql) == ["applied"]
    assert reason(sql, reference) == "mismatch", "a person still has to look at it"
    assert (state_of(sql, right), webhook_row(sql, right).detail) == ("applied", None)


@pytest.mark.usefixtures("worker")
def test_a_mismatch_redelivered_wrong_stays_one(sql: Sql) -> None:
    reference = insert_payment(sql)
    body = webhook(reference, event_id="evt_1", amount="240.00", currency="EUR")
    process(str(insert_webhook(sql, body)))
    again = insert_webhook(sql, body)

    process(str(again))

    assert state_of(sql, again) == "applied"
    assert webhook_row(sql, again).detail.startswith("mismatch"), "its bytes were not remembered, but judged"
    assert (status_of(sql, reference), outcomes(sql)) == ("pending", ["mismatch"])
    assert sql("SELECT count(*) FROM payment_notices")[0].count == 1, "an echo is no second notice"


@pytest.mark.usefixtures("worker")
def test_a_mismatch_that_comes_after_the_right_one_is_a_duplicate(sql: Sql) -> None:
    reference = insert_payment(sql)
    process(str(insert_webhook(sql, webhook(reference, event_id="evt_1", amount="240.00", currency="USD"))))
    late = insert_webhook(sql, webhook(reference, event_id="evt_1", amount="240.00", currency="EUR"))

    process(str(late))

    assert state_of(sql, late) == "duplicate"
    assert (status_of(sql, reference), reason(sql, reference), outcomes(sql)) == ("paid", None, ["applied"])


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("order", [("EUR", "USD"), ("USD", "EUR")])
def test_right_and_wrong_in_one_set_is_paid(sql: Sql, order: tuple[str, str]) -> None:
    reference = insert_payment(sql)
    deliveries = [
        insert_webhook(sql, webhook(reference, event_id="evt_1", amount="240.00", currency=currency))
        for currency in order
    ]

    process(str(deliveries[0]))

    assert status_of(sql, reference) == "paid"
    assert outcomes(sql) == ["applied"]
    assert sorted(state_of(sql, delivery) for delivery in deliveries) == ["applied", "duplicate"]


@pytest.mark.usefixtures("worker")
def test_a_mismatched_event_that_now_says_something_else_is_no_news(sql: Sql) -> None:
    """The event's row says ``paid``; it must not be told as applied because another status came under its id."""
    reference = insert_payment(sql)
    process(str(insert_webhook(sql, webhook(reference, event_id="evt_1", amount="240.00", currency="EUR"))))
    other = insert_webhook(sql, webhook(reference, "failed", event_id="evt_1"))

    process(str(other))

    assert (state_of(sql, other), status_of(sql, reference), outcomes(sql)) == ("duplicate", "pending", ["mismatch"])


def test_a_mismatch_processed_again_is_judged_again(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, b"{}")
    scripted.webhooks[b"{}"] = [event(reference, "paid", event_id="evt_1", amount_required=True)]
    process(str(delivery))
    assert webhook_row(sql, delivery).detail.startswith("mismatch"), "money that was asked for was left out"
    assert (status_of(sql, reference), reason(sql, reference)) == ("pending", "mismatch")

    scripted.webhooks[b"{}"] = [event(reference, "paid", event_id="evt_1", amount=Decimal("240.00"), currency="USD")]
    process(str(delivery))

    assert (state_of(sql, delivery), webhook_row(sql, delivery).detail) == ("applied", None)
    assert (status_of(sql, reference), outcomes(sql)) == ("paid", ["applied"])
    before = webhook_row(sql, delivery)
    process(str(delivery))
    assert webhook_row(sql, delivery) == before, "once it is judged right it is done"


@pytest.mark.usefixtures("worker")
def test_a_mismatch_that_a_person_has_seen_is_not_flagged_again_by_its_echo(sql: Sql) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference, event_id="evt_1", amount="200.00", currency="USD"))
    process(str(delivery))
    see_all_reasons(sql)

    process(str(delivery))
    assert (reason(sql, reference), status_of(sql, reference)) == (None, "partially_paid")

    process(str(insert_webhook(sql, webhook(reference, event_id="evt_2", amount="199.99", currency="USD"))))
    assert reason(sql, reference) is None, "no more came than was seen"
    process(str(insert_webhook(sql, webhook(reference, event_id="evt_3", amount="239.99", currency="USD"))))
    assert reason(sql, reference) == "mismatch", "new money is news"
