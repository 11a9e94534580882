"""Events about refunds: in whatever order they come, each refund moves forward along its status order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from checkout_service.database.engine import transaction
from checkout_service.payments.status import RefundStatus
from checkout_service.providers.base import Decline, ProviderEvent, ProviderRefundEvent
from tests.conftest import Sql, Statements
from tests.refunding import insert_refund, paid_payment, refund_event, refund_row, sums
from tests.webhook_bodies import insert_payment, status_of
from tests.worker.scripted import event as provider_event
from worker.transitions.outcomes import Outcome, ReceivedEvent
from worker.transitions.recording import record

pytestmark = pytest.mark.usefixtures("worker")


def enter(*provider_events: ProviderEvent | ProviderRefundEvent, age: timedelta = timedelta(0)) -> list[Outcome]:
    """Record the events as one set; the outcomes of those about refunds."""
    at = datetime.now(UTC) - age
    with transaction() as connection:
        recorded = record(connection, [ReceivedEvent(each, at) for each in provider_events])
    pairs = zip(provider_events, recorded.effects, strict=True)
    return [effect.outcome for each, effect in pairs if isinstance(each, ProviderRefundEvent)]


def reason(sql: Sql, reference: str) -> str | None:
    return sql("SELECT review_reason FROM payments WHERE provider_ref = :reference", reference=reference)[0][0]


def test_a_refund_of_ours_is_found_by_our_id_and_then_by_the_providers(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment)

    assert enter(refund_event(reference, "processing", refund_id=refund)) == [Outcome.APPLIED]
    row = refund_row(sql, refund)
    assert (row.now, row.provider_ref) == ("processing", "re_1")
    assert row.due_in == pytest.approx(600, abs=5), "looked up in case its webhook is lost"

    assert enter(refund_event(reference, "succeeded")) == [Outcome.APPLIED]
    assert (refund_row(sql, refund).now, refund_row(sql, refund).next_attempt_at) == ("succeeded", None)
    assert sums(sql, payment) == ("40.00", "0.00")
    events = sql("SELECT refund_id, status::text, outcome FROM refund_events ORDER BY id")
    assert [tuple(event) for event in events] == [(refund, "processing", "applied"), (refund, "succeeded", "applied")]


def test_a_refund_made_in_the_dashboard_appears(sql: Sql) -> None:
    payment, reference = paid_payment(sql)

    assert enter(refund_event(reference, "succeeded"), refund_event(reference, "processing")) == [
        Outcome.APPLIED,
        Outcome.STALE,
    ]

    (row,) = sql("SELECT *, status::text AS now FROM refunds")
    assert (row.payment_id, row.provider, row.provider_ref, str(row.amount), row.currency) == (
        payment,
        "mock",
        "re_1",
        "40.00",
        "USD",
    )
    assert (row.now, row.requested_by, row.idempotency_key, row.next_attempt_at) == ("succeeded", None, None, None)
    assert sums(sql, payment) == ("40.00", "0.00")


def test_a_refund_that_succeeded_may_fail_and_gives_its_room_back(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment, "100.00")
    enter(refund_event(reference, "succeeded", refund_id=refund, amount=Decimal("100.00")))

    enter(refund_event(reference, "failed", decline=Decline.EXPIRED_METHOD, amount=None, currency=None))

    assert (refund_row(sql, refund).now, refund_row(sql, refund).decline) == ("failed", "expired_method")
    assert sums(sql, payment) == ("0.00", "0.00")
    insert_refund(sql, payment, "100.00")


def test_room_that_a_failure_gives_back_is_there_for_another_in_the_same_set(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment, "80.00")

    reported = [
        refund_event(reference, "succeeded", refund_ref="re_2", amount=Decimal("90.00")),
        refund_event(reference, "failed", refund_id=refund, amount=Decimal("80.00")),
    ]
    assert enter(*reported) == [Outcome.APPLIED, Outcome.APPLIED]

    assert sums(sql, payment) == ("90.00", "0.00")


def test_an_event_is_recorded_once(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment)
    news = refund_event(reference, "succeeded", refund_id=refund, event_id="evt_1")

    assert enter(news, news) == [Outcome.APPLIED, Outcome.DUPLICATE]
    assert enter(news) == [Outcome.DUPLICATE]
    # The same event with other news in it is no event of this provider's.
    assert enter(refund_event(reference, "failed", refund_id=refund, event_id="evt_1")) == [Outcome.DUPLICATE]

    assert sql("SELECT count(*) FROM refund_events")[0].count == 1
    assert refund_row(sql, refund).now == "succeeded"


def test_one_event_may_speak_of_several_refunds(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    reported = [
        refund_event(reference, "succeeded", refund_ref=f"re_{number}", amount=Decimal("10.00"), event_id="evt_1")
        for number in range(3)
    ]

    assert enter(*reported) == [Outcome.APPLIED] * 3
    assert enter(*reported) == [Outcome.DUPLICATE] * 3
    assert sums(sql, payment) == ("30.00", "0.00")


@pytest.mark.parametrize("other", [{"amount": Decimal("39.99")}, {"currency": "EUR"}])
def test_other_money_than_was_requested_moves_nothing_and_is_flagged(sql: Sql, other: dict[str, Any]) -> None:
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment)
    news = refund_event(reference, "succeeded", refund_id=refund, event_id="evt_1", **other)

    assert enter(news) == [Outcome.MISMATCH]

    assert refund_row(sql, refund).now == "requested"
    assert reason(sql, reference) == "refund_mismatch"
    assert [row.outcome for row in sql("SELECT outcome FROM refund_events")] == ["mismatch"]
    # Delivered again it is judged again.
    assert enter(refund_event(reference, "succeeded", refund_id=refund, event_id="evt_1")) == [Outcome.APPLIED]
    assert [row.outcome for row in sql("SELECT outcome FROM refund_events")] == ["applied"]
    assert sums(sql, payment) == ("40.00", "0.00")


def test_a_second_refund_at_the_provider_for_one_of_ours_is_flagged(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment)
    enter(refund_event(reference, "succeeded", refund_id=refund, refund_ref="re_1"))

    assert enter(refund_event(reference, "succeeded", refund_id=refund, refund_ref="re_2")) == [Outcome.MISMATCH]

    assert refund_row(sql, refund).provider_ref == "re_1"
    assert reason(sql, reference) == "refund_mismatch"


def test_a_refund_that_was_refused_and_is_made_all_the_same_is_flagged(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment, status="'failed'", sent_at="now()")

    assert enter(refund_event(reference, "succeeded", refund_id=refund)) == [Outcome.STALE]

    assert refund_row(sql, refund).now == "failed"
    assert reason(sql, reference) == "refund_mismatch"


@pytest.mark.parametrize("status", ["succeeded", "processing", "failed"])
def test_a_report_that_may_be_about_one_of_ours_waits_until_that_has_its_reference(sql: Sql, status: str) -> None:
    """A provider that does not give our id back may be faster with its webhook than with its answer."""
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment, sent_at="now()")
    news = refund_event(reference, status)

    assert enter(news) == [Outcome.WAITING]
    assert sql("SELECT count(*) FROM refunds")[0].count == 1

    enter(refund_event(reference, "processing", refund_id=refund))  # the answer, written down at last
    assert enter(news) == [Outcome.STALE if status == "processing" else Outcome.APPLIED]
    assert sql("SELECT count(*) FROM refunds")[0].count == 1
    assert refund_row(sql, refund).now == status


@pytest.mark.parametrize(
    ("ours", "reported"),
    [
        ({"attempts": "3"}, {}),
        ({"sent_at": "now()"}, {"amount": Decimal("39.00")}),
        ({"sent_at": "now()"}, {"refund_id": uuid4()}),
    ],
)
def test_a_report_that_cannot_be_about_ours_does_not_wait(
    sql: Sql, ours: dict[str, Any], reported: dict[str, Any]
) -> None:
    payment, reference = paid_payment(sql)
    insert_refund(sql, payment, **ours)

    assert enter(refund_event(reference, "succeeded", **reported)) == [Outcome.APPLIED]
    assert sql("SELECT count(*) FROM refunds")[0].count == 2


def test_a_dashboards_refund_waits_for_the_room_of_ours_and_is_entered_when_that_is_refused(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment, "80.00")
    news = refund_event(reference, "succeeded", refund_ref="re_2")

    assert enter(news) == [Outcome.WAITING]
    assert reason(sql, reference) is None, "ours will most likely be refused"
    assert enter(news, age=timedelta(minutes=61)) == [Outcome.WAITING]
    assert reason(sql, reference) == "refund_too_large"
    assert sql("SELECT count(*) FROM refund_events")[0].count == 0

    enter(refund_event(reference, "failed", refund_id=refund, amount=Decimal("80.00")))
    assert enter(news) == [Outcome.APPLIED]
    assert sums(sql, payment) == ("40.00", "0.00")


def test_more_than_was_paid_given_back_by_the_provider_is_flagged_at_once(sql: Sql) -> None:
    payment, reference = paid_payment(sql)

    assert enter(refund_event(reference, "succeeded", amount=Decimal("100.01"))) == [Outcome.WAITING]

    assert reason(sql, reference) == "refund_too_large"
    assert sums(sql, payment) == ("0.00", "0.00")


def test_a_refund_that_is_reported_before_its_payment_is_paid_waits_for_it(sql: Sql) -> None:
    reference = insert_payment(sql, amount="100.00")
    news = refund_event(reference, "succeeded")

    assert enter(news) == [Outcome.WAITING]
    assert sql("SELECT * FROM refunds") == []
    assert enter(news, provider_event(reference, "paid")) == [Outcome.APPLIED]
    assert [str(row.amount_refunded) for row in sql("SELECT amount_refunded FROM payments")] == ["40.00"]


def test_a_refund_of_a_payment_that_is_not_here_is_parked(sql: Sql) -> None:
    assert enter(refund_event("unknown", "succeeded")) == [Outcome.PARKED]
    assert sql("SELECT * FROM refunds") == []


def test_a_refund_of_money_that_went_in_another_way_is_kept_all_the_same(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    enter(provider_event(reference, "reversed"))

    assert enter(refund_event(reference, "succeeded")) == [Outcome.APPLIED]
    assert sums(sql, payment) == ("40.00", "0.00")


@pytest.mark.parametrize("reported", [{"amount": Decimal("0.00")}, {"currency": "EUR"}])
def test_a_dashboards_refund_of_other_money_is_flagged(sql: Sql, reported: dict[str, Any]) -> None:
    _, reference = paid_payment(sql)

    assert enter(refund_event(reference, "succeeded", **reported)) == [Outcome.MISMATCH]
    assert sql("SELECT * FROM refunds") == []
    assert reason(sql, reference) == "refund_mismatch"


def test_the_name_of_the_money_is_kept_from_the_first_event_that_proves_it_paid(sql: Sql) -> None:
    reference = insert_payment(sql)
    kept = "SELECT capture_ref FROM payments"

    enter(provider_event(reference, "processing", capture_ref="ch_0"))
    assert sql(kept)[0].capture_ref is None
    enter(provider_event(reference, "paid"))
    enter(provider_event(reference, "paid", capture_ref="ch_1"))
    enter(
        provider_event(reference, "paid", capture_ref="ch_2"), provider_event(reference, "reversed", capture_ref="ch_3")
    )

    assert sql(kept)[0].capture_ref == "ch_1"


@pytest.mark.parametrize("many", [1, 60])
def test_many_events_take_as_many_statements_as_one(sql: Sql, many: int, statements: Statements) -> None:
    payments = [paid_payment(sql) for _ in range(many)]
    ours = [(reference, insert_refund(sql, payment)) for payment, reference in payments]

    with statements() as seen:
        enter(
            *[refund_event(reference, "succeeded", refund_id=id_, refund_ref=f"re_{id_}") for reference, id_ in ours],
            *[refund_event(reference, "succeeded", refund_ref=f"re_of_{reference}") for reference, _ in ours],
        )

    sent = [statement.split()[0] for statement in seen if statement.split()[0] not in {"BEGIN", "COMMIT"}]
    assert sent == ["WITH", "SELECT", "SELECT", "UPDATE", "INSERT", "INSERT"]
    assert {sums(sql, payment) for payment, _ in payments} == {("80.00", "0.00")}


def test_events_about_payments_and_refunds_lock_and_move_each_payment_once(sql: Sql, statements: Statements) -> None:
    """The refund comes with the event that proves its payment paid, and is too much: one UPDATE moves and flags it."""
    reference = insert_payment(sql, amount="100.00")
    other, other_reference = paid_payment(sql)
    refund = insert_refund(sql, other)

    with statements() as seen:
        outcomes = enter(
            refund_event(reference, "succeeded", amount=Decimal("100.01")),
            provider_event(reference, "paid"),
            refund_event(other_reference, "succeeded", refund_id=refund, refund_ref="re_2"),
        )

    assert outcomes == [Outcome.WAITING, Outcome.APPLIED]
    sent = [statement.split()[0] for statement in seen if statement.split()[0] not in {"BEGIN", "COMMIT"}]
    assert sent == ["SELECT", "WITH", "INSERT", "SELECT", "SELECT", "UPDATE", "UPDATE", "INSERT"]
    assert len([statement for statement in seen if "FROM payments" in statement and "FOR NO KEY" in statement]) == 1
    assert len([statement for statement in seen if statement.lstrip().startswith("UPDATE payments")]) == 1
    assert (status_of(sql, reference), reason(sql, reference)) == ("paid", "refund_too_large")
    assert sums(sql, other) == ("40.00", "0.00")


def test_what_each_event_did_comes_back_in_the_order_of_the_set(sql: Sql) -> None:
    _, reference = paid_payment(sql)
    events = [
        refund_event(reference, "succeeded", amount=Decimal("200.00")),
        provider_event("unknown", "paid"),
        refund_event(reference, "succeeded", refund_ref="re_2"),
        provider_event(reference, "failed"),
    ]

    with transaction() as connection:
        recorded = record(connection, [ReceivedEvent(each, datetime.now(UTC)) for each in events])

    assert [effect.outcome for effect in recorded.effects] == [
        Outcome.WAITING,
        Outcome.PARKED,
        Outcome.APPLIED,
        Outcome.STALE,
    ]
    assert recorded.effects[0].waits_for == "more than is left of its payment"
    assert [tuple(move) for move in recorded.refund_moves] == [("mock", RefundStatus.SUCCEEDED)]


def test_a_set_without_refunds_costs_no_statement_more(sql: Sql, statements: Statements) -> None:
    reference = insert_payment(sql)

    with statements() as seen:
        enter(provider_event(reference, "failed"))

    sent = [statement.split()[0] for statement in seen if statement.split()[0] not in {"BEGIN", "COMMIT"}]
    assert sent == ["WITH", "INSERT", "UPDATE"]


STREETS: list[tuple[str, ...]] = [
    ("processing",),
    ("processing", "succeeded"),
    ("succeeded",),
    ("succeeded", "failed"),
    ("processing", "failed"),
]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_any_duplicates_and_any_sets_end_the_same(sql: Sql, data: st.DataObject) -> None:
    """Three refunds, of which one is ours: what waits is delivered again, as a webhook is."""
    payment, reference = paid_payment(sql)
    ours = insert_refund(sql, payment, sent_at="now()")
    streets = [data.draw(st.sampled_from(STREETS)) for _ in range(3)]
    # Of 45.00 each, three are too many at once: one that is reported too early waits for another's failure.
    amounts = [Decimal("40.00"), *[data.draw(st.sampled_from([Decimal("25.00"), Decimal("45.00")])) for _ in range(2)]]
    kept = [amount for amount, street in zip(amounts, streets, strict=True) if street[-1] != "failed"]
    assume(sum(kept) <= 100)
    token = uuid4().hex
    reported = [
        refund_event(
            reference,
            status,
            refund_ref=f"{token}_{number}",
            refund_id=ours if number == 0 else None,
            amount=amounts[number],
            event_id=f"{token}_{number}_{status}",
        )
        for number, street in enumerate(streets)
        for status in street
    ]
    deliveries = data.draw(st.permutations([*reported, *data.draw(st.lists(st.sampled_from(reported), max_size=4))]))
    seed = data.draw(st.integers(0, 99))

    _deliver(deliveries, random.Random(seed))

    ends = [street[-1] for street in streets]
    rows = sql("SELECT status::text AS now FROM refunds WHERE payment_id = :id ORDER BY provider_ref", id=payment)
    assert [row.now for row in rows] == ends
    weights = list(zip(amounts, ends, strict=True))
    assert sums(sql, payment) == (
        f"{sum((amount for amount, end in weights if end == 'succeeded'), Decimal(0)):.2f}",
        f"{sum((amount for amount, end in weights if end == 'processing'), Decimal(0)):.2f}",
    )
    events = sql("SELECT count(*) FROM refund_events WHERE event_id LIKE :prefix", prefix=f"{token}%")
    assert events[0].count == len(reported)
    assert sum(amounts) > 100 or reason(sql, reference) is None


def _deliver(deliveries: Sequence[ProviderRefundEvent], chance: random.Random) -> None:
    waiting = list(deliveries)
    for _ in range(20):
        if not waiting:
            return
        size = chance.randint(1, len(waiting))
        batch, waiting = waiting[:size], waiting[size:]
        outcomes = enter(*batch)
        waiting += [each for each, outcome in zip(batch, outcomes, strict=True) if outcome is Outcome.WAITING]
    raise AssertionError("something waits for ever")
