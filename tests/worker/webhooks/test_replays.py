"""Replays: once for each command, in the audit whichever door it came by, in sets where they are many."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from threading import Thread
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.commands import operations
from checkout_service.commands.models import Door
from checkout_service.commands.operations import Origin
from checkout_service.database.engine import transaction
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.delivery_states import DeliveryState
from checkout_service.providers.base import UnreadableError
from checkout_service.webhooks.selection import Choice
from tests.conftest import Sql
from tests.crowd import at_once
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import MakeWorker, Messages, webhook_row
from tests.worker.scripted import ScriptedProvider, event, thin_event
from worker import commands
from worker.commands import run_commands
from worker.webhooks import replays, task
from worker.webhooks.claims import Result, settle
from worker.webhooks.replays import claim_one, count_results, finish, take
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import WebhookFailedError, process

REJECTED = {"state": "'rejected'", "attempts": "1", "next_attempt_at": "NULL", "processed_at": "now()"}
FAILED = {"state": "'failed'", "attempts": "12", "next_attempt_at": "NULL", "processed_at": "now()"}
MISMATCH = {
    "state": "'applied'",
    "attempts": "1",
    "next_attempt_at": "NULL",
    "processed_at": "now()",
    "mismatch": "true",
}


def origin(door: Door = Door.CLI, **changes: Any) -> Origin:
    return Origin(**{"key": uuid4(), "door": door, "operator": "mira", "why": "mended"} | changes)


def command_all(app: Flask, state: DeliveryState = DeliveryState.REJECTED, **choice: Any) -> UUID:
    """A command over many, written as the web tier writes it; its messages are left where they are."""
    with app.app_context():
        return operations.process_all(Choice(state=state, **choice).to_details(), counted=1, origin=origin())


def command_one(app: Flask, delivery: UUID, given: Origin) -> None:
    with app.app_context():
        operations.process(delivery, origin=given)


def stop(app: Flask, command: UUID) -> None:
    with app.app_context():
        operations.stop(command, origin=origin())


def message(sql: Sql, delivery: UUID, *, key: UUID | None = None, quiet: bool = False) -> str:
    """Run the task as a message would: with an id, and as a wake-up where it is quiet."""
    process.push_request(id=str(key or uuid4()), quiet=quiet)
    try:
        return process.run(str(delivery))
    finally:
        process.pop_request()


def wake(sql: Sql, about: UUID) -> str:
    return message(sql, about, quiet=True)


def audit(sql: Sql) -> list[tuple[str, ...]]:
    return [tuple(row) for row in sql("SELECT door, operator, action, subject FROM audit ORDER BY id")]


def run_of(sql: Sql, command: UUID) -> tuple[str, int, dict[str, int]]:
    (run,) = sql("SELECT state, replayed FROM command_runs WHERE id = :id", id=command)
    counts = sql("SELECT state, count FROM command_results WHERE command_id = :id", id=command)
    return run.state, run.replayed, {row.state: row.count for row in counts}


def file_rejected(sql: Sql, count: int, **changes: str) -> tuple[list[str], list[UUID]]:
    references = [insert_payment(sql) for _ in range(count)]
    return references, [insert_webhook(sql, webhook(each), **REJECTED | changes) for each in references]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("columns", [REJECTED, FAILED, MISMATCH], ids=["rejected", "failed", "mismatch"])
def test_whoever_names_a_webhook_in_a_final_state_replays_it_and_is_in_the_audit(
    sql: Sql, columns: dict[str, str]
) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference), **columns)

    assert message(sql, delivery).startswith("applied")

    assert status_of(sql, reference) == "paid"
    assert audit(sql) == [("flower", "flower", "process", str(delivery))]
    (run,) = sql("SELECT id FROM command_runs")
    assert run_of(sql, run.id) == ("done", 1, {"applied": 1})
    assert webhook_row(sql, delivery).replay_of is None


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("state", ["applied", "duplicate"])
def test_what_has_a_good_result_is_not_replayed(sql: Sql, state: str) -> None:
    delivery = insert_webhook(sql, webhook(insert_payment(sql)), **REJECTED | {"state": f"'{state}'"})
    message(sql, delivery)

    assert audit(sql) == []
    assert state_of(sql, delivery) == state


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("columns", [REJECTED, FAILED, MISMATCH], ids=["rejected", "failed", "mismatch"])
def test_a_wake_up_replays_nothing_and_enters_nothing(sql: Sql, columns: dict[str, str]) -> None:
    """Else strangers could fill the audit: wake-ups name webhooks that are rejected meanwhile."""
    delivery = insert_webhook(sql, webhook(insert_payment(sql)), **columns)
    neighbour = insert_webhook(sql, webhook(insert_payment(sql)))
    before = webhook_row(sql, delivery)

    wake(sql, delivery)

    assert (webhook_row(sql, delivery).attempts, webhook_row(sql, delivery).state) == (before.attempts, before.state)
    assert audit(sql) == []
    assert state_of(sql, neighbour) == "applied", "the wake-up was not swallowed"


@pytest.mark.usefixtures("worker")
def test_the_task_finds_the_command_that_was_written_before_it(sql: Sql, app: Flask, messages: Messages) -> None:
    references, deliveries = file_rejected(sql, 1)
    given = origin(Door.CONSOLE)
    command_one(app, deliveries[0], given)
    assert messages() == [(str(deliveries[0]),)]

    message(sql, deliveries[0], key=given.key)

    assert audit(sql) == [("console", "mira", "process", str(deliveries[0]))], "no second row"
    assert status_of(sql, references[0]) == "paid"
    (run,) = sql("SELECT id FROM command_runs")
    assert run_of(sql, run.id) == ("done", 1, {"applied": 1})


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("written", [True, False], ids=["cli", "flower"])
def test_the_same_message_twice_replays_once(sql: Sql, app: Flask, written: bool) -> None:
    """The broker may deliver it again when a worker dies between its result and the acknowledgement."""
    delivery = insert_webhook(sql, webhook("mock_pi_any", secret="a guess"), **REJECTED)
    given = origin()
    if written:
        command_one(app, delivery, given)

    message(sql, delivery, key=given.key)
    assert webhook_row(sql, delivery).attempts == 2
    message(sql, delivery, key=given.key)

    assert (state_of(sql, delivery), webhook_row(sql, delivery).attempts) == ("rejected", 2)
    assert len(audit(sql)) == 1
    message(sql, delivery)
    assert webhook_row(sql, delivery).attempts == 3, "another command replays it again"
    assert len(audit(sql)) == 2


@pytest.mark.usefixtures("worker")
def test_a_key_of_another_command_replays_nothing(sql: Sql, app: Flask) -> None:
    _, (delivery, other) = file_rejected(sql, 2)
    given = origin()
    command_one(app, other, given)

    message(sql, delivery, key=given.key)

    assert state_of(sql, delivery) == "rejected"
    assert len(audit(sql)) == 1


@pytest.mark.usefixtures("worker")
def test_a_claim_that_is_rolled_back_leaves_no_audit(sql: Sql) -> None:
    _, (delivery,) = file_rejected(sql, 1)
    values = {"id": delivery, "key": uuid4(), "operator": "ops", "lease": replays.LEASE}
    with suppress(ZeroDivisionError), transaction() as connection:
        assert len(replays._CLAIM_ONE.within(connection, values)) == 1
        raise ZeroDivisionError

    assert audit(sql) == []
    assert (state_of(sql, delivery), webhook_row(sql, delivery).replay_of) == ("rejected", None)


def test_many_messages_at_once_replay_once_each_command_at_most(sql: Sql, make_worker: MakeWorker) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference), **REJECTED)
    key = uuid4()

    def one(app: Flask) -> Callable[[], Any]:
        def run() -> Any:
            with app.app_context():
                return claim_one(delivery, key=key, operator="ops")

        return run

    claimed = at_once([one(make_worker()) for _ in range(6)])

    assert len([each for each in claimed if each is not None]) == 1
    assert len(audit(sql)) == 1


@pytest.mark.usefixtures("worker")
def test_a_replay_of_many_goes_in_sets_and_is_counted(
    sql: Sql, app: Flask, monkeypatch: pytest.MonkeyPatch, messages: Messages
) -> None:
    monkeypatch.setattr(replays, "REPLAY_SET", 3)
    references, deliveries = file_rejected(sql, 8)
    unverified = insert_webhook(sql, webhook("mock_pi_any", secret="a guess"), **REJECTED)
    failed = insert_webhook(sql, webhook(insert_payment(sql)), **FAILED)
    command = command_all(app)
    later = insert_webhook(sql, webhook(insert_payment(sql)), **REJECTED)
    sets: list[int] = []
    read = task.read_webhooks
    monkeypatch.setattr(task, "read_webhooks", lambda held, **rest: (sets.append(len(held)), read(held, **rest))[1])
    assert messages() == [(str(command),)]

    assert wake(sql, command) == "0 webhooks, and 9 replayed"

    assert sets == [3, 3, 3]
    assert {status_of(sql, reference) for reference in references} == {"paid"}
    assert {state_of(sql, delivery) for delivery in deliveries} == {"applied"}
    assert [state_of(sql, each) for each in (unverified, failed, later)] == ["rejected", "failed", "rejected"]
    assert webhook_row(sql, unverified).attempts == 2, "read once, and not again after it was rejected again"
    assert webhook_row(sql, later).attempts == 1, "it came after the command"
    assert run_of(sql, command) == ("done", 9, {"applied": 8, "rejected": 1})
    assert sql("SELECT FROM webhook_deliveries WHERE replay_of IS NOT NULL") == []
    assert wake(sql, command) == "0 webhooks"
    assert webhook_row(sql, unverified).attempts == 2


@pytest.mark.usefixtures("worker")
def test_a_replay_keeps_to_its_provider_and_its_time(sql: Sql, app: Flask) -> None:
    _, (young,) = file_rejected(sql, 1)
    _, (old,) = file_rejected(sql, 1, received_at="now() - interval '3 hours'")
    (of_another,) = sql(
        """INSERT INTO webhook_deliveries (provider, body, state, next_attempt_at)
        VALUES ('stripe', '{}', 'rejected', NULL) RETURNING id"""
    )
    (moment,) = sql("SELECT now() - interval '1 hour' AS it")
    wake(sql, command_all(app, provider="mock", came_from=moment.it))

    assert [state_of(sql, each) for each in (young, old, of_another.id)] == ["applied", "rejected", "rejected"]


@pytest.mark.usefixtures("worker")
def test_mismatches_are_replayed_in_sets_too(sql: Sql, app: Flask) -> None:
    references = [insert_payment(sql) for _ in range(3)]
    deliveries = [insert_webhook(sql, webhook(each), **MISMATCH) for each in references]
    applied = insert_webhook(sql, webhook(insert_payment(sql)), **MISMATCH | {"mismatch": "false"})
    command = command_all(app, DeliveryState.APPLIED)

    wake(sql, command)

    assert run_of(sql, command) == ("done", 3, {"applied": 3})
    assert {status_of(sql, each) for each in references} == {"paid"}
    assert [webhook_row(sql, each).mismatch for each in deliveries] == [False] * 3
    assert webhook_row(sql, applied).attempts == 1


@pytest.mark.usefixtures("worker")
def test_new_webhooks_go_before_each_set(sql: Sql, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "REPLAY_SET", 2)
    file_rejected(sql, 5)
    command = command_all(app)
    seen: list[tuple[int, bool]] = []
    read = task.read_webhooks

    def read_and_file(held: Any, **rest: Any) -> Any:
        seen.append((len(held), held[0].is_replay))
        if held[0].is_replay:
            insert_webhook(sql, webhook(insert_payment(sql)))
        return read(held, **rest)

    monkeypatch.setattr(task, "read_webhooks", read_and_file)
    insert_webhook(sql, webhook(insert_payment(sql)))

    wake(sql, command)

    assert seen == [(1, False), (2, True), (1, False), (2, True), (1, False), (1, True), (1, False)]


@pytest.mark.usefixtures("worker")
def test_a_task_whose_time_is_over_calls_another_and_that_one_goes_on(
    sql: Sql, app: Flask, monkeypatch: pytest.MonkeyPatch, messages: Messages, broker: Any
) -> None:
    monkeypatch.setattr(replays, "REPLAY_SET", 2)
    clock = count()
    monkeypatch.setattr(task, "monotonic", lambda: float(next(clock)))  # a second goes by between two looks at it
    references, _ = file_rejected(sql, 5)
    command = command_all(app)
    rounds = 0
    while run_of(sql, command)[0] != "done":
        broker.delete("webhooks")
        wake(sql, command)
        rounds += 1
        assert run_of(sql, command)[0] == "done" or messages() == [(str(command),)]

    assert rounds > 1
    assert {status_of(sql, each) for each in references} == {"paid"}
    assert run_of(sql, command) == ("done", 5, {"applied": 5})


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("chunk", [1, 2**20], ids=["between the chunks of a set", "after a set"])
def test_after_a_slow_look_up_the_task_begins_nothing_that_its_time_limit_may_cut_off(
    sql: Sql, app: Flask, monkeypatch: pytest.MonkeyPatch, messages: Messages, chunk: int
) -> None:
    monkeypatch.setattr(task, "REPLAY_CHUNK", chunk)
    now = [0.0]
    monkeypatch.setattr(task, "monotonic", lambda: now[0])
    file_rejected(sql, 2)
    command = command_all(app)
    filed: list[UUID] = []
    read = task.read_webhooks

    def read_slowly(held: Any, **rest: Any) -> Any:
        assert held[0].is_replay, "a set that begins now may be killed with its task"
        filed.append(insert_webhook(sql, webhook(insert_payment(sql))))
        now[0] += 10
        return read(held, **rest)

    monkeypatch.setattr(task, "read_webhooks", read_slowly)

    wake(sql, command)

    assert [webhook_row(sql, each).attempts for each in filed] == [0]
    assert (str(command),) in messages(), "another task goes on"


@pytest.mark.usefixtures("worker")
def test_a_stop_ends_it_and_leaves_the_others_as_they_were(
    sql: Sql, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "REPLAY_SET", 2)
    _, deliveries = file_rejected(sql, 7)
    command = command_all(app)
    read = task.read_webhooks

    def read_and_stop(held: Any, **rest: Any) -> Any:
        if not sql("SELECT FROM audit WHERE action = 'stop'"):
            stop(app, command)
        return read(held, **rest)

    monkeypatch.setattr(task, "read_webhooks", read_and_stop)
    wake(sql, command)

    assert run_of(sql, command) == ("stopped", 2, {"applied": 2})
    assert [state_of(sql, each) for each in deliveries] == ["applied"] * 2 + ["rejected"] * 5
    wake(sql, command)
    assert run_of(sql, command)[1] == 2


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("state", [DeliveryState.REJECTED, DeliveryState.FAILED], ids=["claimed", "marked"])
def test_a_stop_while_a_set_is_taken_waits_for_its_results(
    sql: Sql, app: Flask, make_worker: MakeWorker, state: DeliveryState
) -> None:
    """Who ends the run waits for who takes the set, and must then see what was taken."""
    columns = REJECTED if state is DeliveryState.REJECTED else FAILED
    deliveries = [insert_webhook(sql, webhook(insert_payment(sql)), **columns) for _ in range(2)]
    command = command_all(app, state)
    stopping = make_worker()

    def end() -> None:
        with stopping.app_context():
            finish([command])

    with transaction() as connection:
        (run,) = replays._LOCK_RUN.within(connection, {"command": command})
        choice = Choice(state=state)
        take_page = replays._claim_page if state is DeliveryState.REJECTED else replays._mark_failed
        assert take_page(connection, run, choice)
        stop(app, command)
        ender = Thread(target=end)
        ender.start()
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%command_runs%'"
        deadline = monotonic() + 60
        while not sql(waiting) and monotonic() < deadline:
            sleep(0.01)
    ender.join()

    assert run_of(sql, command)[0] == "running", "what was taken has no result"
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE state = 'received'")
    run_commands()
    for each in deliveries:
        wake(sql, each)
    results = {"applied": 2} if state is DeliveryState.REJECTED else {}
    assert run_of(sql, command) == ("done", 2, results)
    assert sql("SELECT FROM webhook_deliveries WHERE replay_of IS NOT NULL") == []


@pytest.mark.usefixtures("worker")
def test_a_stop_before_any_worker_came_ends_it_too(sql: Sql, app: Flask) -> None:
    _, (failed,) = file_rejected(sql, 1)
    command = command_all(app)
    stop(app, command)
    run_commands()

    assert run_of(sql, command) == ("stopped", 0, {})
    assert state_of(sql, failed) == "rejected"


@pytest.mark.usefixtures("worker")
def test_failed_webhooks_are_marked_and_each_has_a_task_of_its_own(
    sql: Sql, app: Flask, messages: Messages, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "MARKED", 4)
    references = [insert_payment(sql) for _ in range(7)]
    deliveries = [insert_webhook(sql, webhook(each), **FAILED) for each in references]
    command = command_all(app, DeliveryState.FAILED)
    broker.delete("webhooks")

    wake(sql, command)

    assert messages() == [(str(each),) for each in deliveries[:4]], "in bounded numbers"
    assert {row.state for row in sql("SELECT state FROM webhook_deliveries")} == {"failed"}
    while waiting := messages():
        assert len(waiting) <= 4
        broker.rpop("webhooks")
        assert wake(sql, UUID(waiting[0][0])).startswith("applied")
    assert {status_of(sql, each) for each in references} == {"paid"}
    assert run_of(sql, command) == ("done", 7, {"applied": 7})
    assert {row.attempts for row in sql("SELECT attempts FROM webhook_deliveries")} == {13}


@pytest.mark.usefixtures("worker")
def test_a_marked_webhook_whose_message_was_lost_is_found_by_the_sweep(
    sql: Sql, app: Flask, messages: Messages, broker: Any
) -> None:
    delivery = insert_webhook(sql, webhook(insert_payment(sql)), **FAILED)
    command = command_all(app, DeliveryState.FAILED)
    wake(sql, command)
    broker.delete("webhooks")
    sweep()
    assert messages() == [], "its message may be on its way"
    sql("UPDATE webhook_deliveries SET updated_at = now() - interval '6 seconds'")

    sweep()

    assert messages() == [(str(delivery),)]
    wake(sql, delivery)
    assert run_of(sql, command) == ("done", 1, {"applied": 1})


@pytest.mark.usefixtures("worker")
def test_a_stop_gives_back_what_was_marked(sql: Sql, app: Flask) -> None:
    delivery = insert_webhook(sql, webhook(insert_payment(sql)), **FAILED)
    command = command_all(app, DeliveryState.FAILED)
    wake(sql, command)
    assert webhook_row(sql, delivery).replay_of == command
    # Marked up to the last one, so that only what is on its way could be stopped; here there is more to come.
    sql("UPDATE command_runs SET all_taken = false")
    stop(app, command)
    run_commands()

    assert webhook_row(sql, delivery).replay_of is None
    wake(sql, delivery)
    assert (state_of(sql, delivery), run_of(sql, command)[0]) == ("failed", "stopped")


@pytest.mark.usefixtures("worker")
def test_what_fails_in_a_set_ends_as_the_failure_of_its_own_task(
    sql: Sql, app: Flask, break_recording: Callable[[str], None], messages: Messages
) -> None:
    references, deliveries = file_rejected(sql, 5)
    break_recording(references[2])
    command = command_all(app)
    wake(sql, command)

    cursed = deliveries.pop(2)
    assert {state_of(sql, each) for each in deliveries} == {"applied"}
    row = webhook_row(sql, cursed)
    assert (row.state, row.replay_of) == ("received", command)
    assert row.due_in <= 0
    assert run_of(sql, command) == ("running", 5, {"applied": 4}), "it is not over"
    sweep()
    assert (str(cursed),) in messages()

    with pytest.raises(WebhookFailedError, match=f"{cursed}.*cursed"):
        wake(sql, cursed)
    assert run_of(sql, command) == ("done", 5, {"applied": 4, "failed": 1})
    assert state_of(sql, cursed) == "failed"


@pytest.mark.usefixtures("worker")
def test_one_that_was_replayed_often_still_gets_its_own_attempt(
    sql: Sql, app: Flask, break_recording: Callable[[str], None]
) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference), **REJECTED | {"attempts": "30"})
    break_recording(reference)
    wake(sql, command_all(app))

    with pytest.raises(WebhookFailedError, match="cursed"):
        wake(sql, delivery)


@pytest.mark.usefixtures("worker")
def test_a_set_whose_worker_died_goes_alone_and_the_command_ends(sql: Sql, app: Flask, messages: Messages) -> None:
    references, deliveries = file_rejected(sql, 3)
    command = command_all(app)
    taken = take(command)
    assert [each.id for each in taken.claimed] == deliveries
    assert wake(sql, command) == "0 webhooks, and 0 replayed"
    assert run_of(sql, command) == ("running", 3, {}), "nothing is taken twice, and nothing is over"
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")

    sweep()
    assert set(messages()) >= {(str(each),) for each in deliveries}
    for each in deliveries:
        assert wake(sql, each).startswith("applied")

    assert {status_of(sql, each) for each in references} == {"paid"}
    assert run_of(sql, command) == ("done", 3, {"applied": 3})


@pytest.mark.usefixtures("worker")
def test_one_that_was_replayed_often_is_tried_alone_after_its_worker_died(sql: Sql, app: Flask) -> None:
    (reference,), (delivery,) = file_rejected(sql, 1, attempts="12")
    command = command_all(app)
    assert take(command).claimed, "and its worker dies"
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")

    wake(sql, delivery)

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")


@pytest.mark.usefixtures("worker")
def test_a_crash_before_the_claim_is_committed_leaves_the_cursor_where_it_was(
    sql: Sql, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, deliveries = file_rejected(sql, 3)
    command = command_all(app)

    def die(*_: Any, **__: Any) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(replays, "claimed_webhook", die)
        with pytest.raises(SystemExit):
            take(command)
    assert {state_of(sql, each) for each in deliveries} == {"rejected"}
    assert run_of(sql, command)[1] == 0

    wake(sql, command)
    assert run_of(sql, command) == ("done", 3, {"applied": 3})


@pytest.mark.usefixtures("worker")
def test_a_sleeper_counts_nothing(sql: Sql, app: Flask) -> None:
    """Results are counted where they are written, so what a lost lease keeps out is not counted either."""
    file_rejected(sql, 1)
    command = command_all(app)
    (asleep,) = take(command).claimed
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    wake(sql, asleep.id)
    with transaction() as connection:
        written = settle(connection, [Result(webhook=asleep, state=DeliveryState.FAILED)])
        count_results(connection, written)

    assert run_of(sql, command) == ("done", 1, {"applied": 1})


def test_two_workers_and_two_commands_over_the_same_webhooks_replay_each_once_for_a_command(
    sql: Sql, make_worker: MakeWorker, worker: Flask, monkeypatch: pytest.MonkeyPatch, app: Flask
) -> None:
    monkeypatch.setattr(replays, "REPLAY_SET", 5)
    references, deliveries = file_rejected(sql, 60)
    unverified = [insert_webhook(sql, webhook("any", secret="guess", number=n), **REJECTED) for n in range(20)]
    commands = [command_all(app) for _ in range(2)]

    def working(each: Flask, command: UUID) -> Callable[[], None]:
        def work() -> None:
            with each.app_context():
                process.push_request(quiet=True)
                try:
                    process.run(str(command))
                finally:
                    process.pop_request()

        return work

    at_once([working(make_worker(), command) for command in commands * 2])
    for command in commands:
        finish([command])

    results = [run_of(sql, command) for command in commands]
    assert [state for state, _, _ in results] == ["done", "done"]
    assert sum(counts.get("applied", 0) for _, _, counts in results) == 60
    assert {state_of(sql, each) for each in deliveries} == {"applied"}
    assert {status_of(sql, each) for each in references} == {"paid"}
    assert sql("SELECT count(*) FROM payment_events")[0].count == 60
    attempts = [webhook_row(sql, each).attempts for each in unverified]
    assert set(attempts) <= {2, 3}, "at least by one command, and by none twice"
    assert sum(counts.get("rejected", 0) for _, _, counts in results) == sum(attempts) - 20


@pytest.mark.usefixtures("worker")
def test_a_replay_obeys_the_bounds_of_rejected_ones(sql: Sql, make_worker: MakeWorker, app: Flask) -> None:
    kept = [
        insert_webhook(
            sql, webhook("any", secret="guess", number=number), **REJECTED, received_at="now() - interval '1 hour'"
        )
        for number in range(4)
    ]
    command = command_all(app)
    with make_worker(rejected_max_rows=4).app_context():
        taken = take(command)
        newest = [insert_webhook(sql, webhook("any", secret="guess", more=number)) for number in range(3)]
        wake(sql, newest[0])
        assert sql("SELECT count(*) FROM webhook_deliveries WHERE state = 'rejected'")[0].count == 3
        task._conclude(task.read_webhooks(taken.claimed, look_up_until=0))

    assert [row.id for row in sql("SELECT id FROM webhook_deliveries ORDER BY id")] == kept
    assert {row.state for row in sql("SELECT state FROM webhook_deliveries")} == {"rejected"}


@pytest.mark.usefixtures("worker")
def test_large_webhooks_are_replayed_a_chunk_at_a_time(sql: Sql, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    references = [insert_payment(sql) for _ in range(5)]
    for each in references:
        insert_webhook(sql, webhook(each, padding="x" * 20_000), **REJECTED)
    sizes: list[int] = []
    read = task.read_webhooks
    monkeypatch.setattr(task, "read_webhooks", lambda held, **rest: (sizes.append(len(held)), read(held, **rest))[1])
    monkeypatch.setattr(task, "REPLAY_CHUNK", 45_000)
    command = command_all(app)

    wake(sql, command)

    assert sizes == [2, 2, 1]
    assert run_of(sql, command) == ("done", 5, {"applied": 5})


def test_a_new_webhook_that_fails_for_good_in_a_set_fails_in_a_task_of_its_own(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    """Of a payment of ours that never came, when no worker ran for days."""
    scripted.webhooks[b"{}"] = [event("ours", "paid", payment_id=uuid4())]
    delivery = insert_webhook(sql, b"{}", received_at="now() - interval '4 days'")

    wake(sql, delivery)
    assert (state_of(sql, delivery), webhook_row(sql, delivery).attempts) == ("received", 1)

    with pytest.raises(WebhookFailedError, match="never came"):
        wake(sql, delivery)
    assert state_of(sql, delivery) == "failed"


def test_one_that_fails_is_a_failure_also_where_the_database_is_lost_before_its_command_is_closed(
    sql: Sql, scripted: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.webhooks[b"{}"] = UnreadableError("no event")
    delivery = insert_webhook(sql, b"{}", **FAILED)

    def lose(_commands: Any) -> None:
        raise DatabaseUnavailableError

    with monkeypatch.context() as patched:
        patched.setattr(task, "finish", lose)
        with pytest.raises(WebhookFailedError, match="no event"):
            message(sql, delivery)

    run_commands()
    assert [row.state for row in sql("SELECT state FROM command_runs")] == ["done"]


@pytest.mark.parametrize("looked_up", [True, False])
def test_what_a_set_has_no_time_to_look_up_gets_a_task_of_its_own(
    sql: Sql, app: Flask, scripted: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, looked_up: bool
) -> None:
    reference = insert_payment(sql)
    scripted.webhooks = {b"{}": [thin_event(reference)]}
    scripted.truths = {reference: [event(reference, "paid")]}
    delivery = insert_webhook(sql, b"{}", **REJECTED)
    command = command_all(app)
    monkeypatch.setattr(task, "REPLAY_LOOK_UP_FOR", 5.0 if looked_up else -1.0)

    wake(sql, command)

    assert state_of(sql, delivery) == ("applied" if looked_up else "received")
    if not looked_up:
        assert wake(sql, delivery).startswith("applied")
    assert run_of(sql, command) == ("done", 1, {"applied": 1})
    assert status_of(sql, reference) == "paid"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    "choice",
    [
        {"colour": "red"},
        {"state": "rejected", "colour": "red"},
        {"state": "rejected", "reason": "not_ours"},
        {"state": "ignored", "reason": "red"},
    ],
    ids=str,
)
def test_a_command_that_nobody_understands_is_refused(sql: Sql, app: Flask, choice: dict[str, str]) -> None:
    with app.app_context():
        command = operations.process_all(choice, counted=1, origin=origin())
    assert wake(sql, command) == "0 webhooks, and 0 replayed"
    run_commands()

    assert run_of(sql, command)[0] == "refused"


@pytest.mark.usefixtures("worker")
def test_a_command_about_a_pending_webhook_gets_one_attempt_too(
    sql: Sql, app: Flask, break_recording: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is due by itself, so its task claims it like any other; what fails then waits for another command."""
    monkeypatch.setattr(commands, "LOOK_AGAIN", timedelta(0))
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference), attempts="11", next_attempt_at="now()")
    break_recording(reference)
    given = origin()
    command_one(app, delivery, given)

    with pytest.raises(WebhookFailedError, match="cursed"):
        message(sql, delivery, key=given.key)
    run_commands()

    assert (state_of(sql, delivery), webhook_row(sql, delivery).replay_of) == ("failed", None)
    (run,) = sql("SELECT state, message FROM command_runs")
    assert tuple(run) == ("done", "no replay was needed, it was due by itself")


def test_no_further_set_is_taken_while_many_wait_for_tasks_of_their_own(
    sql: Sql, app: Flask, scripted: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all have to be looked up, a set leaves nearly all of them alone; others that are due come after those."""
    monkeypatch.setattr(replays, "REPLAY_SET", 2)
    monkeypatch.setattr(replays, "MARKED", 2)
    monkeypatch.setattr(task, "REPLAY_LOOK_UP_FOR", -1.0)
    reference = insert_payment(sql)
    scripted.webhooks = {b"{}": [thin_event(reference)]}
    deliveries = [insert_webhook(sql, b"{}", **REJECTED) for _ in range(5)]
    command = command_all(app)

    for taken in (2, 4, 5):
        wake(sql, command)
        wake(sql, command)
        assert run_of(sql, command)[:2] == ("running", taken)
        for each in deliveries[:taken]:
            wake(sql, each)

    assert run_of(sql, command) == ("done", 5, {"ignored": 5})
