"""Erasing a person takes them out of the events of their payments, of those that wait and of those that were sent."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from flask import Flask

from checkout_service.commands.models import Door
from checkout_service.commands.operations import Origin, erase
from checkout_service.privacy.export import held_of
from tests.conftest import MakeListing, Sql
from tests.money import fold
from tests.ordering import ADDRESS, BUYER, paid_order
from tests.privacy.test_erasing import everything
from tests.refunding import insert_refund, open_payment
from tests.worker.conftest import worker
from worker.commands import run_commands
from worker.events.sequencer import sequence_events

__all__ = ["worker"]  # fixtures

NAME = BUYER["name"]


def purchase(sql: Sql, listing: dict[str, Any], user: UUID) -> UUID:
    """The payment of an order that was bought, and given back with words about its customer."""
    _, payment = paid_order(sql, (listing, 1), owner=user, buyer=BUYER, address=ADDRESS)
    insert_refund(sql, payment, None, reason=f"'{NAME} changed her mind'")
    sql("UPDATE refunds SET status = 'succeeded', provider_ref = id::text WHERE payment_id = :id", id=payment)
    fold(sql, payment)
    return payment


def failed_attempt(sql: Sql, payment: UUID) -> None:
    """An endpoint that answered with words about the customer."""
    sql(
        """WITH endpoint AS (
            INSERT INTO webhook_endpoints (url, place) VALUES ('https://shop.example/hook', 0) RETURNING id
        )
        INSERT INTO event_attempts (endpoint_id, event_id, type, attempt, succeeded, status, answer, duration_ms)
        SELECT endpoint.id, event.id, event.type, 1, false, 500, convert_to('no such customer: ' || :name, 'UTF8'), 3
        FROM endpoint, events AS event WHERE event.lane = :payment""",
        payment=payment,
        name=NAME,
    )


def bodies(sql: Sql, *lanes: UUID) -> list[dict[str, Any]]:
    return [
        row.body
        for row in sql("SELECT body::json AS body FROM events WHERE lane = ANY(:lanes) ORDER BY id", lanes=list(lanes))
    ]


def test_events_keep_what_happened_and_name_nobody(
    sql: Sql, app: Flask, worker: Flask, make_listing: MakeListing
) -> None:
    listing, user, neighbour = make_listing(stock=20), uuid4(), uuid4()
    sent = purchase(sql, listing, user)
    sequence_events()
    failed_attempt(sql, sent)
    waiting = purchase(sql, listing, user)
    others = purchase(sql, listing, neighbour)
    before, kept = bodies(sql, sent, waiting), bodies(sql, others)
    assert {"order", "refund", "payment"} <= {row.object_type for row in sql("SELECT object_type FROM events")}
    assert str(before).count(NAME) >= 8
    with app.app_context():
        exported = list(held_of(user))
    assert str([row for row in exported if row["kind"] == "log_event"]).count(NAME) == str(before).count(NAME)
    assert {row["kind"] for row in exported} >= {"event_attempt", "log_event"}

    with app.app_context():
        command = erase(user, origin=Origin(key=uuid4(), door=Door.CLI, operator="ops", why="a request in writing"))
    run_commands()

    assert sql("SELECT state FROM command_runs WHERE id = :id", id=command)[0].state == "done"
    after = bodies(sql, sent, waiting)
    subject = str(sql("SELECT DISTINCT user_id FROM payments WHERE id = ANY(:ids)", ids=[sent, waiting])[0].user_id)
    personal = {"buyer", "delivery_address", "reason"}
    for old, new in zip(before, after, strict=True):
        assert new == {
            name: subject if name == "customer" else None if name in personal else value for name, value in old.items()
        }
    assert bodies(sql, others) == kept
    assert {row.answer for row in sql("SELECT answer FROM event_attempts")} == {None}
    left = everything(sql)
    assert str(user) not in left.replace(f'"subject": "{user}"', "")
    with app.app_context():
        assert [row for row in held_of(user) if row["kind"] in {"log_event", "event_attempt"}] == []


def test_an_answer_to_what_was_in_flight_while_somebody_was_erased_goes_at_the_end(
    sql: Sql, app: Flask, worker: Flask, make_listing: MakeListing
) -> None:
    """It was written just when the event was struck out, so that neither knew of the other."""
    user = uuid4()
    payment = purchase(sql, make_listing(stock=5), user)
    with app.app_context():
        command = erase(user, origin=Origin(key=uuid4(), door=Door.CLI, operator="ops", why="a request in writing"))
    while sql("SELECT * FROM person_erase_step(:id)", id=command)[0].kind != "log":
        pass
    failed_attempt(sql, payment)

    run_commands()

    assert sql("SELECT state FROM command_runs WHERE id = :id", id=command)[0].state == "done"
    assert {row.answer for row in sql("SELECT answer FROM event_attempts")} == {None}


def test_what_happens_later_is_of_the_random_subject(
    sql: Sql, app: Flask, worker: Flask, make_listing: MakeListing
) -> None:
    """An event that was written by its old name, in the moment before its payment changed hands, goes as well."""
    user = uuid4()
    payment = purchase(sql, make_listing(stock=5), user)
    open_payment(sql, owner=uuid4())
    with app.app_context():
        command = erase(user, origin=Origin(key=uuid4(), door=Door.CLI, operator="ops", why="a request in writing"))
    while (step := sql("SELECT * FROM person_erase_step(:id)", id=command)[0]).kind != "payments":
        assert step.kind != "done"
    sql(
        """INSERT INTO events (type, object_type, object_id, version, lane, body)
        SELECT 'order.fulfilled', 'order', uuidv7(), 9, :lane, :body""",
        lane=payment,
        body='{"customer": "%s", "buyer": {"name": "%s"}, "lines": [1]}' % (user, NAME),  # noqa: UP031 (braces)
    )

    run_commands()

    assert sql("SELECT state FROM command_runs WHERE id = :id", id=command)[0].state == "done"
    assert (str(bodies(sql, payment)).count(str(user)), str(bodies(sql, payment)).count(NAME)) == (0, 0)
    assert bodies(sql, payment)[-1]["lines"] == [1]
