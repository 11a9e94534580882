"""How long a webhook waits while a part of the table leaves it: as this release does it, and as the one before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import load
from benchmarks.report import Report, milliseconds, per_second
from benchmarks.stand import Stand
from worker.webhooks.parts import PAUSE, TRIES

KEEP = "30 days"
_PARTS = "SELECT name FROM webhooks_parts_over(%s)"
_ROWS = "SELECT reltuples::bigint FROM pg_class WHERE relname = %s"
_BEFORE = "SELECT part FROM webhooks_drop_part(%s)"
_EMPTY = "SELECT part FROM webhooks_empty_part(%s)"
_DETACH = "SELECT part FROM webhooks_detach_part(%s, %s)"

Call = Callable[[psycopg.Connection[Any]], str]


def leave(stand: Stand, report: Report, base: str, requests: Path, *, seconds: float) -> None:
    """Webhooks come at half of the most that is taken; meanwhile one part leaves at a time, the oldest first."""
    rate = load.full_speed(base, requests, seconds=seconds).rate / 2
    with stand.connect() as connection:
        for part in connection.execute(_PARTS, (KEEP,)).fetchall()[:1]:
            if _rows(connection, part[0]) <= 0:  # what was there before the first day
                connection.execute(_BEFORE, (KEEP,))
        alone = _paced(base, requests, rate, seconds, lambda: None)
        _tell(report, "no part leaves", alone, rate)
        with _reader(stand):
            held = _paced(base, requests, rate, seconds, lambda: as_before(connection))
            _tell(report, "somebody reads the table: as before", held, rate)
            held = _paced(base, requests, rate, seconds, lambda: as_now(connection))
            _tell(report, "somebody reads the table: as now", held, rate)
        for name, call in {"as before": as_before, "as now": as_now, "as now once more": as_now}.items():
            over = [row[0] for row in connection.execute(_PARTS, (KEEP,))]
            rows = _rows(connection, over[0]) if over else 0
            took: list[str] = []
            done = partial(_note, took, call, connection)
            beside = _paced(base, requests, rate, seconds, done)
            _tell(report, f"a part of {rows:,} rows leaves: {name}", beside, rate)
            report.remark(f"{name}: {took[0]}")


def _note(took: list[str], call: Call, connection: psycopg.Connection[Any]) -> None:
    took.append(call(connection))


def as_before(connection: psycopg.Connection[Any]) -> str:
    began = time.perf_counter()
    part = _one(connection, _BEFORE, KEEP)
    return f"{part or 'none'}, in one step, {milliseconds(time.perf_counter() - began)}"


def as_now(connection: psycopg.Connection[Any]) -> str:
    """As ``webhooks.parts`` does it."""
    began = time.perf_counter()
    emptied = _one(connection, _EMPTY, KEEP)
    seconds, tries = time.perf_counter() - began, 0
    while tries < TRIES:
        began = time.perf_counter()
        part = _one(connection, _DETACH, KEEP, tries == TRIES - 1)
        tries += 1
        if part != "locked":
            break
        time.sleep(PAUSE)
    last = milliseconds(time.perf_counter() - began)
    return f"{emptied or 'none'} emptied in {milliseconds(seconds)}; {part or 'none'} at try {tries}, {last}"


def _paced(base: str, requests: Path, rate: float, seconds: float, meanwhile: Callable[[], object]) -> load.Answers:
    """What came back while something else was done once, in the middle."""
    paced = load.paced(base, requests, rate=rate, seconds=seconds)
    time.sleep(seconds / 2)
    meanwhile()
    return load.finished(paced)


def _tell(report: Report, name: str, answers: load.Answers, rate: float) -> None:
    shown = f"{milliseconds(answers.p99)} · {milliseconds(answers.longest)}"
    report.add(f"webhooks taken at {per_second(rate)}, {name}: p99 · longest", shown)


@contextmanager
def _reader(stand: Stand) -> Iterator[None]:
    """Somebody who has read the table and does not end, as a long report does."""
    with stand.connect() as connection, connection.transaction():
        connection.execute("SELECT FROM webhook_deliveries LIMIT 1")
        yield


def _rows(connection: psycopg.Connection[Any], part: str) -> int:
    return int(_one(connection, _ROWS, part) or 0)


def _one(connection: psycopg.Connection[Any], query: str, *values: object) -> Any:
    row = connection.execute(query.encode(), values).fetchone()
    return row[0] if row else None
