"""Processing all that match: counted, confirmed, carried out in batches, stopped, and gone on with after a death."""

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

from checkout_service.webhooks import reprocessing
from tests.conftest import Servers, Sql
from tests.console.conftest import InWorker, Operator
from tests.webhook_bodies import insert_payment, insert_webhook, webhook
from worker import commands as orders
from worker.commands import carry_out
from worker.webhooks.task import process

Consuming = Callable[[], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "BATCH", 3)
    monkeypatch.setattr(reprocessing, "PATIENCE", 0.3)
    monkeypatch.setattr(orders, "PATIENCE", 0.3)


@pytest.fixture
def consuming(servers: Servers, worker_app: Flask) -> Consuming:
    """A worker for the queue of webhooks, in a thread of its own within the block."""

    @contextmanager
    def consume() -> Iterator[None]:
        over = threading.Event()
        broker = redis.Redis.from_url(servers.redis_url)

        def run() -> None:
            while not over.is_set():
                if (message := broker.rpop("webhooks")) is None:
                    over.wait(0.01)
                    continue
                (delivery_id,) = ast.literal_eval(json.loads(message)["headers"]["argsrepr"])
                with worker_app.app_context():
                    process(delivery_id)

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


def order_all(operator: Operator) -> UUID:
    page = "/ops/webhooks/process-all?state=rejected&since=2h"
    answer = operator.send(page, "/ops/webhooks/process-all", why="the secret is right again")
    assert answer.status_code == 303
    return UUID(answer.location.rpartition("/")[2])


def states(sql: Sql) -> dict[str, int]:
    return {row.state: row.number for row in sql("SELECT state, count(*) AS number FROM webhook_deliveries GROUP BY 1")}


def run_of(sql: Sql) -> Any:
    (found,) = sql("SELECT * FROM command_runs")
    return found


def test_the_count_is_shown_before_anything_is_ordered(operator: Operator, sql: Sql, rejected: list[UUID]) -> None:
    page = operator.get("/ops/webhooks/process-all?state=rejected&since=2h").text

    assert f"<strong>{len(rejected)}</strong> webhooks would be processed" in page
    assert f"Process all {len(rejected)}" in page
    assert sql("SELECT * FROM audit") == []
    assert states(sql) == {"rejected": 9, "failed": 1}


def test_all_that_match_are_processed_and_nothing_else(
    operator: Operator, sql: Sql, rejected: list[UUID], consuming: Consuming, in_worker: InWorker
) -> None:
    run = order_all(operator)
    assert "Waits for a worker to begin" in operator.get(f"/ops/runs/{run}").text
    with consuming():
        in_worker(carry_out)

    assert states(sql) == {"applied": 8, "rejected": 1, "failed": 1}
    assert sql("SELECT count(*) AS paid FROM payments WHERE status = 'paid'")[0].paid == 8
    found = run_of(sql)
    assert (found.state, found.replayed, found.results) == ("done", 8, {"applied": 8})
    page = operator.get(f"/ops/runs/{run}").text
    assert "Done: 8 processed." in page
    assert "data-again" not in page
    in_worker(carry_out)
    assert run_of(sql).updated_at == found.updated_at, "what is done stays done"


def test_a_run_is_stopped_after_its_batch(
    operator: Operator,
    sql: Sql,
    rejected: list[UUID],
    consuming: Consuming,
    in_worker: InWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = order_all(operator)
    monkeypatch.setattr(orders, "WORK_FOR", 0.0)  # one step a task
    with consuming():
        in_worker(carry_out)
        page = operator.get(f"/ops/runs/{run}").text
        assert "3 of 8 processed" in page
        assert 'data-again="1"' in page
        answer = operator.send(f"/ops/runs/{run}", f"/ops/runs/{run}/stop")
        assert answer.status_code == 303
        assert answer.location.endswith(f"/ops/runs/{run}")
        page = operator.get(f"/ops/runs/{run}").text
        assert "Stops after the batch" in page
        assert "/stop" not in page
        in_worker(carry_out)
        in_worker(carry_out)

    assert (run_of(sql).state, run_of(sql).replayed) == ("stopped", 3)
    assert states(sql) == {"applied": 3, "rejected": 6, "failed": 1}
    assert "Stopped: 3 of 8 processed, the others are as they were." in operator.get(f"/ops/runs/{run}").text
    assert [row.action for row in sql("SELECT action FROM audit ORDER BY id")] == ["process_all", "stop"]


def test_a_run_stalls_when_no_worker_comes_and_a_new_one_goes_on(
    operator: Operator, sql: Sql, rejected: list[UUID], consuming: Consuming, in_worker: InWorker
) -> None:
    run = order_all(operator)
    in_worker(carry_out)

    assert run_of(sql).state == "stalled"
    assert "no worker came to 3 webhooks within" in operator.get(f"/ops/runs/{run}").text
    assert states(sql)["rejected"] == 9
    with consuming():
        again = order_all(operator)
        in_worker(carry_out)
    assert again != run
    assert states(sql) == {"applied": 8, "rejected": 1, "failed": 1}


def test_a_run_goes_on_where_a_worker_died(
    operator: Operator,
    sql: Sql,
    rejected: list[UUID],
    consuming: Consuming,
    in_worker: InWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order_all(operator)
    with consuming():
        with monkeypatch.context() as patch:
            batches = []

            def die(*arguments: Any, **options: Any) -> None:
                batches.append(arguments)
                if len(batches) == 2:
                    raise SystemExit("killed")
                reprocessing.process_batch(*arguments, **options)

            patch.setattr(orders, "process_batch", die)
            with pytest.raises(SystemExit):
                in_worker(carry_out)
        assert run_of(sql).replayed == 3
        in_worker(carry_out)
        assert run_of(sql).replayed == 3, "under lease: its worker may be alive"

        sql("UPDATE command_runs SET leased_until = now()")
        in_worker(carry_out)

    assert (run_of(sql).state, run_of(sql).results) == ("done", {"applied": 8})
    assert states(sql) == {"applied": 8, "rejected": 1, "failed": 1}
    assert sql("SELECT count(*) AS events FROM payment_events")[0].events == 8


def test_a_step_that_slept_through_its_lease_writes_nothing(
    operator: Operator, sql: Sql, rejected: list[UUID], in_worker: InWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_all(operator)

    def sleep_over(*_: Any, **__: Any) -> None:
        sql("UPDATE command_runs SET leased_until = now() + interval '1 hour', replayed = 77")

    monkeypatch.setattr(orders, "process_batch", sleep_over)
    in_worker(carry_out)

    assert (run_of(sql).state, run_of(sql).replayed) == ("running", 77)


def test_two_workers_share_the_orders_and_each_is_carried_out_once(
    operator: Operator, sql: Sql, rejected: list[UUID], consuming: Consuming, worker_app: Flask
) -> None:
    order_all(operator)
    insert_payment(sql)
    payments = [row.id for row in sql("SELECT id FROM payments WHERE status = 'pending' LIMIT 5")]
    for payment in payments:
        operator.send(f"/ops/payments/{payment}", f"/ops/payments/{payment}/look-up")

    def work() -> None:
        with worker_app.app_context():
            carry_out()

    with consuming():
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [row.state for row in sql("SELECT DISTINCT state FROM command_runs")] == ["done"]
    asked = sql("SELECT jsonb_array_length(look_up_log) AS times FROM payments WHERE id = ANY(:ids)", ids=payments)
    assert [row.times for row in asked] == [1] * 5
    assert sql("SELECT replayed FROM command_runs WHERE replayed > 0")[0].replayed == 8


def test_an_order_that_breaks_is_refused_and_holds_no_other_back(
    operator: Operator, sql: Sql, rejected: list[UUID], in_worker: InWorker
) -> None:
    (payment,) = sql("SELECT id FROM payments LIMIT 1")
    sql("""INSERT INTO audit (key, operator, action, subject, why, details) VALUES
        (uuidv7(), 'ops', 'look_up', 'no id', '', '{}'),
        (uuidv7(), 'ops', 'look_up', gen_random_uuid()::text, '', '{}'),
        (uuidv7(), 'ops', 'process_all', '', '', '{"choice": {"colour": "red"}}')""")
    operator.send(f"/ops/payments/{payment.id}", f"/ops/payments/{payment.id}/look-up")

    in_worker(carry_out)

    found = sql("SELECT state, message FROM command_runs JOIN audit USING (id) ORDER BY id")
    assert [row.state for row in found] == ["refused", "refused", "refused", "done"]
    assert found[0].message == "it broke: ValueError"
    assert found[1].message == "there is no such payment"


def test_an_order_of_long_ago_is_not_begun(sql: Sql, in_worker: InWorker) -> None:
    sql("""INSERT INTO audit (id, key, operator, action, subject, why)
        VALUES (uuidv7(interval '-8 days'), uuidv7(), 'ops', 'look_up', gen_random_uuid()::text, '')""")
    in_worker(carry_out)
    assert sql("SELECT * FROM command_runs") == []
