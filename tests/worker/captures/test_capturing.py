"""The task that asks providers to capture: one there for one here, however often it is killed or doubled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus
from checkout_service.providers.base import (
    Decline,
    ProviderEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    UnreadableError,
)
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, NoneUnderWayEntry
from checkout_service.telemetry.metrics import capture_requests_failed_total
from tests.capturing import authorized_payment, insert_capture_request, make_requests_due, request_row
from tests.conftest import Sql
from tests.money import fold
from tests.webhook_bodies import insert_webhook
from tests.worker.conftest import MakeWorker
from tests.worker.scripted import ScriptedProvider
from worker.captures import capturing
from worker.captures.capturing import capture
from worker.outstanding import InDoubtError
from worker.payments.sweeping import sweep
from worker.webhooks.task import process


def captured(
    reference: str, amount: str = "200.00", status: str = "succeeded", *, released: bool = True, **fields: Any
) -> ProviderEvent:
    """An event about a capture of the authorisation at_1, which is released with it unless told otherwise."""
    entries: list[Any] = [
        CaptureEntry(
            ref=fields.pop("ref", "ca_1"),
            status=CaptureStatus(status),
            amount=Decimal(amount),
            currency="USD",
            attempt_ref="at_1",
            **fields,
        )
    ]
    if released:
        entries.append(AttemptEntry(ref="at_1", status=AttemptStatus.AUTHORIZED, rest_released=True))
    return ProviderEvent(
        provider="mock", provider_ref=reference, event_id=f"evt_{uuid4().hex}", status=None, entries=entries
    )


@pytest.fixture
def outstanding(sql: Sql, scripted: ScriptedProvider) -> tuple[UUID, str]:
    """A capture of 200.00 of 240.00 that was asked for, and its payment's reference."""
    payment, reference = authorized_payment(sql, refs=("at_1",))
    return insert_capture_request(sql, payment, "200.00"), reference


def row_of(sql: Sql, request_id: UUID) -> Any:
    return request_row(sql, "capture_requests", request_id)


def payment_of(sql: Sql, reference: str) -> tuple[str, Decimal, Decimal]:
    (row,) = sql("SELECT *, status::text AS now FROM payments WHERE provider_ref = :ref", ref=reference)
    return row.now, row.amount_captured, row.amount_authorized


def test_a_capture_is_requested_with_its_own_id_and_recorded(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    request_id, reference = outstanding
    scripted.captures[request_id] = [captured(reference, request_id=str(request_id))]

    assert capture(str(request_id)) == "succeeded"

    assert scripted.captured == [(request_id, Decimal("200.00"), True)]
    assert scripted.references[0].attempt_ref == "at_1"
    row = row_of(sql, request_id)
    assert (row.now, row.provider_ref, row.next_attempt_at) == ("succeeded", "ca_1", None)
    assert payment_of(sql, reference) == ("partially_paid", Decimal(200), Decimal(0))
    assert capture(str(request_id)) == "nothing is outstanding now"


def test_an_answer_without_our_id_is_about_the_capture_that_was_requested(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    request_id, reference = outstanding
    scripted.captures[request_id] = [captured(reference)]

    capture(str(request_id))

    assert (row_of(sql, request_id).now, row_of(sql, request_id).provider_ref) == ("succeeded", "ca_1")


def test_an_answer_that_names_no_capture_but_money_ends_it(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    """Of a provider without names for captures."""
    request_id, reference = outstanding
    scripted.captures[request_id] = [
        ProviderEvent(
            provider="mock", provider_ref=reference, event_id="evt_1", status=PaymentStatus.PAID, amount_required=False
        )
    ]

    assert capture(str(request_id)) == "succeeded"
    assert row_of(sql, request_id).now == "succeeded"


def test_a_capture_that_is_under_way_is_looked_up_or_ended_by_its_event(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    request_id, reference = outstanding
    scripted.captures[request_id] = [captured(reference, status="pending", released=False)]
    capture(str(request_id))
    row = row_of(sql, request_id)
    assert (row.now, row.provider_ref) == ("processing", "ca_1")
    assert payment_of(sql, reference) == ("authorized", Decimal(0), Decimal(240))

    scripted.truths[reference] = []
    make_requests_due(sql)
    assert capture(str(request_id)) == "later: still processing"
    assert row_of(sql, request_id).due_in == pytest.approx(660, abs=61)

    scripted.truths[reference] = [captured(reference)]
    make_requests_due(sql)
    assert capture(str(request_id)) == "succeeded"
    assert row_of(sql, request_id).now == "succeeded"
    assert len(scripted.captured) == 1, "never asked for again"


def processing(sql: Sql, scripted: ScriptedProvider, request_id: UUID, reference: str, **fields: Any) -> UUID:
    """The provider took the request and is due to be asked what became of it; the id of its payment."""
    scripted.captures[request_id] = [captured(reference, status="pending", released=False, **fields)]
    capture(str(request_id))
    make_requests_due(sql)
    payment: UUID = row_of(sql, request_id).payment_id
    return payment


def named(reference: str, *entries: Any) -> ProviderEvent:
    """What a look-up that names all attempts answers."""
    return ProviderEvent(provider="mock", provider_ref=reference, event_id="", status=None, entries=list(entries))


NOBODY_UNDER_WAY = NoneUnderWayEntry(at=datetime.now(UTC))


@pytest.mark.parametrize("change", ["status = 'canceled'", "status = 'expired'", "rest_released = true", "closed"])
def test_a_capture_whose_authorisation_is_over_and_that_no_look_up_names_has_failed(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str], change: str
) -> None:
    request_id, reference = outstanding
    payment = processing(sql, scripted, request_id, reference)
    if change == "closed":
        sql("SELECT payments_fold(ARRAY[CAST(:id AS uuid)], ARRAY['canceled']::payment_status[])", id=payment)
    else:
        sql(f"UPDATE payment_attempts SET {change}")
        fold(sql, payment)
    others = CaptureEntry(
        ref="ca_9", status=CaptureStatus.SUCCEEDED, amount=Decimal(40), currency="USD", request_id=str(uuid4())
    )
    scripted.truths[reference] = [named(reference, NOBODY_UNDER_WAY, others)]
    counted = capture_requests_failed_total.labels("mock", "not_in_this_state")._value.get()

    assert capture(str(request_id)) == "refused: not_in_this_state"

    row = row_of(sql, request_id)
    assert (row.now, row.decline, row.next_attempt_at) == ("failed", "not_in_this_state", None)
    assert capture_requests_failed_total.labels("mock", "not_in_this_state")._value.get() == counted + 1
    assert payment_of(sql, reference)[1] == 40, "what the look-up told is entered all the same"


def test_a_look_up_that_tells_both_the_end_and_no_capture_is_enough(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    request_id, reference = outstanding
    processing(sql, scripted, request_id, reference)
    scripted.truths[reference] = [named(reference, AttemptEntry(ref="at_1", status=AttemptStatus.EXPIRED))]

    assert capture(str(request_id)) == "refused: not_in_this_state"


@pytest.mark.parametrize("found", ["our id", "its own name", "no attempts", "an open authorisation"])
def test_what_may_have_been_made_has_not_failed(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str], found: str
) -> None:
    request_id, reference = outstanding
    payment = processing(sql, scripted, request_id, reference, ref="ca_1")
    if found != "an open authorisation":
        sql("UPDATE payment_attempts SET status = 'expired'")
        fold(sql, payment)
    own = CaptureEntry(ref="ca_1", status=CaptureStatus.PENDING, amount=Decimal(200), currency="USD")
    scripted.truths[reference] = {
        "our id": [named(reference, NOBODY_UNDER_WAY, replace(own, request_id=str(request_id)))],
        "its own name": [named(reference, NOBODY_UNDER_WAY, own)],
        "no attempts": [],
        "an open authorisation": [named(reference, NOBODY_UNDER_WAY)],
    }[found]

    capture(str(request_id))

    assert row_of(sql, request_id).now == "processing"


def test_one_that_is_in_doubt_has_failed_once_its_authorisation_is_over(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    request_id, reference = outstanding
    scripted.captures[request_id] = ProviderUnavailableError("away")
    capture(str(request_id))
    sql("UPDATE capture_requests SET sent_at = sent_at - interval '21 hours', next_attempt_at = now()")
    scripted.truths[reference] = [named(reference, NOBODY_UNDER_WAY)]
    with pytest.raises(InDoubtError):
        capture(str(request_id))
    sql("UPDATE payment_attempts SET status = 'canceled'")
    fold(sql, row_of(sql, request_id).payment_id)
    make_requests_due(sql)

    assert capture(str(request_id)) == "refused: not_in_this_state"
    assert len(scripted.captured) == 1


def test_one_that_no_look_up_names_for_three_days_is_left_to_a_person(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    """Its webhook was lost, and Adyen's look-ups name no captures."""
    request_id, reference = outstanding
    processing(sql, scripted, request_id, reference)
    scripted.truths[reference] = []
    sql("UPDATE capture_requests SET sent_at = sent_at - interval '71 hours'")
    assert capture(str(request_id)) == "later: still processing"
    sql("UPDATE capture_requests SET sent_at = sent_at - interval '2 hours', next_attempt_at = now()")

    with pytest.raises(InDoubtError):
        capture(str(request_id))

    row = row_of(sql, request_id)
    assert (row.now, row.in_doubt) == ("processing", True)
    scripted.truths[reference] = [captured(reference)]
    make_requests_due(sql)
    assert capture(str(request_id)) == "succeeded"


def test_a_capture_that_the_provider_refuses_later_has_failed(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    request_id, reference = outstanding
    scripted.captures[request_id] = [captured(reference, status="refused", released=False)]

    capture(str(request_id))

    assert row_of(sql, request_id).now == "failed"
    assert payment_of(sql, reference) == ("authorized", Decimal(0), Decimal(240))


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ProviderUnavailableError("status 503"), "unavailable: status 503"),
        (ProviderRefusedError("status 401", reason=Decline.CREDENTIALS), "our credentials are refused: status 401"),
        (UnreadableError("no JSON"), "not understood: no JSON"),
        (KeyError("status"), "broke: KeyError: 'status'"),
    ],
)
def test_an_answer_that_is_none_is_requested_again_with_the_same_id(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str], error: Exception, detail: str
) -> None:
    request_id, reference = outstanding
    scripted.captures[request_id] = error

    assert capture(str(request_id)) == f"later: {detail}"
    row = row_of(sql, request_id)
    assert (row.now, row.detail, row.attempts) == ("requested", detail, 1)
    assert (row.sent_at is None) == ("credentials" in detail)
    assert capture(str(request_id)) == "nothing is outstanding now", "not before its time"

    scripted.captures[request_id] = [captured(reference)]
    make_requests_due(sql)
    assert capture(str(request_id)) == "succeeded"
    assert {id_ for id_, _, _ in scripted.captured} == {request_id}


def test_a_refusal_is_final(sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]) -> None:
    request_id, reference = outstanding
    scripted.captures[request_id] = ProviderRefusedError("too late", reason=Decline.NOT_IN_THIS_STATE)

    assert capture(str(request_id)) == "refused: not_in_this_state"

    row = row_of(sql, request_id)
    assert (row.now, row.decline, row.next_attempt_at) == ("failed", "not_in_this_state", None)
    assert row.detail == "too late", "our own words, where no provider answered"
    assert scripted.looked_up == []
    assert payment_of(sql, reference)[0] == "authorized"


def test_a_refusal_after_a_lost_answer_is_believed_only_when_the_capture_is_not_there(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    request_id, reference = outstanding
    scripted.captures[request_id] = ProviderUnavailableError("the answer was lost")
    capture(str(request_id))
    scripted.captures[request_id] = ProviderRefusedError("captured already", reason=Decline.NOT_IN_THIS_STATE)
    scripted.truths[reference] = [captured(reference, request_id=str(request_id))]

    make_requests_due(sql)
    assert capture(str(request_id)) == "succeeded"


def test_after_twenty_hours_the_provider_is_queried_and_never_for_the_money_again(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    request_id, reference = outstanding
    scripted.captures[request_id] = ProviderUnavailableError("away")
    capture(str(request_id))
    age = timedelta(hours=20, minutes=1)
    sql("UPDATE capture_requests SET sent_at = sent_at - CAST(:age AS interval), next_attempt_at = now()", age=age)

    with pytest.raises(InDoubtError):
        capture(str(request_id))
    row = row_of(sql, request_id)
    assert (row.now, row.in_doubt) == ("requested", True)
    assert row.due_in >= 3500
    assert len(scripted.captured) == 1

    scripted.truths[reference] = [captured(reference, request_id=str(request_id))]
    make_requests_due(sql)
    assert capture(str(request_id)) == "succeeded"
    assert len(scripted.captured) == 1


def test_a_key_that_the_provider_knows_from_another_request_leaves_it_in_doubt(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    request_id, _ = outstanding
    scripted.captures[request_id] = ProviderRefusedError("key reused", reason=Decline.KEY_REUSED)

    with pytest.raises(InDoubtError):
        capture(str(request_id))
    assert row_of(sql, request_id).now == "requested"


@pytest.mark.parametrize("change", ["status = 'canceled'", "rest_released = true", "amount_captured"])
def test_what_went_before_it_was_sent_is_not_requested(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str], change: str
) -> None:
    """It was voided, released or captured in the dashboard between the request and its first sending."""
    request_id, _ = outstanding
    payment = row_of(sql, request_id).payment_id
    if change == "amount_captured":
        sql(
            """INSERT INTO captures (payment_id, provider, capture_ref, attempt_ref, status, amount, currency)
            VALUES (:id, 'mock', 'ca_9', 'at_1', 'succeeded', 41, 'USD')""",
            id=payment,
        )
    else:
        sql(f"UPDATE payment_attempts SET {change}")
    fold(sql, payment)

    assert capture(str(request_id)) == "refused: not_in_this_state"

    assert scripted.captured == []
    assert row_of(sql, request_id).now == "failed"


def test_several_captures_of_one_cumulative_charge(sql: Sql, scripted: ScriptedProvider) -> None:
    """Stripe's captures have no names of their own: the charge tells how much was captured so far."""
    payment, reference = authorized_payment(sql, refs=("at_1",))
    first = insert_capture_request(sql, payment, "100.00", final="false")
    second = insert_capture_request(sql, payment, "140.00")
    scripted.captures[first] = [captured(reference, "100.00", ref="ch_1", released=False)]
    scripted.captures[second] = [captured(reference, "240.00", ref="ch_1")]

    assert capture(str(first)) == capture(str(second)) == "succeeded"

    assert [row_of(sql, each).now for each in (first, second)] == ["succeeded", "succeeded"]
    assert payment_of(sql, reference) == ("paid", Decimal(240), Decimal(0))


def test_a_cumulative_charge_whose_answer_is_late_does_not_refuse_the_next_capture(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    """The first one is in the charge already, and still outstanding here: it counts once."""
    payment, reference = authorized_payment(sql, refs=("at_1",))
    first = insert_capture_request(sql, payment, "100.00", final="false")
    second, third = (insert_capture_request(sql, payment, amount, final="false") for amount in ("60.00", "80.00"))
    scripted.captures[first] = ProviderUnavailableError("the answer is late")
    capture(str(first))
    scripted.webhooks[b"charge"] = [captured(reference, "100.00", ref="at_1", released=False)]
    process(str(insert_webhook(sql, b"charge")))

    scripted.captures[second] = ProviderUnavailableError("the answer is late")
    assert capture(str(second)) == "later: unavailable: the answer is late"
    sql("UPDATE capture_requests SET status = 'succeeded', next_attempt_at = NULL WHERE id = :id", id=first)
    scripted.captures[third] = [captured(reference, "240.00", ref="at_1", request_id=str(third))]
    assert capture(str(third)) == "succeeded"

    assert [request for request, *_ in scripted.captured] == [first, second, third]


def test_whoever_lost_the_lease_before_asking_does_not_ask(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id, _ = outstanding
    looking = capturing.reference

    def sleep_through_the_lease(payment_id: UUID) -> Any:
        sql("UPDATE capture_requests SET attempts = attempts + 1, next_attempt_at = now() + interval '90 seconds'")
        return looking(payment_id)

    monkeypatch.setattr(capturing, "reference", sleep_through_the_lease)

    assert "another task has it" in capture(str(request_id))
    assert scripted.captured == []


def test_without_an_account_it_waits(sql: Sql, make_worker: MakeWorker, outstanding: tuple[UUID, str]) -> None:
    with make_worker(accounts={}).app_context():
        assert capture(str(outstanding[0])) == "later: no account at this provider is set up"
    assert row_of(sql, outstanding[0]).now == "requested"


def test_killed_within_the_call_it_is_requested_with_the_same_key(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    request_id, reference = outstanding

    class Killed(BaseException):
        """What a SIGKILL is to a task."""

    def kill() -> Any:
        raise Killed

    scripted.captures[request_id] = kill
    with pytest.raises(Killed):
        capture(str(request_id))
    assert capture(str(request_id)) == "nothing is outstanding now", "under lease"

    scripted.captures[request_id] = [captured(reference)]
    make_requests_due(sql)
    assert capture(str(request_id)) == "succeeded"
    assert [id_ for id_, _, _ in scripted.captured] == [request_id] * 2


def test_the_sweep_sends_what_is_due(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str], messages: Any
) -> None:
    assert sweep() == "sent 0 of 0 that are due"
    make_requests_due(sql)

    assert sweep() == "sent 1 of 1 that are due"
    assert messages("payments") == [(str(outstanding[0]),)]
