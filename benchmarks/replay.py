"""How long a replay of rejected webhooks takes, beside a drain of as many new ones, and the lag of new ones meanwhile.

REPLAY_WEBHOOKS says how many (100,000).
"""

from __future__ import annotations

import os
import time
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import psycopg

from benchmarks import drain, load, seeds
from benchmarks.report import Report, in_turns, load_average, milliseconds, per_second
from benchmarks.stand import Stand
from benchmarks.usage import Usage, watched
from checkout_service.publishing.publisher import TaskQueue
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName

WEBHOOKS = int(os.environ.get("REPLAY_WEBHOOKS") or 100_000)
RATE = 50
"""New webhooks a second while the replay goes on."""

GIVE_UP = 600.0
POLL = 0.02

# As the worker leaves a webhook that it cannot verify.
_REJECT = """
    UPDATE webhook_deliveries SET state = 'rejected', attempts = 1, next_attempt_at = NULL, detail = 'not verified',
        processed_at = now(), updated_at = now()
    WHERE state = 'received'
"""

# As the web tier writes it.
_COMMAND = """
    WITH command AS (
        INSERT INTO audit (key, door, operator, action, subject, why, details)
        VALUES (%s, 'cli', 'benchmark', 'process_all', '', '', '{"choice": {"state": "rejected"}, "counted": 1}')
        RETURNING id
    ), run AS (
        INSERT INTO command_runs (id) SELECT id FROM command
    )
    SELECT id FROM command
"""

_STATE = "SELECT state FROM command_runs WHERE id = %s"

_RESULTS = "SELECT state, count FROM command_results WHERE command_id = %s ORDER BY state"

_LAG = """
    SELECT percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP
        (ORDER BY extract(epoch FROM processed_at - received_at)::float8), count(*)
    FROM webhook_deliveries WHERE id > %s AND state = 'applied' AND attempts = 1
"""


def run(stand: Stand, *, quick: bool) -> Report:
    webhooks, rounds = (400, 1) if quick else (WEBHOOKS, 3 if WEBHOOKS <= 20_000 else 1)
    report = Report(title=f"Replay of {webhooks:,} rejected webhooks, beside the drain of as many new ones")
    report.remark(load_average())
    stand.work()
    usage: dict[str, Usage] = {}
    numbers = count(0)

    with stand.connect() as connection:

        def measure(name: str, many: int = webhooks) -> float:
            first = drain.file_webhooks(connection, stand, first=next(numbers) * WEBHOOKS, count=many)
            if name == "replay":
                connection.execute(_REJECT)
            connection.execute("VACUUM (ANALYZE) webhook_deliveries")
            connection.execute("CHECKPOINT")
            with watched(stand) as usage[name]:
                if name == "replay":
                    return replay(stand, connection)[0]
                return drain.drained(stand, connection, lambda: drain.ring(stand, first))

        for name in ("drain", "replay"):
            measure(name, min(webhooks, 2000))  # warms up: statements, connections
        found = in_turns(rounds, {name: lambda name=name: measure(name) for name in ("drain", "replay")})  # type: ignore[misc]
        report.add(
            "webhooks replayed",
            per_second(webhooks / found["replay"]),
            floor=per_second(webhooks / found["drain"]),
            ratio=found["replay"] / found["drain"],
            target="≤ 1.2 of the drain's time",
        )
        _with_new_ones(stand, connection, report, webhooks=webhooks, first=next(numbers) * WEBHOOKS)
    for name, used in usage.items():
        report.remark(f"processors in the {name}: {used}")
    return report


def replay(stand: Stand, connection: psycopg.Connection[Any]) -> tuple[float, UUID]:
    """Seconds from the command to the end of its run, and the command's id. Raises TimeoutError."""
    began = time.perf_counter()
    command = command_over_rejected(connection)
    TaskQueue(Secret(stand.environment["REDIS_URL"])).enqueue(TaskName.PROCESS_WEBHOOK, str(command))
    while (connection.execute(_STATE, (command,)).fetchone() or ["gone"])[0] != "done":
        stand.check()
        if time.perf_counter() - began > GIVE_UP:
            raise TimeoutError(f"the replay did not end: {connection.execute(_RESULTS, (command,)).fetchall()}")
        time.sleep(POLL)
    return time.perf_counter() - began, command


def command_over_rejected(connection: psycopg.Connection[Any]) -> UUID:
    """Write a command down that replays all rejected webhooks; its id."""
    row = connection.execute(_COMMAND, (uuid4(),)).fetchone()
    assert row is not None
    return UUID(str(row[0]))


def _with_new_ones(
    stand: Stand, connection: psycopg.Connection[Any], report: Report, *, webhooks: int, first: int
) -> None:
    """The lag of webhooks that come meanwhile, over HTTP and with the notifier's wake-ups."""
    seconds = 2 if webhooks < 1000 else max(2, webhooks // 12_000)
    drain.file_webhooks(connection, stand, first=first, count=webhooks)
    connection.execute(_REJECT)
    connection.execute("VACUUM (ANALYZE) webhook_deliveries")
    new = first + webhooks
    seeds.add_payments(connection, first=new, count=RATE * seconds)
    references = list(seeds.reference(connection, first=new, count=RATE * seconds))
    bodies = seeds.webhooks(iter(references), stand.environment["MOCK_WEBHOOK_SECRETS"])
    requests = load.prepare(stand, "replay", map(load.webhook, bodies))
    base = stand.serve()
    posting = load.paced(base, requests, rate=RATE, seconds=seconds)
    took, command = replay(stand, connection)
    load.finished(posting)
    time.sleep(1)
    lags, number = connection.execute(_LAG, (command,)).fetchone() or ([0, 0, 0], 0)
    results = connection.execute(_RESULTS, (command,)).fetchall()
    report.add(
        f"lag of {RATE} new ones a second: p50 · p99 · most",
        " · ".join(milliseconds(one) for one in lags),
        target="p99 < 0.5 s",
    )
    report.remark(f"{number} new ones in {seconds} s, the replay took {took:.1f} s; results {dict(results)}")
