"""The engine of every background loop: its start, its rounds, and what becomes of those that fail."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY
from structlog import wrap_logger
from structlog.testing import LogCapture
from structlog.typing import EventDict

from checkout_service import threads
from checkout_service.threads import BackgroundThread
from tests.threads.scenes import wait_until
from tests.threads.starved import play

Logs = Callable[[str], list[EventDict]]


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Logs:
    """What was logged of the thread of that name."""
    capture = LogCapture()
    monkeypatch.setattr(threads, "log", wrap_logger(None, processors=[capture]))
    return lambda name: [entry for entry in capture.entries if entry["thread"] == name]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """The pauses after rounds that failed, by the thread's name; none takes its time."""
    found: dict[str, list[float]] = defaultdict(list)

    def pause(seconds: float) -> None:
        found[threading.current_thread().name].append(seconds)
        time.sleep(0.001)

    monkeypatch.setattr(threads, "time", SimpleNamespace(sleep=pause))
    return found


def _alive(name: str) -> int:
    return [thread.name for thread in threading.enumerate()].count(name)


def _count(metric: str, name: str) -> float:
    return REGISTRY.get_sample_value(metric, {"thread": name}) or 0.0


def test_nothing_runs_before_it_is_woken() -> None:
    BackgroundThread("unwoken", lambda: iter([None]))

    assert not _alive("unwoken")


def test_every_wake_is_followed_by_a_round_that_sees_what_was_left_for_it() -> None:
    left: list[int] = []
    seen: list[int] = []

    def work() -> Iterator[float | None]:
        while True:
            while left:
                seen.append(left.pop(0))
            yield None

    thread = BackgroundThread("follower", work)
    for number in range(200):
        left.append(number)
        thread.wake()
        if number % 10 == 0:
            wait_until(lambda: not left)
    wait_until(lambda: len(seen) == 200)


def test_a_wake_within_a_round_is_followed_by_another_round() -> None:
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def work() -> Iterator[float | None]:
        while True:
            begun.release()
            assert go_on.acquire(timeout=30)
            yield None

    thread = BackgroundThread("busy", work)
    thread.wake()
    assert begun.acquire(timeout=30)
    thread.wake()
    go_on.release()

    assert begun.acquire(timeout=30)
    go_on.release()
    assert not begun.acquire(timeout=0.2)


def test_rounds_go_by_time_where_nobody_wakes_and_start_cuts_no_pause_short() -> None:
    times: list[float] = []

    def work() -> Iterator[float | None]:
        while len(times) < 5:
            times.append(time.monotonic())
            yield 0.2

    thread = BackgroundThread("clock", work)
    wait_until(lambda: thread.start() and len(times) == 5)

    assert all(later - earlier > 0.19 for earlier, later in pairwise(times))


def test_a_wake_cuts_a_pause_short() -> None:
    rounds: list[float] = []

    def work() -> Iterator[float | None]:
        while True:
            rounds.append(time.monotonic())
            yield 60

    thread = BackgroundThread("sleeper", work)
    thread.wake()
    wait_until(lambda: len(rounds) == 1)
    thread.wake()
    wait_until(lambda: len(rounds) == 2)


def test_a_hundred_wakes_at_once_start_one_thread() -> None:
    ready = threading.Barrier(100)
    alive: list[int] = []

    def work() -> Iterator[float | None]:
        while True:
            alive.append(_alive("crowded"))
            yield None

    thread = BackgroundThread("crowded", work)

    def wake(_: int) -> None:
        ready.wait(30)
        thread.wake()

    with ThreadPoolExecutor(100) as crowd:
        list(crowd.map(wake, range(100)))
    wait_until(lambda: bool(alive))

    assert set(alive) == {1}
    assert _alive("crowded") == 1


@pytest.mark.parametrize("error", [RuntimeError("broken"), SystemExit(3), GeneratorExit(), MemoryError()], ids=repr)
def test_a_round_that_raises_is_logged_counted_and_followed_by_the_next(error: BaseException, logs: Logs) -> None:
    opened: list[str] = []

    def work() -> Iterator[float | None]:
        opened.append("opened")
        try:
            if len(opened) == 1:
                raise error
            while True:
                yield None
        finally:
            opened.append("closed")

    name = f"fails once by {type(error).__name__}"
    BackgroundThread(name, work).wake()
    wait_until(lambda: len(opened) == 3)

    assert opened == ["opened", "closed", "opened"], "the work begins anew from the top, without being woken"
    assert [(entry["event"], entry["exc_info"]) for entry in logs(name)] == [("background_thread_failed", error)]
    assert _count("background_thread_errors_total", name) == 1


@pytest.mark.usefixtures("logs")
def test_work_that_always_fails_burns_no_core_however_often_it_is_woken() -> None:
    failed: list[float] = []

    def work() -> Iterator[float | None]:
        if len(failed) < 5:
            failed.append(time.monotonic())
            raise ValueError("again")
        yield from ()

    thread = BackgroundThread("hopeless", work)
    wait_until(lambda: thread.wake() and len(failed) == 5)

    for number, (earlier, later) in enumerate(pairwise(failed)):
        assert later - earlier >= 0.1 * 2**number


@pytest.mark.usefixtures("logs")
def test_pauses_are_short_again_after_a_round_that_went_well(pauses: dict[str, list[float]]) -> None:
    rounds: list[int] = []

    def work() -> Iterator[float | None]:
        while len(rounds) < 7:
            rounds.append(1)
            if len(rounds) not in {4, 6, 7}:
                raise ValueError
            yield 0

    BackgroundThread("moody", work).wake()
    wait_until(lambda: len(rounds) == 7)

    assert pauses["moody"] == [0.1, 0.2, 0.4, 0.1]


def test_work_that_is_done_is_never_begun_again() -> None:
    done: list[int] = []

    def work() -> Iterator[float | None]:
        done.append(1)
        yield from ()

    thread = BackgroundThread("once", work)
    thread.wake()
    wait_until(lambda: bool(done) and not _alive("once"))
    for _ in range(3):
        thread.wake()
        assert thread.start()
    time.sleep(0.1)

    assert done == [1]


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()], ids=repr)
def test_a_start_that_fails_is_logged_once_counted_each_time_and_never_raised(
    monkeypatch: pytest.MonkeyPatch, error: Exception, logs: Logs
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise error

    rounds: list[int] = []

    def work() -> Iterator[float | None]:
        while True:
            rounds.append(1)
            yield None

    name = f"refused by {type(error).__name__}"
    thread = BackgroundThread(name, work)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            thread.wake()
        # Threads of other tests may have tried it as well.
        assert _count("background_thread_start_failures_total", name) >= 3
        assert not rounds
    assert [entry["event"] for entry in logs(name)] == ["background_thread_not_started"]

    thread.wake()
    wait_until(lambda: bool(rounds))
    assert _alive(name) == 1


def test_who_comes_while_another_caller_starts_it_is_promised_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, refused = threading.Event(), threading.Event()
    start = threading.Thread.start

    def refuse_slowly(thread: threading.Thread) -> None:
        if thread.name != "slow to start":
            return start(thread)
        entered.set()
        assert refused.wait(30)
        raise RuntimeError("can't start new thread")

    def work() -> Iterator[float | None]:
        while True:
            yield None

    thread = BackgroundThread("slow to start", work)
    with ThreadPoolExecutor(1) as other, monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse_slowly)
        first = other.submit(thread.start)
        assert entered.wait(30)
        begun = time.monotonic()
        assert not thread.start()
        assert not thread.wake()
        assert time.monotonic() - begun < 5
        refused.set()
        assert not first.result(30)

    assert thread.start()
    assert _alive("slow to start") == 1


@pytest.mark.parametrize("by", ["itself", "another", "passer-by"])
def test_a_start_for_which_the_system_has_no_thread_is_tried_again_by(by: str) -> None:
    played = play("tests.threads.scenes:a_failed_start_is_tried_again", by=by)

    assert played.count("background_thread_not_started") == 1


def test_a_running_thread_tries_the_failed_starts_of_those_that_nobody_wakes() -> None:
    play("tests.threads.scenes:a_running_thread_starts_the_others")


def test_a_forked_child_starts_threads_of_its_own() -> None:
    play("tests.threads.scenes:a_child_starts_threads_of_its_own")
