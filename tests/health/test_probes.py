"""Probes are answered from memory: by what a thread saw last, and never by a look at that moment."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from checkout_service.health import probes as probing
from checkout_service.health.probes import FRESH_FOR, Probes
from checkout_service.health.readiness import Readiness
from checkout_service.server.wsgi_adapter import PROBES_KEY
from checkout_service.settings.secret import Secret
from tests.own_apps import MakeApp

GOOD = {"database": "ok", "migrations": "ok", "broker": "ok", "cache": "ok"}


class Look:
    """What the thread is shown; it counts how often it looked."""

    def __init__(self) -> None:
        self.shown: dict[str, str] | Exception = dict(GOOD)
        self.looked = 0
        self._opened = threading.Event()
        self._opened.set()

    def __call__(self) -> dict[str, str]:
        self._opened.wait(30)
        self.looked += 1
        if isinstance(self.shown, Exception):
            raise self.shown
        return self.shown

    def freeze(self) -> None:
        self._opened.clear()

    def thaw(self) -> None:
        self._opened.set()


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Iterator[Look]:
    monkeypatch.setattr(probing, "EVERY", 0.02)
    look = Look()
    yield look
    look.shown = SystemExit()  # no look counts any more
    look.thaw()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now, ahead = time.monotonic, [0.0]
    monkeypatch.setattr(probing, "monotonic", lambda: now() + ahead[0])
    return lambda seconds: ahead.__setitem__(0, seconds)


def started(look: Look, *, is_ending: Callable[[], bool] = lambda: False) -> Probes:
    probes = Probes(look)
    probes.start(is_ending=is_ending)
    return probes


def answered(probes: Probes, path: str = "/readyz") -> tuple[int, dict[str, Any]]:
    answer = probes.answer(path)
    assert answer is not None
    status, headers, body = answer
    assert headers["Content-Type"] == ("application/json" if status == 200 else "application/problem+json")
    assert headers["Cache-Control"] == "no-store"
    return status, json.loads(body)


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_what_was_seen_is_answered_without_another_look(look: Look) -> None:
    probes = started(look)
    wait_until(lambda: answered(probes)[0] == 200)
    look.freeze()
    time.sleep(0.05)
    looked = look.looked

    answers = [answered(probes) for _ in range(1000)]

    assert answers[0] == answers[-1] == (200, {"status": "ready", "checks": GOOD, "missing": []})
    assert look.looked == looked


def test_before_the_first_look_it_is_alive_and_not_ready(look: Look) -> None:
    look.freeze()
    probes = started(look)

    assert answered(probes, "/livez") == (200, {"status": "alive"})
    status, shown = answered(probes)
    assert (status, shown["type"], shown["missing"]) == (503, "/problems/not-ready", ["checks"])
    look.thaw()
    wait_until(lambda: answered(probes)[0] == 200)


def test_what_is_missing_is_named_and_only_what_is_needed_is_a_503(look: Look) -> None:
    probes = started(look)
    for missing, expected in (("broker", 200), ("cache", 200), ("database", 503), ("migrations", 503)):
        look.shown = {**GOOD, missing: "away"}
        wait_until(lambda missing=missing: answered(probes)[1]["missing"] == [missing])
        status, shown = answered(probes)
        assert (status, shown["checks"][missing]) == (expected, "away")


def test_what_was_seen_more_than_five_seconds_ago_counts_no_more(look: Look, later: Callable[[float], None]) -> None:
    probes = started(look)
    wait_until(lambda: answered(probes)[0] == 200)
    look.freeze()
    time.sleep(0.05)

    later(FRESH_FOR - 2)
    assert (answered(probes)[0], answered(probes, "/livez")[0]) == (200, 200)
    later(FRESH_FOR + 0.5)
    assert (answered(probes)[0], answered(probes)[1]["missing"]) == (503, ["checks"])
    status, shown = answered(probes, "/livez")
    assert (status, shown["type"]) == (503, "/problems/not-alive")

    look.thaw()
    wait_until(lambda: (answered(probes)[0], answered(probes, "/livez")[0]) == (200, 200))


def test_looks_that_fail_leave_it_alive(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often one fails, the next is in a second: the pauses of a thread that failed may be as long as five."""
    monkeypatch.setattr("checkout_service.threads.FIRST_PAUSE", 60.0)
    probes = started(look)
    look.shown = ValueError("broken")
    looked = look.looked
    wait_until(lambda: look.looked > looked + 2)
    assert answered(probes, "/livez")[0] == 200


def test_a_process_that_ends_is_alive_and_not_ready(look: Look) -> None:
    ending = [False]
    probes = started(look, is_ending=lambda: ending[0])
    wait_until(lambda: answered(probes)[0] == 200)
    ending[0] = True

    status, shown = answered(probes)
    assert (status, shown["missing"], shown["checks"]["process"]) == (503, ["process"], "ending")
    assert answered(probes, "/livez")[0] == 200


def test_other_paths_are_no_probes(look: Look) -> None:
    probes = started(look)
    for path in ("/", "/metrics", "/readyz/", "/READYZ", "//livez", "/api/cart", ""):
        assert probes.answer(path) is None


def test_a_frozen_database_is_named_in_time_by_who_looks(make_app: MakeApp, frozen_port: int) -> None:
    app: Flask = make_app(database_url=Secret(f"postgresql+psycopg://x@127.0.0.1:{frozen_port}/x"))
    looking: Readiness = app.extensions["readiness"]
    probes: Probes = app.extensions[PROBES_KEY]
    assert probes.answer("/readyz")[0] == 503  # type: ignore[index]
    probes.start(is_ending=lambda: False)
    wait_until(lambda: answered(probes)[1]["missing"] == ["database", "migrations"])
    assert answered(probes)[1]["checks"]["broker"] == "ok"
    for _ in range(3):
        assert looking.checks()["database"] in {"no answer in time", "away"}
        assert answered(probes, "/livez")[0] == 200
