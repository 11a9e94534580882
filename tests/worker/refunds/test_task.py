"""The task that asks providers for refunds: one there for one here, however often it is killed or doubled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from checkout_service.providers.base import (
    Decline,
    ProviderRefusedError,
    ProviderUnavailableError,
    UnreadableError,
)
from checkout_service.telemetry.metrics import refunds_total
from tests.conftest import Sql
from tests.money import attempt, capture, dispute, fold
from tests.provider import MockProvider
from tests.refunding import insert_refund, make_due, open_payment, paid_payment, refund_event, refund_row, sums
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import MakeWorker, webhook_row
from tests.worker.scripted import ScriptedProvider, event
from worker.outstanding import InDoubtError
from worker.payments.look_ups import look_up
from worker.refunds import task as refunds
from worker.refunds.task import refund
from worker.webhooks.task import process


class Killed(BaseException):
    """What a SIGKILL is to a task: nothing catches it."""


@pytest.fixture
def outstanding(sql: Sql, scripted: ScriptedProvider) -> tuple[UUID, str]:
    """A refund of 40.00 that was asked for, and its payment's reference; the provider makes it as asked."""
    payment, reference = paid_payment(sql)
    return insert_refund(sql, payment), reference


def test_a_refund_is_requested_with_its_own_id_and_recorded(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    refund_id, reference = outstanding
    scripted.refunds[refund_id] = [refund_event(reference, "succeeded", refund_id=refund_id)]
    counted = refunds_total.labels("mock", "succeeded")._value.get()

    assert refund(str(refund_id)) == "succeeded"

    assert scripted.refunded == [(refund_id, Decimal("40.00"))]
    row = refund_row(sql, refund_id)
    assert (row.now, row.provider_ref, row.attempts, row.detail) == ("succeeded", "re_1", 1, None)
    assert sums(sql, row.payment_id) == ("40.00", "0.00")
    assert refunds_total.labels("mock", "succeeded")._value.get() == counted + 1
    assert refund(str(refund_id)) == "nothing is outstanding now"
    assert len(scripted.refunded) == 1


def test_an_answer_without_our_id_is_about_the_refund_that_was_requested(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    refund_id, reference = outstanding
    scripted.refunds[refund_id] = [refund_event(reference, "processing")]

    refund(str(refund_id))

    assert (refund_row(sql, refund_id).now, refund_row(sql, refund_id).provider_ref) == ("processing", "re_1")
    assert sql("SELECT count(*) FROM refunds")[0].count == 1


def test_a_refund_that_is_processing_is_looked_up_until_it_ends(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    refund_id, reference = outstanding
    scripted.refunds[refund_id] = [refund_event(reference, "processing", refund_id=refund_id)]
    refund(str(refund_id))
    scripted.truths[reference] = [refund_event(reference, "processing", refund_id=refund_id)]

    make_due(sql)
    refund(str(refund_id))
    assert refund_row(sql, refund_id).due_in == pytest.approx(660, abs=61), "at growing intervals"

    scripted.truths[reference] = [refund_event(reference, "succeeded")]
    make_due(sql)
    refund(str(refund_id))

    assert refund_row(sql, refund_id).now == "succeeded"
    assert len(scripted.refunded) == 1, "never asked for again"
    assert scripted.looked_up == [reference] * 2


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
    refund_id, reference = outstanding
    scripted.refunds[refund_id] = error

    assert refund(str(refund_id)) == f"later: {detail}"

    row = refund_row(sql, refund_id)
    assert (row.now, row.detail, row.attempts) == ("requested", detail, 1)
    assert 4 < row.due_in < 7
    assert refund(str(refund_id)) == "nothing is outstanding now", "not before its time"

    scripted.refunds[refund_id] = [refund_event(reference, "succeeded", refund_id=refund_id)]
    make_due(sql)
    assert refund(str(refund_id)) == "succeeded"
    assert {id_ for id_, _ in scripted.refunded} == {refund_id}
    assert sums(sql, row.payment_id) == ("40.00", "0.00")


def test_the_back_off_grows_to_a_quarter_of_an_hour(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    refund_id, _ = outstanding
    scripted.refunds[refund_id] = ProviderUnavailableError("away")
    for minutes, least, most in ((1, 55, 75), (10, 590, 725), (600, 890, 1085)):
        _age(sql, refund_id, timedelta(minutes=minutes))
        refund(str(refund_id))
        assert least < refund_row(sql, refund_id).due_in < most


def test_a_refusal_is_final_and_gives_the_room_back(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    refund_id, _ = outstanding
    answer = "status 400, charge_already_refunded"
    refused = ProviderRefusedError("POST /refunds: too late", reason=Decline.NOT_IN_THIS_STATE, answer=answer)
    scripted.refunds[refund_id] = refused

    assert refund(str(refund_id)) == "refused: not_in_this_state"

    row = refund_row(sql, refund_id)
    assert row.detail == answer
    assert (row.now, row.decline, row.provider_ref, row.next_attempt_at) == ("failed", "not_in_this_state", None, None)
    assert sums(sql, row.payment_id) == ("0.00", "0.00")
    assert scripted.looked_up == []


def test_a_refusal_after_a_lost_answer_is_believed_only_when_the_refund_is_not_there(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    """A provider that forgot the key: "there is less left than that", since the first try took it."""
    refund_id, reference = outstanding
    scripted.refunds[refund_id] = ProviderUnavailableError("the answer was lost")
    refund(str(refund_id))
    scripted.refunds[refund_id] = ProviderRefusedError("less is left", reason=Decline.AMOUNT_REFUSED)
    scripted.truths[reference] = [event(reference, "paid"), refund_event(reference, "succeeded", refund_id=refund_id)]

    make_due(sql)
    assert refund(str(refund_id)) == "succeeded"

    other = insert_refund(sql, refund_row(sql, refund_id).payment_id, "10.00", attempts=1, sent_at="now()")
    scripted.refunds[other] = ProviderRefusedError("less is left", reason=Decline.AMOUNT_REFUSED)
    make_due(sql)
    assert refund(str(other)) == "refused: amount_refused"


def test_an_answer_that_is_not_understood_is_looked_up_at_once(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    refund_id, reference = outstanding
    scripted.refunds[refund_id] = UnreadableError("garbage")
    scripted.truths[reference] = [refund_event(reference, "processing", refund_id=refund_id)]

    refund(str(refund_id))

    assert refund_row(sql, refund_id).now == "processing"


def test_a_look_up_that_is_refused_does_not_refuse_the_refund(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    refund_id, reference = outstanding
    scripted.refunds[refund_id] = UnreadableError("garbage")
    scripted.truths[reference] = ProviderRefusedError("status 404")

    refund(str(refund_id))

    assert refund_row(sql, refund_id).now == "requested"


def test_after_twenty_hours_the_provider_is_queried_what_it_knows_and_never_for_the_money_again(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    refund_id, reference = outstanding
    scripted.refunds[refund_id] = ProviderUnavailableError("away")
    refund(str(refund_id))
    _age(sql, refund_id, timedelta(hours=20, minutes=1))

    for _ in range(2):
        with pytest.raises(InDoubtError):
            refund(str(refund_id))
        row = refund_row(sql, refund_id)
        assert (row.now, row.detail) == (
            "requested",
            "in doubt: see in the provider's dashboard whether it was made",
        )
        assert row.due_in >= 900
        make_due(sql)
    assert len(scripted.refunded) == 1

    scripted.truths[reference] = [refund_event(reference, "succeeded", refund_id=refund_id)]
    assert refund(str(refund_id)) == "succeeded"
    assert sums(sql, row.payment_id) == ("40.00", "0.00")
    assert len(scripted.refunded) == 1


def test_a_key_that_the_provider_knows_from_another_request_leaves_it_in_doubt(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    refund_id, _ = outstanding
    scripted.refunds[refund_id] = ProviderRefusedError("key reused", reason=Decline.KEY_REUSED)

    with pytest.raises(InDoubtError):
        refund(str(refund_id))

    assert refund_row(sql, refund_id).now == "requested"


@pytest.mark.parametrize("step", ["0", "1"], ids=["blocks", "took"])
@pytest.mark.parametrize("amount", ["100.00", "60.01", "60.00"])
def test_a_refund_of_money_that_went_meanwhile_is_not_requested(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str], amount: str, step: str
) -> None:
    """A dispute came between the request and its first sending: it is open, or it took the money already."""
    refund_id, _ = outstanding
    row = refund_row(sql, refund_id)
    dispute(sql, row.payment_id, amount, money_step=step, money_out="true" if step == "1" else "false")

    if amount == "60.00":
        refund(str(refund_id))
        assert scripted.refunded == [(refund_id, Decimal("40.00"))]
        return
    assert refund(str(refund_id)) == "refused: not_in_this_state"

    assert scripted.refunded == []
    assert refund_row(sql, refund_id).now == "failed"
    assert sums(sql, row.payment_id) == ("0.00", "0.00")


def test_an_inquiry_holds_no_refund_back(sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]) -> None:
    refund_id, _ = outstanding
    dispute(sql, refund_row(sql, refund_id).payment_id, "100.00", "inquiry", blocks_refund="false")

    refund(str(refund_id))

    assert scripted.refunded == [(refund_id, Decimal("40.00"))]


def test_a_dispute_that_comes_before_the_second_try_leaves_only_the_question(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the claim: what was there then is no cover any more."""
    refund_id, _ = outstanding
    scripted.refunds[refund_id] = ProviderUnavailableError("no answer")
    refund(str(refund_id))
    make_due(sql)
    known = refunds.reference

    def meanwhile(payment_id: UUID) -> Any:
        dispute(sql, payment_id, "60.01")
        return known(payment_id)

    monkeypatch.setattr(refunds, "reference", meanwhile)

    with pytest.raises(InDoubtError):
        refund(str(refund_id))

    assert len(scripted.refunded) == 1


def test_a_lost_answer_and_a_dispute_leave_only_the_question(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    """The first try may never have arrived: to make up for it would give back what is gone."""
    refund_id, reference = outstanding
    scripted.refunds[refund_id] = ProviderUnavailableError("the answer was lost")
    refund(str(refund_id))
    dispute(sql, refund_row(sql, refund_id).payment_id, "60.01")
    make_due(sql)

    with pytest.raises(InDoubtError):
        refund(str(refund_id))
    assert len(scripted.refunded) == 1

    scripted.truths[reference] = [refund_event(reference, "succeeded", refund_id=refund_id)]
    make_due(sql)
    assert refund(str(refund_id)) == "succeeded"


def test_the_provider_gets_the_name_of_what_is_given_back(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, reference = open_payment(sql)
    attempt(sql, payment, "authorized", ref="at_1", presumed="30")
    capture(sql, payment, "ca_1", "40", attempt_ref="at_2")
    fold(sql, payment)
    named = insert_refund(sql, payment, "40.00", capture_ref="'ca_1'")
    presumed = insert_refund(sql, payment, "30.00", attempt_ref="'at_1'")
    for number, refund_id in enumerate((named, presumed)):
        scripted.refunds[refund_id] = [
            refund_event(reference, "succeeded", refund_id=refund_id, refund_ref=f"re_{number}", amount=None)
        ]
        refund(str(refund_id))

    assert [(each.capture_ref, each.attempt_ref) for each in scripted.references] == [("ca_1", "at_2"), (None, "at_1")]
    assert refund_row(sql, named).now == refund_row(sql, presumed).now == "succeeded"


def test_what_was_never_looked_at_is_never_in_doubt(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    """Credentials that were wrong over a weekend: the provider made nothing, so it may be asked again."""
    refund_id, reference = outstanding
    scripted.refunds[refund_id] = ProviderRefusedError("status 401", reason=Decline.CREDENTIALS)
    refund(str(refund_id))
    assert refund_row(sql, refund_id).sent_at is None
    sql("UPDATE refunds SET created_at = now() - interval '3 days', next_attempt_at = now()")

    scripted.refunds[refund_id] = [refund_event(reference, "succeeded", refund_id=refund_id)]
    assert refund(str(refund_id)) == "succeeded"


def test_credentials_that_are_refused_after_a_lost_answer_leave_the_doubt(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    refund_id, _ = outstanding
    scripted.refunds[refund_id] = ProviderUnavailableError("the answer was lost")
    refund(str(refund_id))
    first = refund_row(sql, refund_id).sent_at
    scripted.refunds[refund_id] = ProviderRefusedError("status 401", reason=Decline.CREDENTIALS)
    make_due(sql)
    refund(str(refund_id))

    assert refund_row(sql, refund_id).sent_at == first


def test_whoever_lost_the_lease_before_asking_does_not_ask(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refund_id, reference = outstanding
    scripted.refunds[refund_id] = [refund_event(reference, "succeeded", refund_id=refund_id)]
    looking = refunds.reference

    def sleep_through_the_lease(payment_id: UUID) -> Any:
        sql("UPDATE refunds SET attempts = attempts + 1, next_attempt_at = now() + interval '90 seconds'")
        return looking(payment_id)

    monkeypatch.setattr(refunds, "reference", sleep_through_the_lease)

    assert "another task has it" in refund(str(refund_id))
    assert scripted.refunded == []


def test_without_an_account_it_waits(sql: Sql, make_worker: MakeWorker, outstanding: tuple[UUID, str]) -> None:
    with make_worker(accounts={}).app_context():
        assert refund(str(outstanding[0])) == "later: no account at this provider is set up"
    assert refund_row(sql, outstanding[0]).now == "requested"


@pytest.mark.parametrize("where", ["before the call", "within the call", "before the writing", "within the writing"])
def test_killed_anywhere_one_refund_is_made(
    sql: Sql, make_worker: MakeWorker, mock_provider: MockProvider, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    payment, reference = paid_payment(sql)
    refund_id = insert_refund(sql, payment)
    mock_provider.put(reference, status="paid", amount="100.00", currency="USD")
    app = make_worker(accounts={"mock": mock_provider.account})

    def kill(*_: Any, **__: Any) -> Any:
        raise Killed

    def ask_and_kill(outstanding: Any, *others: Any) -> Any:
        asking(outstanding, *others)
        raise Killed

    def write_and_kill(*given: Any) -> Any:
        recording(*given)
        raise Killed

    asking: Callable[..., Any] = refunds._ask
    recording: Callable[..., Any] = refunds.record
    with app.app_context():
        with monkeypatch.context() as patch:
            name, end = {
                "before the call": ("_ask", kill),
                "within the call": ("_ask", ask_and_kill),
                "before the writing": ("record", kill),
                "within the writing": ("record", write_and_kill),
            }[where]
            patch.setattr(refunds, name, end)
            with pytest.raises(Killed):
                refund(str(refund_id))
        assert refund_row(sql, refund_id).now == "requested"
        assert refund(str(refund_id)) == "nothing is outstanding now", "under lease"
        assert len(mock_provider.refunds) == (0 if where == "before the call" else 1)

        make_due(sql)
        assert refund(str(refund_id)) == "succeeded"

    (made,) = mock_provider.refunds
    row = refund_row(sql, refund_id)
    assert (made["refund_id"], row.provider_ref, row.attempts) == (str(refund_id), made["refund_ref"], 2)
    assert sums(sql, payment) == ("40.00", "0.00")


@pytest.mark.parametrize(
    "behaviour",
    [{"before": "error"}, {"after": "error"}, {"after": "drop"}, {"in_progress": "always"}, {"garbage": "not_json"}],
)
def test_a_provider_that_misbehaves_makes_one_refund(
    sql: Sql, make_worker: MakeWorker, mock_provider: MockProvider, behaviour: dict[str, str]
) -> None:
    payment, reference = paid_payment(sql)
    refund_id = insert_refund(sql, payment)
    mock_provider.put(reference, status="paid", amount="100.00", currency="USD")
    with make_worker(accounts={"mock": mock_provider.account}).app_context():
        mock_provider.behave(**behaviour, times=1)
        refund(str(refund_id))
        make_due(sql)
        refund(str(refund_id))

    assert [made["refund_id"] for made in mock_provider.refunds] == [str(refund_id)]
    assert refund_row(sql, refund_id).now == "succeeded"
    assert sums(sql, payment) == ("40.00", "0.00")


def test_a_provider_that_refuses_is_believed(sql: Sql, make_worker: MakeWorker, mock_provider: MockProvider) -> None:
    payment, reference = paid_payment(sql)
    refund_id = insert_refund(sql, payment)
    mock_provider.put(reference, status="paid", amount="30.00", currency="USD")
    with make_worker(accounts={"mock": mock_provider.account}).app_context():
        assert refund(str(refund_id)) == "refused: other"

    row = refund_row(sql, refund_id)
    assert (row.now, row.detail) == ("failed", "status 422, more_than_is_left")
    assert mock_provider.refunds == []


@pytest.mark.usefixtures("worker")
def test_without_a_server_the_mock_provider_succeeds_at_once(sql: Sql) -> None:
    payment, _ = paid_payment(sql)
    refund_id = insert_refund(sql, payment)

    assert refund(str(refund_id)) == "succeeded"
    assert refund_row(sql, refund_id).provider_ref == f"mock_re_{refund_id.hex}"


def test_a_refund_that_is_not_here(scripted: ScriptedProvider) -> None:
    assert refund(str(uuid4())) == "nothing is outstanding now"
    assert scripted.refunded == []


@pytest.mark.usefixtures("worker")
def test_a_webhook_about_a_refund_is_recorded_and_once(sql: Sql) -> None:
    payment, reference = paid_payment(sql)
    reported = webhook(reference, "succeeded", refund_ref="re_1", amount="40.00", currency="USD", event_id="evt_1")
    states = []
    for body in (reported, reported + b" ", reported, webhook(reference, "processing", refund_ref="re_1")):
        delivery = insert_webhook(sql, body)
        process(str(delivery))
        states.append(state_of(sql, delivery))

    assert states == ["applied", "duplicate", "duplicate", "applied"]
    assert sums(sql, payment) == ("40.00", "0.00")
    assert status_of(sql, reference) == "paid", "refunds do not move the payment"


@pytest.mark.usefixtures("worker")
def test_a_refund_that_the_provider_made_is_entered_whatever_is_outstanding(sql: Sql) -> None:
    """What we asked for and did not send yet is then without cover."""
    payment, reference = paid_payment(sql)
    ours = insert_refund(sql, payment, "80.00")
    reported = webhook(reference, "succeeded", refund_ref="re_1", amount="40.00", currency="USD")
    delivery = insert_webhook(sql, reported)

    process(str(delivery))

    assert state_of(sql, delivery) == "applied"
    assert sums(sql, payment) == ("40.00", "80.00")
    assert _reasons(sql, payment) == "refund_too_large"
    assert refund(str(ours)) == "refused: not_in_this_state"
    assert sums(sql, payment) == ("40.00", "0.00")
    assert _reasons(sql, payment) is None


@pytest.mark.usefixtures("worker")
def test_a_webhook_about_a_refund_of_a_payment_that_is_not_here_is_parked(sql: Sql) -> None:
    delivery = insert_webhook(sql, webhook("mock_pi_later", "succeeded", refund_ref="re_1", amount="1.00"))

    process(str(delivery))

    assert (state_of(sql, delivery), webhook_row(sql, delivery).provider_ref) == ("parked", "mock_pi_later")
    assert sql("SELECT * FROM refunds") == []


def test_look_ups_of_payments_record_the_refunds_that_they_tell_of(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql, amount="100.00")
    scripted.truths[reference] = [event(reference, "paid"), refund_event(reference, "succeeded")]
    sql("UPDATE payments SET next_look_up_at = now()")

    assert look_up() == "asked about 1 payments, learned 2 events"

    assert [str(row.amount_refunded) for row in sql("SELECT amount_refunded FROM payments")] == ["40.00"]
    assert sql("SELECT look_up_log FROM payments")[0].look_up_log[0]["answer"] == "paid, refund succeeded"


def _reasons(sql: Sql, payment: UUID) -> str | None:
    return sql("SELECT review_reason FROM payments WHERE id = :id", id=payment)[0].review_reason


def _age(sql: Sql, refund_id: UUID, age: timedelta) -> None:
    """As if the provider had been asked for it first so long ago; it is due."""
    sql(
        """UPDATE refunds SET attempts = greatest(attempts, 1), created_at = now() - :age, sent_at = now() - :age,
            next_attempt_at = now()
        WHERE id = :id""",
        age=age,
        id=refund_id,
    )
