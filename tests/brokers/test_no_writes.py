"""A Redis server that answers and takes no writes ends no process, and fills no log; all go on when it takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest
from kombu import Connection, Message
from redis import Redis

from checkout_service.local.guard import Guard
from checkout_service.local.processes import Processes
from checkout_service.local.servers import Valkey, start_valkey
from checkout_service.publishing.publisher import TaskQueue
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName
from tests.conftest import Servers, Sql
from tests.flower_pages import stack as station
from tests.flower_pages.stack import eventually
from tests.no_writes import KINDS, taking_no_writes
from tests.webhook_bodies import insert_payment, insert_webhook, status_of, webhook
from worker.refusing_brokers import leave_refusing_brokers

PROCESSES = ("web", "worker", "housekeeping", "sender", "beat")
REFUSED_FOR = 6.0
"""Seconds: beat sends a dozen messages in it, and a worker's connection is looked at twice."""

MOST_LINES = 40
"""That a process may log of one such time."""

SWEEPS = (TaskName.SWEEP_WEBHOOKS, TaskName.SWEEP_PAYMENTS, TaskName.SWEEP_EVENTS)
"""A task of beat's for each kind of worker."""


@pytest.fixture
def valkeys(tmp_path: Path) -> Iterator[tuple[Valkey, Valkey]]:
    """The server that all use, and another one that it may have to follow."""
    with closing(Guard()) as guard:
        used, other = (start_valkey(tmp_path / name, guard=guard, durable=False) for name in ("used", "other"))
        with used.server, other.server:
            yield used, other


@pytest.mark.slow
def test_every_process_outlives_it_and_goes_on(
    servers: Servers, sql: Sql, tmp_path: Path, valkeys: tuple[Valkey, Valkey]
) -> None:
    used, other = valkeys
    settings = station.environment(servers, REDIS_URL=used.url)
    ready = f"http://127.0.0.1:{settings['PORT']}/readyz"
    with station.run(tmp_path, settings, *PROCESSES) as processes, Redis.from_url(used.url) as server:
        _all_work(server, processes)
        for kind, shown in KINDS.items():
            logged = _lines(tmp_path)
            with taking_no_writes(kind, used, other):
                eventually(lambda shown=shown: _checks(ready) == (200, shown, shown), within=60)
                time.sleep(REFUSED_FOR)
                processes.check()
            grown = {name: lines - logged[name] for name, lines in _lines(tmp_path).items()}
            assert max(grown.values()) < MOST_LINES, (kind, grown)
            _all_work(server, processes)
            eventually(lambda: _checks(ready) == (200, "ok", "ok"), within=60)
            reference = insert_payment(sql)
            insert_webhook(sql, webhook(reference), next_attempt_at="now() - interval '1 minute'")
            eventually(lambda reference=reference: status_of(sql, reference) == "paid", within=60)
    assert "Unrecoverable" not in "".join((tmp_path / f"{name}.log").read_text() for name in PROCESSES)


def test_a_worker_waits_for_it_whether_it_starts_or_runs(
    servers: Servers, sql: Sql, tmp_path: Path, valkeys: tuple[Valkey, Valkey]
) -> None:
    used, other = valkeys
    log = tmp_path / "worker.log"
    settings = station.environment(servers, REDIS_URL=used.url)
    with ExitStack() as running:
        for times in (1, 2):
            with taking_no_writes("demoted", used, other):
                if times == 1:
                    processes = running.enter_context(station.run(tmp_path, settings, "worker"))
                eventually(lambda times=times: log.read_text().count("worker_waits_for_broker") == times, within=60)
            eventually(lambda times=times: log.read_text().count("worker_goes_on") == times, within=60)
            reference = insert_payment(sql)
            delivery = insert_webhook(sql, webhook(reference))
            TaskQueue(Secret(used.url)).enqueue(TaskName.PROCESS_WEBHOOK, str(delivery))
            eventually(lambda reference=reference: status_of(sql, reference) == "paid", within=60)
            processes.check()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    "end", [lambda message: message.ack(), lambda message: message.requeue()], ids=["done", "back"]
)
def test_a_message_that_it_does_not_take_back_keeps_nobody_from_the_next(
    end: Callable[[Message], None], valkeys: tuple[Valkey, Valkey]
) -> None:
    leave_refusing_brokers()
    used, other = valkeys
    with Connection(used.url) as connection, connection.SimpleQueue("some") as queue:
        queue.consumer.qos(prefetch_count=1)
        queue.put("one")
        message = queue.get(timeout=10)
        assert not queue.channel.qos.can_consume()
        with taking_no_writes("demoted", used, other):
            end(message)
            assert queue.channel.qos.can_consume()


def _all_work(server: Redis, processes: Processes) -> None:
    """Beat sends, and a worker of each kind begins what it was sent."""
    for task in SWEEPS:
        for name in server.keys(f"*began:{task}"):
            server.delete(name)
        eventually(lambda task=task: server.keys(f"*began:{task}"), within=60)
    processes.check()


def _checks(ready: str) -> tuple[int, str, str]:
    """The status of /readyz, and what it shows of broker and cache."""
    answer = httpx.get(ready, timeout=30)
    checks = answer.json()["checks"]
    return answer.status_code, checks["broker"], checks["cache"]


def _lines(folder: Path) -> dict[str, int]:
    return {name: len((folder / f"{name}.log").read_text().splitlines()) for name in PROCESSES}
