"""Processing all that match, from the console: counted, confirmed, carried out in sets, watched and stopped.

What a replay does in the worker is in tests/worker/webhooks/test_replays.py.
"""

from __future__ import annotations

import ast
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from uuid import UUID

import pytest
import redis
from flask import Flask

from tests.conftest import Servers, Sql
from tests.console.conftest import InWorker, Operator
from tests.webhook_bodies import insert_payment, insert_webhook, webhook
from worker.commands import run_commands
from worker.webhooks import replays, task
from worker.webhooks.task import process

Consuming = Callable[[], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def _small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "REPLAY_SET", 3)


@pytest.fixture
def consuming(servers: Servers, worker_app: Flask) -> Consuming:
    """A worker for the queue of webhooks, in a thread of its own within the block; it ends with the queue empty."""

    @contextmanager
    def consume() -> Iterator[None]:
        over = threading.Event()
        broker = redis.Redis.from_url(servers.redis_url)

        def run() -> None:
            while True:
                if (message := broker.rpop("webhooks")) is None:
                    if over.wait(0.01):
                        return
                    continue
                headers = json.loads(message)["headers"]
                (argument,) = ast.literal_eval(headers["argsrepr"])
                with worker_app.app_context():
                    process.push_request(id=headers["id"], quiet=headers.get("quiet"))
                    process.run(argument)
                    process.pop_request()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            broker.close()

    return consume


@pytest.fixture
def rejected(sql: Sql) -> list[UUID]:
    """Eight webhooks, rejected while a secret was wrong, and one of another state and of another time."""
    found = [
        insert_webhook(
            sql,
            webhook(insert_payment(sql), event_id=f"evt_{number}"),
            state="'rejected'",
            attempts="1",
            processed_at="now()",
            received_at=f"now() - interval '{20 - number} seconds'",
        )
        for number in range(8)
    ]
    insert_webhook(sql, webhook(insert_payment(sql)), state="'failed'", processed_at="now()")
    insert_webhook(sql, b"{}", state="'rejected'", processed_at="now()", received_at="now() - interval '3 hours'")
    return found


def process_all(operator: Operator, state: str = "rejected") -> UUID:
    page = f"/ops/webhooks/process-all?state={state}&since=2h"
    answer = operator.send(page, "/ops/webhooks/process-all", why="the secret is right again")
    assert answer.status_code == 303
    return UUID(answer.location.rpartition("/")[2])


def states(sql: Sql) -> dict[str, int]:
    return {row.state: row.number for row in sql("SELECT state, count(*) AS number FROM webhook_deliveries GROUP BY 1")}


def run_of(sql: Sql) -> Any:
    (found,) = sql("SELECT * FROM command_runs")
    return found


def test_the_count_is_shown_before_the_command_is_given(operator: Operator, sql: Sql, rejected: list[UUID]) -> None:
    page = operator.get("/ops/webhooks/process-all?state=rejected&since=2h").text

    assert f"<strong>{len(rejected)}</strong> webhooks would be processed" in page
    assert f"Process all {len(rejected)}" in page
    assert sql("SELECT * FROM audit") == []
    assert states(sql) == {"rejected": 9, "failed": 1}


def test_all_that_match_are_processed_and_nothing_else(
    operator: Operator, sql: Sql, rejected: list[UUID], consuming: Consuming, in_worker: InWorker
) -> None:
    command = process_all(operator)
    page = operator.get(f"/ops/commands/{command}").text
    assert "Waits for a worker to begin" in page
    assert 'data-again="1"' in page
    with consuming():
        pass

    assert states(sql) == {"applied": 8, "rejected": 1, "failed": 1}
    assert sql("SELECT count(*) AS paid FROM payments WHERE status = 'paid'")[0].paid == 8
    found = run_of(sql)
    assert (found.state, found.replayed) == ("done", 8)
    page = operator.get(f"/ops/commands/{command}").text
    assert "Done: 8 processed." in page
    assert "the secret is right again" in page
    assert "data-again" not in page
    in_worker(run_commands)
    assert run_of(sql).updated_at == found.updated_at, "what is done stays done"


def test_what_is_ignored_is_processed_for_the_reason_that_the_list_was_narrowed_to(
    operator: Operator, sql: Sql, consuming: Consuming
) -> None:
    """Without it all that is ignored would be taken, of other shops too."""
    filed = {reason: insert_payment(sql) for reason in ("not_ours", "unknown_type", "nothing_to_record")}
    for reason, reference in filed.items():
        insert_webhook(
            sql,
            webhook(reference),
            state="'ignored'",
            detail=f"'{reason}: for that'",
            attempts="1",
            processed_at="now()",
        )
    listed = operator.get("/ops/webhooks?reason=not_ours").text
    assert "/ops/webhooks/process-all?reason=not_ours" in listed
    page = "/ops/webhooks/process-all?reason=not_ours"
    assert "<strong>1</strong> webhook would be processed" in operator.get(page).text

    answer = operator.send(page, "/ops/webhooks/process-all", why="the account is right again")
    with consuming():
        pass

    (row,) = sql("SELECT id, details FROM audit")
    assert row.details == {"choice": {"state": "ignored", "reason": "not_ours"}, "counted": 1}
    paid = {reference for (reference,) in sql("SELECT provider_ref FROM payments WHERE status = 'paid'")}
    assert paid == {filed["not_ours"]}
    assert states(sql) == {"applied": 1, "ignored": 2}
    shown = operator.get(answer.location).text
    assert "<dt>Ignored because</dt><dd>not_ours</dd>" in shown
    assert "Done: 1 processed." in shown
    assert "1 ignored webhooks</a>, not_ours" in operator.get("/ops/audit").text


@pytest.mark.parametrize("query", ["reason=because", "reason=not_ours&state=failed", "state=applied"])
def test_a_reason_that_cannot_be_read_or_does_not_fit_gives_no_command(
    operator: Operator, sql: Sql, query: str
) -> None:
    insert_webhook(sql, b"{}", state="'ignored'", detail="'not_ours: of another'")
    assert "would be processed" not in operator.get(f"/ops/webhooks/process-all?{query}").text
    token = "/ops/webhooks/process-all?reason=not_ours"
    fields = dict(each.split("=") for each in query.split("&"))
    answer = operator.send(token, "/ops/webhooks/process-all", why="mended", **{"reason": ""} | fields)

    assert answer.status_code == 400
    assert sql("SELECT FROM audit") == []


def test_a_replay_is_stopped_after_its_set(
    operator: Operator, sql: Sql, rejected: list[UUID], in_worker: InWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = process_all(operator)

    def one_set() -> None:
        taken = replays.take(command)
        if taken:
            task._conclude(task.read_webhooks(taken.claimed, look_up_until=0))
        replays.end_stopped(command)

    in_worker(one_set)
    page = operator.get(f"/ops/commands/{command}").text
    assert "3 of 8 processed" in page
    assert 'data-again="1"' in page
    in_worker(lambda: replays.take(command))  # a set that a worker is at
    answer = operator.send(f"/ops/commands/{command}", f"/ops/commands/{command}/stop")
    assert answer.status_code == 303
    assert answer.location.endswith(f"/ops/commands/{command}")
    page = operator.get(f"/ops/commands/{command}").text
    assert "Stops after the set" in page
    assert "/stop" not in page
    in_worker(one_set)
    assert (run_of(sql).state, run_of(sql).replayed) == ("running", 6)
    for row in sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE state = 'received' RETURNING id"):
        in_worker(process, str(row.id))

    assert (run_of(sql).state, run_of(sql).replayed) == ("stopped", 6)
    assert states(sql) == {"applied": 6, "rejected": 3, "failed": 1}
    page = operator.get(f"/ops/commands/{command}").text
    assert "Stopped: 6 of 8 processed, the others are as they were." in page
    assert [row.action for row in sql("SELECT action FROM audit ORDER BY id")] == ["process_all", "stop"]


def test_without_a_worker_it_waits_and_is_carried_out_when_one_comes(
    operator: Operator, sql: Sql, servers: Servers, rejected: list[UUID], consuming: Consuming, in_worker: InWorker
) -> None:
    process_all(operator)
    redis.Redis.from_url(servers.redis_url).delete("webhooks")
    in_worker(run_commands)
    redis.Redis.from_url(servers.redis_url).delete("webhooks")
    assert run_of(sql).state == "waiting"
    assert states(sql)["rejected"] == 9
    in_worker(run_commands)
    with consuming():
        pass
    assert run_of(sql).state == "waiting", "it was looked at a moment ago"

    sql("UPDATE command_runs SET leased_until = now()")
    in_worker(run_commands)
    with consuming():
        pass
    assert run_of(sql).state == "done"
    assert states(sql) == {"applied": 8, "rejected": 1, "failed": 1}


def test_flower_shows_the_command(operator: Operator, sql: Sql, servers: Servers, rejected: list[UUID]) -> None:
    command = process_all(operator)
    with redis.Redis.from_url(servers.redis_url) as broker:
        (sent,) = [json.loads(message)["headers"] for message in broker.lrange("payments", 0, -1)]

    (row,) = sql("SELECT key FROM audit WHERE id = :id", id=command)
    assert (sent["task"], sent["id"]) == ("commands.run", str(row.key))
    assert not sent.get("quiet")


@pytest.mark.parametrize("state", ["received", "parked"])
def test_pending_webhooks_are_sent_once_more_and_not_replayed(
    operator: Operator, sql: Sql, consuming: Consuming, in_worker: InWorker, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr("worker.commands.BATCH", 2)
    references = [insert_payment(sql) for _ in range(5)]
    for reference in references:
        insert_webhook(sql, webhook(reference), state=f"'{state}'", next_attempt_at="now()")
    process_all(operator, state)
    in_worker(run_commands)
    with consuming():
        pass

    assert states(sql) == {"applied": 5}
    run = run_of(sql)
    assert (run.state, run.replayed) == ("done", 5)
    assert sql("SELECT * FROM command_results") == []


def test_two_workers_share_the_commands_and_each_is_carried_out_once(
    operator: Operator, sql: Sql, worker_app: Flask
) -> None:
    for _ in range(5):
        insert_payment(sql)
    payments = [row.id for row in sql("SELECT id FROM payments")]
    for payment in payments:
        operator.send(f"/ops/payments/{payment}", f"/ops/payments/{payment}/look-up")

    def work() -> None:
        with worker_app.app_context():
            run_commands()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [row.state for row in sql("SELECT DISTINCT state FROM command_runs")] == ["done"]
    questions = sql("SELECT jsonb_array_length(look_up_log) AS times FROM payments WHERE id = ANY(:ids)", ids=payments)
    assert [row.times for row in questions] == [1] * 5


def test_a_command_that_breaks_is_refused_and_holds_no_other_back(
    operator: Operator, sql: Sql, rejected: list[UUID], in_worker: InWorker
) -> None:
    (payment,) = sql("SELECT id FROM payments LIMIT 1")
    sql("""WITH given AS (
            INSERT INTO audit (key, door, operator, action, subject, why, details) VALUES
            (uuidv7(), 'console', 'ops', 'look_up', 'no id', '', '{}'),
            (uuidv7(), 'console', 'ops', 'look_up', gen_random_uuid()::text, '', '{}'),
            (uuidv7(), 'console', 'ops', 'process_all', '', '', '{"choice": {"colour": "red"}}') RETURNING id
        ) INSERT INTO command_runs (id) SELECT id FROM given""")
    operator.send(f"/ops/payments/{payment.id}", f"/ops/payments/{payment.id}/look-up")

    in_worker(run_commands)

    found = sql("SELECT run.state, run.message FROM command_runs AS run ORDER BY id")
    assert [row.state for row in found] == ["refused", "refused", "refused", "done"]
    assert found[0].message == "it broke: ValueError"
    assert found[1].message == "there is no such payment"


def test_a_step_that_slept_through_its_lease_writes_nothing(
    operator: Operator, sql: Sql, in_worker: InWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_payment(sql)
    (payment,) = sql("SELECT id FROM payments")
    operator.send(f"/ops/payments/{payment.id}", f"/ops/payments/{payment.id}/look-up")

    def sleep_over(*_: Any, **__: Any) -> str:
        sql("UPDATE command_runs SET leased_until = now() + interval '1 hour', message = 'of another'")
        return "of the sleeper"

    monkeypatch.setattr("worker.commands.look_up_now", sleep_over)
    in_worker(run_commands)

    assert (run_of(sql).state, run_of(sql).message) == ("waiting", "of another")


def test_a_command_of_long_ago_is_not_begun(sql: Sql, in_worker: InWorker) -> None:
    sql("""WITH given AS (
            INSERT INTO audit (id, key, door, operator, action, subject, why)
            VALUES (uuidv7(interval '-8 days'), uuidv7(), 'console', 'ops', 'look_up', gen_random_uuid()::text, '')
            RETURNING id
        ) INSERT INTO command_runs (id, created_at) SELECT id, now() - interval '8 days' FROM given""")
    in_worker(run_commands)

    assert run_of(sql).state == "waiting"


def test_commands_about_money_are_on_the_audit_page(operator: Operator, sql: Sql) -> None:
    insert_payment(sql)
    sql("""INSERT INTO audit (key, door, operator, action, subject, why, details)
        SELECT uuidv7(), 'cli', 'ops', action, payments.id::text, '', CAST(details AS jsonb)
        FROM payments CROSS JOIN (VALUES ('accept', '{"amount": "200.00"}'),
        ('fail_capture', '{"capture_request": "019a0000-0000-7000-8000-000000000000"}')) AS made (action, details)""")

    page = operator.get("/ops/audit").get_data(as_text=True)

    assert "accept an amount" in page
    assert ", 200.00" in page
    assert "end a capture as failed" in page
