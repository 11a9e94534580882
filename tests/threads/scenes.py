"""Scenes for the engine itself, see ``starved``."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator

from checkout_service.threads import BackgroundThread, start_again
from tests.threads.starved import no_threads


def wait_until(condition: Callable[[], bool], within: float = 60.0) -> None:
    """Return as soon as it is so."""
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def a_failed_start_is_tried_again(by: str) -> None:
    """``by`` says who comes along when there are threads again: the same waker, another thread's, or nobody's."""
    rounds: list[str] = []

    def work() -> Iterator[float | None]:
        while True:
            rounds.append("a round")
            yield None

    thread, another = BackgroundThread("one", work), BackgroundThread("another", lambda: iter([None]))
    with no_threads():
        for _ in range(3):
            thread.wake()
        assert not thread.start()
        time.sleep(0.1)
        assert not rounds

    {"itself": thread.wake, "another": another.wake, "passer-by": start_again}[by]()
    wait_until(lambda: bool(rounds))
    assert [one.name for one in threading.enumerate()].count("one") == 1


def a_running_thread_starts_the_others() -> None:
    """A thread that nobody wakes may be the one whose start failed."""
    started = threading.Event()

    def work() -> Iterator[float | None]:
        while True:
            yield 0.05

    def late_work() -> Iterator[float | None]:
        started.set()
        yield None

    running, late = BackgroundThread("running", work), BackgroundThread("late", late_work)
    running.start()
    with no_threads():
        late.start()
        assert not started.wait(0.3)

    assert started.wait(30)


def a_child_starts_threads_of_its_own() -> None:
    """The parent has woken its thread, another one's start has failed, and then it forks."""
    seen: list[int] = []

    def work() -> Iterator[float | None]:
        while True:
            seen.append(os.getpid())
            yield None

    thread, failed = BackgroundThread("one", work), BackgroundThread("failed", work)
    thread.wake()
    wait_until(lambda: bool(seen))
    with no_threads():
        failed.start()

    child = os.fork()
    if not child:
        try:
            assert len(threading.enumerate()) == 1
            start_again()
            assert len(threading.enumerate()) == 1, "nobody has asked for one in this process"
            thread.wake()
            wait_until(lambda: os.getpid() in seen)
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
