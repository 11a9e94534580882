"""Thin events in Stripe's list of all: those that came are passed over, of the others each object is read once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog

from checkout_service.cache import cache
from checkout_service.database.errors import DatabaseLockedError
from tests.conftest import Sql
from tests.providers.kits.stripe import (
    CHARGE,
    DISPUTE,
    KIT,
    REFUND,
    WARNING,
    StripeBank,
    charge,
    dispute,
    event,
    intent,
    problem,
    refund,
    sign,
    thin_event,
)
from tests.webhook_bodies import insert_payment, state_of, status_of
from tests.worker.conftest import MakeWorker
from worker.delivered import REMEMBERED_FOR, marks_of
from worker.payments import listed_events
from worker.payments.backfill import backfill
from worker.payments.status_queries import StatusQueries
from worker.transitions.outcomes import Effect, Outcome
from worker.transitions.recording import record
from worker.webhooks.task import process

OURS = "pi_ours"


@pytest.fixture
def bank() -> StripeBank:
    return StripeBank()


@pytest.fixture(params=["thin"])
def stripe_worker(make_worker: MakeWorker, bank: StripeBank, request: pytest.FixtureRequest) -> Any:
    app = make_worker()
    app.extensions["providers"] = {"stripe": KIT.provider(answer=bank, events=request.param)}
    with app.app_context():
        yield app


def happened(
    bank: StripeBank, kind: str, ref: str, number: int = 1, *, ago: timedelta = timedelta(0)
) -> dict[str, Any]:
    created = (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    made = thin_event(kind, ref, number=number, created=created)
    bank.thin_events.append(made)
    return made


def reads(bank: StripeBank) -> list[str]:
    return [request.url.path for request in bank.requests if not request.url.path.endswith("/events")]


def pay(bank: StripeBank, ref: str = OURS) -> None:
    bank.payments[ref] = intent(id=ref, latest_charge=charge(payment_intent=ref))


def missed(sql: Sql, bank: StripeBank, number: int, *, ago: timedelta = timedelta(0)) -> None:
    """A payment here that is paid there, by a charge of its own, whose webhook did not come."""
    ref = f"pi_{number}"
    insert_payment(sql, provider="stripe", provider_ref=ref)
    pay(bank, ref)
    bank.payments[ref]["latest_charge"] |= {"id": f"ch_{number}"}
    happened(bank, "payment_intent.succeeded", ref, number, ago=ago)


@pytest.mark.usefixtures("stripe_worker")
def test_a_thin_event_that_never_came_is_entered_once(sql: Sql, bank: StripeBank) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    happened(bank, "payment_intent.succeeded", OURS, ago=timedelta(days=2))

    assert backfill().startswith("1 events")
    assert status_of(sql, OURS) == "paid"
    assert reads(bank) == [f"/v1/payment_intents/{OURS}"]

    assert backfill().startswith("0 events")
    assert reads(bank) == [f"/v1/payment_intents/{OURS}"]


@pytest.mark.usefixtures("stripe_worker")
def test_an_event_whose_webhook_came_is_not_read_again(sql: Sql, bank: StripeBank) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    came = happened(bank, "payment_intent.succeeded", OURS)
    webhook = sign(json.dumps(came).encode(), KIT.secrets[0], signed_at=datetime.now(UTC))
    row = sql(
        """INSERT INTO webhook_deliveries (provider, headers, body)
        VALUES ('stripe', CAST(:headers AS jsonb), :body) RETURNING id""",
        headers=json.dumps(webhook.headers),
        body=webhook.body,
    )[0]
    process(str(row.id))
    assert state_of(sql, UUID(str(row.id))) == "applied"
    deadline = monotonic() + 20
    while not cache().known(list(marks_of("stripe", [came["id"]]).values())) and monotonic() < deadline:
        sleep(0.02)  # it is put a moment later, by a thread
    bank.requests.clear()

    backfill()

    assert reads(bank) == []


@pytest.mark.usefixtures("stripe_worker")
def test_many_events_of_one_object_are_one_read_and_those_of_others_none(sql: Sql, bank: StripeBank) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    pay(bank, "pi_of_another_service")
    for number in range(10):
        happened(bank, "payment_intent.succeeded", OURS, number)
        happened(bank, "payment_intent.succeeded", "pi_of_another_service", 100 + number)

    backfill()

    assert reads(bank) == [f"/v1/payment_intents/{OURS}"]


@pytest.mark.usefixtures("stripe_worker")
def test_refunds_are_booked_from_their_list(sql: Sql, bank: StripeBank) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    bank.refunds[REFUND] = refund(payment_intent=OURS, amount=4000, metadata={})
    happened(bank, "charge.refunded", CHARGE)

    backfill()

    (row,) = sql("SELECT amount_captured AS captured, amount_refunded AS refunded FROM payments")
    assert (row.captured, row.refunded) == (240, 40)


def windows(bank: StripeBank) -> list[tuple[datetime, datetime]]:
    listed = [request.url.params for request in bank.requests if "created[gte]" in request.url.params]
    return [
        (datetime.fromisoformat(each["created[gte]"]), datetime.fromisoformat(each["created[lt]"])) for each in listed
    ]


@pytest.mark.usefixtures("stripe_worker")
def test_the_next_run_begins_where_the_last_whole_one_began(bank: StripeBank) -> None:
    before = datetime.now(UTC)
    backfill()
    first = sorted(windows(bank))
    bank.requests.clear()
    backfill()
    second = windows(bank)

    assert abs(first[0][0] - (before - listed_events.FIRST)) < timedelta(seconds=10)
    assert abs(second[0][0] - (before - listed_events.OVERLAP)) < timedelta(seconds=10)
    for seen in (first, second):
        assert all(until == since for (_, until), (since, _) in pairwise(seen))
        assert seen[-1][1] > before
    assert len(first) < 20


@pytest.mark.usefixtures("stripe_worker")
def test_every_page_is_requested_and_a_run_reads_a_bounded_number_the_oldest_first(
    sql: Sql, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed_events, "MOST_READ", 3)
    bank.page = 2
    for number in range(5):
        missed(sql, bank, number)

    backfill()
    assert reads(bank) == [f"/v1/payment_intents/pi_{number}" for number in (0, 1, 2)]
    backfill()
    assert reads(bank) == [f"/v1/payment_intents/pi_{number}" for number in range(5)]
    assert {status_of(sql, f"pi_{number}") for number in range(5)} == {"paid"}


@pytest.mark.usefixtures("stripe_worker")
def test_what_is_missed_now_does_not_wait_for_the_days_behind_it(
    sql: Sql, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed_events, "MOST_READ", 3)
    for number in range(10):
        missed(sql, bank, number, ago=timedelta(hours=10 - number, minutes=-30))

    backfill()
    assert reads(bank) == [f"/v1/payment_intents/pi_{number}" for number in (9, 0, 1)]
    for _ in range(3):
        backfill()

    assert len(reads(bank)) == 10
    assert {status_of(sql, f"pi_{number}") for number in range(10)} == {"paid"}


@pytest.mark.usefixtures("stripe_worker")
def test_the_last_hour_leaves_a_run_its_time_for_what_lies_before(
    sql: Sql, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed_events, "MOST_NEW_PAGES", 2)
    bank.page = 2
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    happened(bank, "payment_intent.succeeded", OURS, 1, ago=timedelta(hours=5))
    for number in range(2, 42):
        happened(bank, "payment_intent.succeeded", f"pi_{number}", number, ago=timedelta(minutes=58 - number))

    calls_left = iter(range(16))
    monkeypatch.setattr(StatusQueries, "may_go_on", lambda _: next(calls_left, None) is not None)
    backfill()

    assert status_of(sql, OURS) == "paid"


def test_what_came_is_known_as_long_as_a_walk_may_lie_behind() -> None:
    assert listed_events.FARTHEST.total_seconds() <= REMEMBERED_FOR


@pytest.mark.usefixtures("stripe_worker")
def test_a_walk_that_a_run_has_no_time_for_is_gone_on_with(
    sql: Sql, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.page = 2
    for number in range(40):
        missed(sql, bank, number, ago=timedelta(minutes=90 * (44 - number)))
    lists = list[int]()
    for _ in range(30):
        calls_left = iter(range(12))
        monkeypatch.setattr(StatusQueries, "may_go_on", lambda _, left=calls_left: next(left, None) is not None)
        bank.requests.clear()
        backfill()
        lists.append(len(windows(bank)))

    assert {status_of(sql, f"pi_{number}") for number in range(40)} == {"paid"}
    assert max(lists) <= 12


@pytest.mark.usefixtures("stripe_worker")
def test_a_window_that_holds_too_much_is_listed_in_parts(
    sql: Sql, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed_events, "MOST_PAGES", 3)
    bank.page = 2
    for number in range(30):
        missed(sql, bank, number, ago=timedelta(hours=30, seconds=30 * number))

    backfill()

    assert {status_of(sql, f"pi_{number}") for number in range(30)} == {"paid"}
    assert min(until - since for since, until in windows(bank)) < timedelta(minutes=5)
    assert len(reads(bank)) == 30


@pytest.mark.usefixtures("stripe_worker")
def test_another_history_is_listed_from_the_beginning(
    sql: Sql, bank: StripeBank, stripe_worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    happened(bank, "payment_intent.succeeded", OURS, ago=timedelta(hours=5))
    backfill()
    bank.requests.clear()
    backfill()
    assert reads(bank) == []

    known = stripe_worker.extensions["database_history"]
    monkeypatch.setattr(known, "see", lambda row: None)
    monkeypatch.setattr(type(known), "is_of_now", True)
    known.name = "anotherhistory"
    backfill()

    assert reads(bank) == [f"/v1/payment_intents/{OURS}"], "the restored database needs it once more"


Answering = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def answers(make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answering], str]]:
    """Runs the backfill with these answers in place of the bank's."""
    monkeypatch.setattr("checkout_service.providers.transport.sleep", lambda seconds: None)
    app = make_worker()

    def run(answer: Answering) -> str:
        app.extensions["providers"] = {"stripe": KIT.provider(answer=answer, events="thin")}
        return backfill()

    with app.app_context():
        yield run


def but_for(bank: StripeBank, answer: httpx.Response, *parts: str) -> Answering:
    """The bank's answers, and this one to every request whose path has one of these parts."""
    return lambda request: answer if any(part in request.url.path for part in parts) else bank(request)


WRONG = {
    "refused": problem(400, type="invalid_request_error"),
    "a proxy's own 404": httpx.Response(404, text="<html>no route"),
    "a proxy's own page": httpx.Response(200, text="<html>proxy"),
    "a way elsewhere": httpx.Response(302),
    "another object": httpx.Response(200, json=refund()),
    "no right": problem(403, code="more_permissions_required"),
    "away": httpx.Response(503),
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_answer_that_passes_loses_nothing(
    sql: Sql, bank: StripeBank, answers: Callable[[Answering], str], answer: httpx.Response
) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    happened(bank, "payment_intent.succeeded", OURS, ago=timedelta(hours=5))

    for _ in range(2 * listed_events.MOST_TRIES):
        assert answers(but_for(bank, answer, "payment_intents")).startswith("0 events")
    assert status_of(sql, OURS) == "pending"

    assert answers(bank).startswith("1 events")
    assert status_of(sql, OURS) == "paid"


LASTING = {name: answer for name, answer in WRONG.items() if name != "a proxy's own 404"}


@pytest.mark.parametrize("answer", LASTING.values(), ids=LASTING.keys())
def test_an_object_that_cannot_be_read_keeps_no_other_back_and_is_given_up_in_the_end(
    sql: Sql,
    bank: StripeBank,
    answers: Callable[[Answering], str],
    answer: httpx.Response,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listed_events, "MOST_REFUSED", listed_events.MOST_TRIES)
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    bad = happened(bank, "radar.early_fraud_warning.created", WARNING, 1, ago=timedelta(hours=5))
    happened(bank, "payment_intent.succeeded", OURS, 2, ago=timedelta(hours=2))
    broken = but_for(bank, answer, "radar")

    assert answers(broken).startswith("1 events")
    assert status_of(sql, OURS) == "paid"
    for number in range(3, 3 + listed_events.MOST_TRIES):
        missed(sql, bank, number)
        with structlog.testing.capture_logs() as lines:
            answers(broken)
        assert status_of(sql, f"pi_{number}") == "paid"
        given_up = [line for line in lines if line["event"] == "listed_event_given_up"]
        assert [line["event_id"] for line in given_up] == (
            [bad["id"]] if number == 1 + listed_events.MOST_TRIES else []
        )
    bank.requests.clear()
    answers(bank)
    assert reads(bank) == []
    assert windows(bank)[0][0] > datetime.now(UTC) - timedelta(hours=2), "the window is behind us"


def test_what_a_key_may_not_read_is_requested_once_a_run(
    sql: Sql, bank: StripeBank, answers: Callable[[Answering], str]
) -> None:
    for number in range(6):
        happened(bank, "radar.early_fraud_warning.created", f"{WARNING}{number}", number)
    bank.refunds[REFUND] = refund(payment_intent="pi_of_another_service")
    happened(bank, "refund.created", REFUND, 7)

    answers(but_for(bank, problem(403, code="more_permissions_required"), "radar"))

    assert reads(bank) == [f"/v1/refunds/{REFUND}"]
    requested = list[str]()

    def seen(request: httpx.Request) -> httpx.Response:
        requested.append(request.url.path)
        return but_for(bank, problem(403), "radar")(request)

    answers(seen)
    assert len([path for path in requested if "radar" in path]) == 1


def test_what_a_key_may_not_read_is_entered_once_it_may(
    sql: Sql, bank: StripeBank, answers: Callable[[Answering], str]
) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    bank.refunds[REFUND] = refund(payment_intent="pi_of_another_service")
    happened(bank, "refund.created", REFUND, 1)
    for number in range(2, 4):
        bank.objects[f"du_{number}"] = dispute("needs_response", 0, id=f"du_{number}", payment_intent=OURS)
        happened(bank, "charge.dispute.created", f"du_{number}", number)
    for number in range(4, 6 + 2 * listed_events.MOST_TRIES):  # something is answered in each run
        bank.refunds[f"re_{number}"] = refund(id=f"re_{number}", payment_intent="pi_of_another_service")
        happened(bank, "refund.created", f"re_{number}", number)
        answers(but_for(bank, problem(403), "disputes"))
    assert sql("SELECT count(*) AS count FROM disputes")[0].count == 0

    answers(bank)

    assert sql("SELECT count(*) AS count FROM disputes")[0].count == 2


def test_three_objects_in_a_row_without_an_answer_end_the_walk_and_then_stripe_is_left_alone(
    sql: Sql, bank: StripeBank, answers: Callable[[Answering], str]
) -> None:
    for number in range(6):
        insert_payment(sql, provider="stripe", provider_ref=f"pi_{number}")
        happened(bank, "payment_intent.succeeded", f"pi_{number}", number)
    requested = list[str]()

    def away(request: httpx.Request) -> httpx.Response:
        requested.append(request.url.path)
        return but_for(bank, httpx.Response(503), "payment_intents")(request)

    answers(away)
    assert {path for path in requested if "intents" in path} == {
        f"/v1/payment_intents/pi_{number}" for number in range(3)
    }
    requested.clear()
    answers(away)
    assert requested == []


@pytest.mark.usefixtures("stripe_worker")
def test_what_intents_say_too_takes_no_room_from_others(
    sql: Sql, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed_events, "MOST_READ", 5)
    monkeypatch.setattr(listed_events, "MOST_SPARE", 5)
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    happened(bank, "payment_intent.succeeded", OURS, 1, ago=timedelta(minutes=30))
    for number in range(10, 60):
        bank.objects[f"ch_{number}"] = charge(id=f"ch_{number}", payment_intent=f"pi_other{number}")
        happened(bank, "charge.succeeded", f"ch_{number}", number, ago=timedelta(minutes=90))

    backfill()

    assert status_of(sql, OURS) == "paid"
    assert len(reads(bank)) == 6
    bank.requests.clear()
    backfill()
    assert windows(bank)[0][0] > datetime.now(UTC) - timedelta(hours=2), "charges keep no window back"


@pytest.mark.usefixtures("stripe_worker")
def test_refunds_of_another_service_keep_no_payment_of_ours_waiting(
    sql: Sql, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed_events, "MOST_READ", 5)
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    for number in range(10, 22):
        bank.refunds[f"re_{number}"] = refund(id=f"re_{number}", payment_intent=f"pi_{number}", charge=f"ch_{number}")
        happened(bank, "refund.created", f"re_{number}", number, ago=timedelta(hours=20))
    happened(bank, "payment_intent.succeeded", OURS, 1, ago=timedelta(minutes=30))

    backfill()
    assert status_of(sql, OURS) == "paid"
    for _ in range(3):
        backfill()
    assert sorted(set(reads(bank))) == sorted(
        [f"/v1/payment_intents/{OURS}", *(f"/v1/refunds/re_{number}" for number in range(10, 22))]
    )
    assert len(reads(bank)) == 13


@pytest.mark.usefixtures("stripe_worker")
def test_a_refund_is_entered_after_the_payment_that_it_finds_by_its_charge(sql: Sql, bank: StripeBank) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    bank.refunds[REFUND] = refund(payment_intent=None, amount=4000, metadata={})
    happened(bank, "refund.created", REFUND, 2)
    happened(bank, "payment_intent.succeeded", OURS, 1, ago=timedelta(seconds=2))

    backfill()

    (row,) = sql("SELECT amount_captured AS captured, amount_refunded AS refunded FROM payments")
    assert (row.captured, row.refunded) == (240, 40)


@pytest.mark.usefixtures("stripe_worker")
@pytest.mark.parametrize("kind", ["refund.created", "charge.refunded"])
def test_a_refund_whose_payment_is_not_here_yet_is_read_again(sql: Sql, bank: StripeBank, kind: str) -> None:
    pay(bank)
    by_name = {"payment_intent": None} if kind == "refund.created" else {"payment_intent": OURS}
    bank.refunds[REFUND] = refund(amount=4000, metadata={}, **by_name)
    happened(bank, kind, REFUND if kind == "refund.created" else CHARGE, 2)
    backfill()

    insert_payment(sql, provider="stripe", provider_ref=OURS)
    happened(bank, "payment_intent.succeeded", OURS, 4)
    backfill()

    (row,) = sql("SELECT amount_captured AS captured, amount_refunded AS refunded FROM payments")
    assert (row.captured, row.refunded) == (240, 40)


@pytest.mark.usefixtures("stripe_worker")
def test_a_refund_that_waits_for_ours_is_read_again_as_often_as_it_takes(
    sql: Sql, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    bank.refunds[REFUND] = refund(payment_intent=OURS, amount=4000, metadata={})
    happened(bank, "payment_intent.succeeded", OURS, 1, ago=timedelta(hours=5))
    backfill()
    happened(bank, "refund.created", REFUND, 2, ago=timedelta(minutes=5))

    def waits(connection: Any, events: Any) -> Any:
        return replace(record(connection, []), effects=[Effect(Outcome.WAITING, "a refund of ours") for _ in events])

    with monkeypatch.context() as waiting:
        waiting.setattr(listed_events, "record", waits)
        for _ in range(2 * listed_events.MOST_TRIES):
            backfill()
    backfill()

    (row,) = sql("SELECT amount_captured AS captured, amount_refunded AS refunded FROM payments")
    assert (row.captured, row.refunded) == (240, 40)


@pytest.mark.usefixtures("stripe_worker")
def test_a_refused_object_is_not_requested_again(bank: StripeBank) -> None:
    happened(bank, "refund.created", "re_gone")

    backfill()
    backfill()

    assert reads(bank) == ["/v1/refunds/re_gone"]


@pytest.mark.usefixtures("stripe_worker")
def test_a_refund_that_is_here_is_requested_again_though_stripe_does_not_show_it(sql: Sql, bank: StripeBank) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    bank.refunds[REFUND] = refund(payment_intent=OURS, amount=4000, metadata={}, status="pending")
    happened(bank, "payment_intent.succeeded", OURS, 1)
    happened(bank, "refund.created", REFUND, 2)
    backfill()
    done = bank.refunds.pop(REFUND) | {"status": "succeeded"}
    happened(bank, "refund.updated", REFUND, 3)

    backfill()
    bank.refunds[REFUND] = done
    backfill()

    (row,) = sql("SELECT status FROM refunds")
    assert row.status == "succeeded"


def test_a_provider_that_is_away_ends_the_walk_and_nothing_is_marked(
    sql: Sql, make_worker: MakeWorker, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkout_service.providers.transport.sleep", lambda seconds: None)
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    happened(bank, "payment_intent.succeeded", OURS)

    def listing_alone(request: httpx.Request) -> httpx.Response:
        return bank(request) if request.url.path.endswith("/events") else httpx.Response(503)

    app = make_worker()
    with app.app_context():
        app.extensions["providers"] = {"stripe": KIT.provider(answer=listing_alone, events="thin")}
        assert backfill().startswith("0 events")
        app.extensions["providers"] = {"stripe": KIT.provider(answer=bank, events="thin")}
        assert backfill().startswith("1 events")
    assert status_of(sql, OURS) == "paid"


@pytest.mark.usefixtures("stripe_worker")
def test_what_somebody_holds_is_entered_by_the_next_run(
    sql: Sql, bank: StripeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    happened(bank, "payment_intent.succeeded", OURS)

    def held(*_: object, **__: object) -> object:
        raise DatabaseLockedError

    with monkeypatch.context() as locked:
        locked.setattr("worker.payments.listed_events.record", held)
        backfill()
    assert status_of(sql, OURS) == "pending"

    backfill()
    assert status_of(sql, OURS) == "paid"


def test_the_end_of_a_dispute_is_not_hidden_by_what_was_read_before_it_with_our_clock_ahead(
    sql: Sql, bank: StripeBank, answers: Callable[[Answering], str]
) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    bank.objects[DISPUTE] = dispute("under_review", 0, payment_intent=OURS)
    happened(bank, "payment_intent.succeeded", OURS, 1, ago=timedelta(hours=2))
    happened(bank, "charge.dispute.updated", DISPUTE, 2, ago=timedelta(minutes=2))
    read_at = datetime.now(UTC) - timedelta(seconds=100)

    def dated(request: httpx.Request) -> httpx.Response:
        answer = bank(request)
        answer.headers["Date"] = format_datetime(read_at, usegmt=True)
        return answer

    answers(dated)
    (row,) = sql("SELECT status, blocks_refund FROM disputes")
    assert (row.status, row.blocks_refund) == ("under_review", True)

    won = dispute("won", 0, payment_intent=OURS)
    body = event("charge.dispute.closed", won, number=3, created=int(read_at.timestamp()) + 50)
    webhook = sign(body, KIT.secrets[0], signed_at=datetime.now(UTC))
    delivery = sql(
        """INSERT INTO webhook_deliveries (provider, headers, body)
        VALUES ('stripe', CAST(:headers AS jsonb), :body) RETURNING id""",
        headers=json.dumps(webhook.headers),
        body=webhook.body,
    )[0]
    process(str(delivery.id))

    (row,) = sql("SELECT status, blocks_refund FROM disputes")
    assert (row.status, row.blocks_refund) == ("won", False)


@pytest.mark.parametrize("stripe_worker", ["both"], indirect=True)
@pytest.mark.usefixtures("stripe_worker")
def test_both_lists_are_one_movement(sql: Sql, bank: StripeBank) -> None:
    insert_payment(sql, provider="stripe", provider_ref=OURS)
    pay(bank)
    happened(bank, "payment_intent.succeeded", OURS)
    in_full = intent(id=OURS)
    bank.events.append(
        json.loads(event("payment_intent.succeeded", in_full, created=int(datetime.now(UTC).timestamp())))
    )

    backfill()

    assert status_of(sql, OURS) == "paid"
    (row,) = sql("SELECT sum(amount) AS captured, count(*) AS count FROM captures")
    assert (row.captured, row.count) == (240, 1)


@pytest.mark.parametrize("stripe_worker", ["snapshot"], indirect=True)
@pytest.mark.usefixtures("stripe_worker")
def test_the_list_of_thin_events_is_not_requested_unless_it_is_set(bank: StripeBank) -> None:
    cache().put("failing:stripe", b"1", seconds=60)

    backfill()

    assert cache().known(["failing:stripe"]), "nobody was asked, so nobody answered"

    assert [request.url.path for request in bank.requests] == ["/v1/events"]
