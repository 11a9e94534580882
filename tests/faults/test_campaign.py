"""A short cut of the campaign, which ``make faults`` runs in full; and each broken promise is found out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from checkout_service.payments.status import PaymentStatus
from tests.faults import invariant
from tests.faults.campaign import SHARED, Campaign, open_campaign
from tests.faults.faults import fault
from tests.faults.goods import check_goods
from tests.faults.invariant import check
from tests.faults.journal import Journal
from tests.faults.load import Load
from tests.faults.stack import House
from tests.faults.wire import Wire

PAYMENTS_A_SECOND = 12.0


@pytest.fixture(scope="module")
def campaign(shared_house: House) -> Iterator[Campaign]:
    shared_house.await_whole()
    with open_campaign(shared_house, payments_a_second=PAYMENTS_A_SECOND) as campaign:
        yield campaign


@pytest.fixture(scope="module")
def campaign_on_rabbitmq(house_on_rabbitmq: House) -> Iterator[Campaign]:
    house_on_rabbitmq.await_whole()
    with open_campaign(house_on_rabbitmq, payments_a_second=PAYMENTS_A_SECOND) as campaign:
        yield campaign


@pytest.mark.parametrize(
    ("name", "busy"),
    [
        ("a web child: SIGKILL", True),
        ("PostgreSQL: immediate stop", False),
        # Webhooks under lease when their worker or the database dies wait for its end, half a minute.
        pytest.param("everything: SIGKILL", True, marks=pytest.mark.slow),
        pytest.param("a worker child: SIGKILL", True, marks=pytest.mark.slow),
        pytest.param("the worker: frozen 5 s", False, marks=pytest.mark.slow),
        pytest.param("Valkey: SIGKILL, data lost", True, marks=pytest.mark.slow),
        pytest.param("PostgreSQL: SIGKILL", True, marks=pytest.mark.slow),
        pytest.param("PostgreSQL: immediate stop", True, marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(300)
def test_what_was_answered_is_true_whatever_fails(campaign: Campaign, name: str, busy: bool) -> None:
    done = campaign.strike(fault(name), busy=busy)

    assert done.deliveries > 0
    assert done.keys > 0
    assert done.sold_out > 0
    assert done.arrived > done.events > 0
    assert not done.wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "busy"),
    [("RabbitMQ: SIGKILL, data lost", True), ("RabbitMQ: frozen 5 s", True), ("Valkey: SIGKILL", True)],
)
@pytest.mark.timeout(300)
def test_what_was_answered_is_true_on_rabbitmq_as_well(campaign_on_rabbitmq: Campaign, name: str, busy: bool) -> None:
    done = campaign_on_rabbitmq.strike(fault(name), busy=busy)

    assert done.deliveries > 0
    assert done.keys > 0
    assert not done.wrong


@pytest.fixture(scope="module")
def kept(shared_house: House) -> Journal:
    """Promises that were kept; each test below tells one of them otherwise, and takes that back."""
    shared_house.await_whole()
    load = Load(
        lambda: Wire(shared_house.address),
        shared_house.environment,
        shared_house.listing(),
        payments_a_second=20,
        scarce=[shared_house.scarce_listing(10)],
    )
    load.start()
    time.sleep(1)
    return load.finish(within=30)


def _wrong(house: House, journal: Journal) -> list[str]:
    _, wrong = check(house, journal, children={name: len(house.children(name)) for name in SHARED})
    return wrong


def _some_token(journal: Journal) -> str:
    return next(token for token in journal.events if journal.status_of(token) is PaymentStatus.PAID)


def _another_webhook(journal: Journal) -> None:
    journal.deliveries.add(str(uuid4()))


def _another_event(journal: Journal) -> None:
    journal.events[_some_token(journal)]["evt_never_sent"] = PaymentStatus.FAILED


def _one_event_less(journal: Journal) -> None:
    events = journal.events[_some_token(journal)]
    del events[next(event for event, status in events.items() if status is PaymentStatus.FAILED)]


def _another_status(journal: Journal) -> None:
    events = journal.events[_some_token(journal)]
    events[next(event for event, status in events.items() if status is PaymentStatus.PAID)] = PaymentStatus.REVERSED


def _another_answer(journal: Journal) -> None:
    journal.keys[0] = replace(journal.keys[0], answer=journal.keys[0].answer | {"amount": "0.01"})


def test_what_was_kept_is_not_wrong(house: House, kept: Journal) -> None:
    assert kept.deliveries
    assert _wrong(house, kept) == []


@pytest.mark.parametrize(
    ("tell_otherwise", "found"),
    [
        (_another_webhook, "1 webhooks that were answered 202 are gone"),
        (_another_event, "was never recorded"),
        (_one_event_less, "nobody sent it"),
        (_another_status, "its events say reversed"),
        (_another_answer, "replays 201"),
    ],
)
def test_a_promise_that_was_not_kept_is_found_out(
    house: House, kept: Journal, tell_otherwise: Callable[[Journal], None], found: str
) -> None:
    journal = Journal(
        events={token: dict(events) for token, events in kept.events.items()},
        deliveries=set(kept.deliveries),
        keys=list(kept.keys),
    )
    tell_otherwise(journal)

    (wrong,) = _wrong(house, journal)

    assert found in wrong


def test_a_child_that_is_missing_is_found_out(house: House, kept: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariant, "REPLACED_WITHIN", 0.5)
    _, wrong = check(house, kept, children={"web": len(house.children("web")) + 1})

    assert wrong == ["web has 2 children, and began with 3"]


@pytest.mark.parametrize(
    ("break_it", "found"),
    [
        ("UPDATE stock_counters SET reserved = reserved + 1 WHERE reserved > 0", "but its counter says"),
        ("UPDATE listings SET stock = 1 WHERE stock < 20", ": 1 there, "),
        ("UPDATE holds SET qty = qty + 1, reserved = reserved + 1", "do not hold what they sell"),
        ("UPDATE holds SET state = 'held', until = now() - interval '2 minutes'", "ended more than"),
        ("UPDATE orders SET number = number + 1000000 WHERE number = 1", "numbers, from 2 to 1000001"),
        ("UPDATE orders SET number = NULL WHERE number = 1", "numbers, from 2"),
        ("UPDATE order_lines SET line_total = 0", "do not add up"),
        ("DELETE FROM order_lines; DELETE FROM orders", "0 orders, 0 reasons"),
        ("DELETE FROM order_lines; DELETE FROM orders", "neither an order nor a reason"),
    ],
)
def test_orders_and_pieces_that_are_not_as_promised_are_found_out(
    house: House, kept: Journal, break_it: str, found: str
) -> None:
    with house.superuser() as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(break_it)
        wrong = list(check_goods(lambda query, **values: connection.execute(query, values).fetchall(), kept))
        connection.rollback()

    assert any(found in line for line in wrong), wrong
