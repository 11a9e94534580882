"""Events about refunds: in whatever order they come, each refund moves forward along its status order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkout_service.database.engine import transaction
from checkout_service.payments.status import CaptureStatus, RefundStatus
from checkout_service.providers.base import Decline, ProviderEvent, ProviderRefundEvent
from checkout_service.providers.entries import CaptureEntry
from tests.capturing import authorized_payment, insert_capture_request, insert_void
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


def test_a_refund_that_was_refused_and_is_made_all_the_same_is_entered_and_flagged(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment, status="'failed'", sent_at="now()")

    assert enter(refund_event(reference, "succeeded", refund_id=refund)) == [Outcome.APPLIED]

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


def test_a_report_about_another_capture_than_ours_does_not_wait(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment, sent_at="now()")
    sql("UPDATE refunds SET capture_ref = 'cap_1' WHERE id = :id", id=refund)

    assert enter(refund_event(reference, "succeeded", capture_ref="cap_1")) == [Outcome.WAITING]
    assert enter(refund_event(reference, "succeeded", capture_ref="cap_2")) == [Outcome.APPLIED]

    rows = sql("SELECT capture_ref FROM refunds ORDER BY id")
    assert [row.capture_ref for row in rows] == ["cap_1", "cap_2"]


def test_what_a_refund_is_of_is_kept_from_the_first_event_that_names_it(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment)

    enter(refund_event(reference, "processing", refund_id=refund))
    enter(refund_event(reference, "succeeded", capture_ref="cap_1", attempt_ref="try_1"))
    enter(refund_event(reference, "failed", capture_ref="cap_2", attempt_ref="try_2"))

    row = refund_row(sql, refund)
    assert (row.capture_ref, row.attempt_ref, row.version) == ("cap_1", "try_1", 4)


def test_more_than_is_left_is_entered_at_once_and_flagged_until_it_fits(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    refund = insert_refund(sql, payment, "80.00")

    assert enter(refund_event(reference, "succeeded", refund_ref="re_2")) == [Outcome.APPLIED]
    assert (sums(sql, payment), reason(sql, reference)) == (("40.00", "80.00"), "refund_too_large")

    enter(refund_event(reference, "failed", refund_id=refund, amount=Decimal("80.00")))
    assert (sums(sql, payment), reason(sql, reference)) == (("40.00", "0.00"), None)


def test_more_than_was_paid_given_back_by_the_provider_is_entered_and_flagged(sql: Sql) -> None:
    payment, reference = paid_payment(sql)

    assert enter(refund_event(reference, "succeeded", amount=Decimal("100.01"))) == [Outcome.APPLIED]

    assert reason(sql, reference) == "refund_too_large"
    assert sums(sql, payment) == ("100.01", "0.00")
    assert status_of(sql, reference) == "paid", "refunds never move it"


def test_a_refund_that_is_reported_before_its_payment_is_paid_is_entered(sql: Sql) -> None:
    reference = insert_payment(sql, amount="100.00")

    assert enter(refund_event(reference, "succeeded")) == [Outcome.APPLIED]
    assert (status_of(sql, reference), reason(sql, reference)) == ("pending", "refund_too_large")

    enter(provider_event(reference, "paid"))
    assert (status_of(sql, reference), reason(sql, reference)) == ("paid", None)
    assert [str(row.amount_refunded) for row in sql("SELECT amount_refunded FROM payments")] == ["40.00"]


def test_a_refund_that_is_not_here_waits_for_an_event_that_names_its_amount(sql: Sql) -> None:
    _, reference = paid_payment(sql)
    silent = refund_event(reference, "succeeded", amount=None)

    assert enter(silent) == [Outcome.WAITING]
    assert sql("SELECT * FROM refunds") == []
    assert enter(refund_event(reference, "processing"), silent) == [Outcome.APPLIED, Outcome.APPLIED]


def test_a_refund_is_found_by_the_name_of_the_capture_that_it_is_of(sql: Sql) -> None:
    reference = insert_payment(sql)
    money = CaptureEntry(ref="cap_found", status=CaptureStatus.SUCCEEDED, amount=Decimal("240.00"), currency="USD")
    enter(provider_event(reference, "paid", entries=[money]))

    assert enter(refund_event("", "succeeded", capture_ref="cap_found")) == [Outcome.APPLIED]

    assert [row.capture_ref for row in sql("SELECT capture_ref FROM refunds")] == ["cap_found"]


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
    # Names found; payments and refunds locked; events known; refunds moved, inserted; payments folded; events in.
    assert sent == ["SELECT", "WITH", "SELECT", "SELECT", "UPDATE", "INSERT", "SELECT", "INSERT"]
    assert {sums(sql, payment) for payment, _ in payments} == {("80.00", "0.00")}


def test_events_about_payments_and_refunds_lock_and_fold_each_payment_once(sql: Sql, statements: Statements) -> None:
    """The refund comes with the event that proves its payment paid, and is too much: one fold moves and flags it."""
    reference = insert_payment(sql, amount="100.00")
    other, other_reference = paid_payment(sql)
    refund = insert_refund(sql, other)

    with statements() as seen:
        outcomes = enter(
            refund_event(reference, "succeeded", amount=Decimal("100.01")),
            provider_event(reference, "paid"),
            refund_event(other_reference, "succeeded", refund_id=refund, refund_ref="re_2"),
        )

    assert outcomes == [Outcome.APPLIED, Outcome.APPLIED]
    assert len([statement for statement in seen if "FOR NO KEY UPDATE OF payment" in statement]) == 1
    assert len([statement for statement in seen if "payments_fold" in statement]) == 1
    assert (status_of(sql, reference), reason(sql, reference)) == ("paid", "refund_too_large")
    assert sums(sql, other) == ("40.00", "0.00")


def test_what_each_event_did_comes_back_in_the_order_of_the_set(sql: Sql) -> None:
    _, reference = paid_payment(sql)
    events = [
        refund_event(reference, "succeeded", amount=None),
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
    assert recorded.effects[0].waits_for == "a refund that is not here, and the event names no amount"
    assert [tuple(move) for move in recorded.refund_moves] == [("mock", RefundStatus.SUCCEEDED)]


def test_a_set_without_refunds_costs_no_statement_more(sql: Sql, statements: Statements) -> None:
    reference = insert_payment(sql)

    with statements() as seen:
        enter(provider_event(reference, "failed"))

    sent = [statement.split()[0] for statement in seen if statement.split()[0] not in {"BEGIN", "COMMIT"}]
    assert sent == ["WITH", "SELECT", "INSERT", "SELECT", "INSERT"]


HISTORIES: list[tuple[str, ...]] = [
    ("processing",),
    ("processing", "succeeded"),
    ("succeeded",),
    ("succeeded", "failed"),
    ("processing", "failed"),
]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_any_order_any_duplicates_and_any_sets_end_the_same(sql: Sql, data: st.DataObject) -> None:
    """Three refunds, of which one is ours: what waits is delivered again, as a webhook is."""
    payment, reference = paid_payment(sql)
    ours = insert_refund(sql, payment, sent_at="now()")
    histories = [data.draw(st.sampled_from(HISTORIES)) for _ in range(3)]
    # Of 45.00 each, three are too many: they are entered all the same.
    amounts = [Decimal("40.00"), *[data.draw(st.sampled_from([Decimal("25.00"), Decimal("45.00")])) for _ in range(2)]]
    kept = [amount for amount, history in zip(amounts, histories, strict=True) if history[-1] != "failed"]
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
        for number, history in enumerate(histories)
        for status in history
    ]
    deliveries = data.draw(st.permutations([*reported, *data.draw(st.lists(st.sampled_from(reported), max_size=4))]))
    seed = data.draw(st.integers(0, 99))

    _deliver(deliveries, random.Random(seed))

    ends = [history[-1] for history in histories]
    rows = sql("SELECT status::text AS now FROM refunds WHERE payment_id = :id ORDER BY provider_ref", id=payment)
    assert [row.now for row in rows] == ends
    weights = list(zip(amounts, ends, strict=True))
    assert sums(sql, payment) == (
        f"{sum((amount for amount, end in weights if end == 'succeeded'), Decimal(0)):.2f}",
        f"{sum((amount for amount, end in weights if end == 'processing'), Decimal(0)):.2f}",
    )
    events = sql("SELECT count(*) FROM refund_events WHERE event_id LIKE :prefix", prefix=f"{token}%")
    assert events[0].count == len(reported)
    assert reason(sql, reference) == ("refund_too_large" if sum(kept) > 100 else None)


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


def test_a_lost_request_is_flagged_where_it_may_be_given_back_once_more(sql: Sql) -> None:
    _, failed = paid_payment(sql)
    enter(refund_event(failed, "failed", refund_id=uuid4()))
    assert reason(sql, failed) is None, "nothing was given back by it"

    for insert in (insert_capture_request, insert_void):
        payment, of_another_kind = authorized_payment(sql)
        enter(refund_event(of_another_kind, "succeeded", refund_id=insert(sql, payment), refund_ref=uuid4().hex))
        assert "refund_mismatch" not in (reason(sql, of_another_kind) or "")

    _, lost = paid_payment(sql)
    enter(refund_event(lost, "succeeded", refund_id=uuid4(), refund_ref="re_lost"))
    assert reason(sql, lost) == "refund_mismatch"
