"""Holds on one hot counter, beside a bare INSERT of a hold's row: on this disk, and where commits take 5 ms.

pgbench makes the load, since a client in Python costs more than either side and would make them alike.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import seeds
from benchmarks.load import CONNECTIONS, LoadError
from benchmarks.report import Report, in_turns, load_average, milliseconds, per_second
from benchmarks.stand import DATABASE, Stand
from benchmarks.usage import Usage, watched

SLOW_COMMIT = 5000
"""Microseconds that each flush of the log waits, as for a synchronous standby."""

OTHERS = 20_000
"""Customers whose sessions hold something, as in life: empty tables are read from end to end."""

# The same columns, defaults, checks and indexes.
_BARE_TABLE = """
    CREATE TABLE bare_holds (LIKE holds INCLUDING ALL);
    GRANT INSERT ON bare_holds TO checkout_web;
    CREATE TABLE holds_before AS SELECT * FROM holds;
"""
_BEGIN = """
    TRUNCATE holds, bare_holds;
    INSERT INTO holds SELECT * FROM holds_before;
    INSERT INTO bare_holds SELECT * FROM holds_before;
    UPDATE stock_counters AS counter SET reserved = coalesce(before.reserved, 0)
    FROM stock_counters AS each
    LEFT JOIN (SELECT listing_id, sum(reserved)::integer AS reserved FROM holds_before GROUP BY listing_id) AS before
        USING (listing_id)
    WHERE each.id = counter.id AND counter.reserved <> coalesce(before.reserved, 0);
"""

# As open_session calls it, each time for another payment. A customer has one or a few of them.
_HOLD_TAKE = """
    \\set number random(0, {last})
    SELECT * FROM hold_take(gen_random_uuid(), md5('user ' || :number)::uuid, gen_random_uuid(), 0,
        ARRAY[{listing}]::uuid[], ARRAY[1], 1000, sha256(uuid_send(gen_random_uuid())), 1000);
"""
_BARE = """
    \\set number random(0, {last})
    INSERT INTO bare_holds (payment_id, listing_id, user_id, qty, reserved, until)
    VALUES (gen_random_uuid(), {listing}, md5('user ' || :number)::uuid, 1, 1, now() + interval '2 minutes');
"""
_RATE = re.compile(rb"^tps = ([0-9.]+)", re.MULTILINE)
_FAILED = re.compile(rb"number of failed transactions: ([1-9][0-9]*)")


def run(stand: Stand, *, quick: bool) -> Report:
    rounds, seconds = (1, 1) if quick else (5, 4)
    report = Report(title=f"Holds, {CONNECTIONS} connections, beside a bare INSERT of a hold's row")
    report.remark(load_average())
    with stand.connect() as connection:
        scripts = _prepared(stand, connection)

        def measure(name: str, connections: int = CONNECTIONS) -> float:
            connection.execute(_BEGIN)
            connection.execute("VACUUM ANALYZE stock_counters, holds, bare_holds")
            connection.execute("CHECKPOINT")
            return at_full_speed(stand, scripts[name], seconds=seconds, connections=connections)

        usage = _compare(stand, report, measure, rounds, {"one counter": "≥ 0.45", "200 counters": "", "sold out": ""})
        commit = 1 / measure("bare", 1)
        with slow_commits(connection):
            slow = 1 / measure("bare", 1)
            _compare(stand, report, measure, rounds, {"one counter": "≥ 1"}, "commits 5 ms slow")
        report.remark(f"one bare INSERT at a time: {milliseconds(commit)}; with slow commits {milliseconds(slow)}")
    for name, used in usage.items():
        report.remark(f"processors in the turn {name}: {used}")
    return report


def _prepared(stand: Stand, connection: psycopg.Connection[Any]) -> dict[str, Path]:
    """A file for pgbench by side, and the tables behind them."""
    seeds.add_payments(connection, first=0, count=OTHERS)
    (hot,) = seeds.add_catalogue(connection, 1)
    (none,) = seeds.add_catalogue(connection, 1, stock=0)
    connection.execute(_BARE_TABLE)
    connection.execute("VACUUM ANALYZE")
    of_others = f"md5('listing ' || :number % {seeds.LISTINGS})"
    sides = {
        "bare": (_BARE, f"'{hot}'"),
        "one counter": (_HOLD_TAKE, f"'{hot}'"),
        "200 counters": (_HOLD_TAKE, of_others),
        "sold out": (_HOLD_TAKE, f"'{none}'"),
    }
    files = {}
    for name, (script, listing) in sides.items():
        files[name] = stand.place.folder / f"{name.replace(' ', '-')}.pgbench"
        files[name].write_text(script.format(last=OTHERS - 1, listing=listing), encoding="utf-8")
    return files


def _compare(
    stand: Stand, report: Report, measure: Any, rounds: int, targets: dict[str, str], where: str = ""
) -> dict[str, Usage]:
    """A line for each side beside the bare INSERT; who used the processors in the last turn of each."""
    usage: dict[str, Usage] = {}

    def watch(name: str) -> float:
        with watched(stand) as usage[name]:
            return float(measure(name))

    sides = {name: lambda name=name: watch(name) for name in ("bare", *targets)}
    for side in sides.values():
        side()
    found = in_turns(rounds, sides)
    for name, target in targets.items():
        figure = ", ".join(filter(None, (f"hold_take, {name}", where)))
        ratio = found[name] / found["bare"]
        report.add(figure, per_second(found[name]), floor=per_second(found["bare"]), ratio=ratio, target=target)
    return usage


@contextmanager
def slow_commits(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Whoever flushes the log waits before it, and everybody who waits for that flush waits along."""
    for setting in (f"commit_delay = {SLOW_COMMIT}", "commit_siblings = 0"):
        connection.execute(f"ALTER SYSTEM SET {setting}")
    connection.execute("SELECT pg_reload_conf()")
    yield
    connection.execute("ALTER SYSTEM RESET ALL")
    connection.execute("SELECT pg_reload_conf()")


def at_full_speed(stand: Stand, script: Path, *, seconds: float, connections: int) -> float:
    """Runs of a script a second, as the web's role. Raises LoadError."""
    if shutil.which("pgbench") is None:
        raise LoadError("pgbench is missing, which makes the load: apt-get install postgresql-client")
    threads = min(2, connections)
    command = ["pgbench", "--no-vacuum", "--protocol=prepared", f"--client={connections}", f"--jobs={threads}"]
    command += [f"--time={max(1, round(seconds))}", f"--file={script}", f"--host={stand.postgres.socket_folder}"]
    done = subprocess.run([*command, "--username=checkout_web", DATABASE], check=False, capture_output=True)
    rate = _RATE.search(done.stdout)
    if done.returncode or rate is None or _FAILED.search(done.stdout):
        raise LoadError(f"pgbench: {done.stderr.decode(errors='replace')}{done.stdout.decode(errors='replace')}")
    return float(rate.group(1))
