"""Threads for work that may wait: as many as there are jobs, kept for a while, and none is lost with what it did."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from time import monotonic, sleep

import pytest

from checkout_service.server.slot_threads import SlotThreads


def _ident(threads: SlotThreads) -> int:
    """The thread that did a job."""
    found: list[int] = []
    done = threading.Event()

    def job() -> None:
        found.append(threading.get_ident())
        done.set()

    threads.begin(job)
    assert done.wait(30)
    return found[0]


def _await(condition: Callable[[], object]) -> None:
    until = monotonic() + 30
    while not condition():
        assert monotonic() < until
        sleep(0.005)


def test_a_thread_that_rests_does_the_next_job_and_none_waits_for_another() -> None:
    threads = SlotThreads()
    first = _ident(threads)
    _await(lambda: threads._resting == 1)
    assert _ident(threads) == first
    _await(lambda: threads._resting == 1)

    may_end, begun = threading.Event(), [threading.Event() for _ in range(5)]
    for event in begun:
        threads.begin(lambda event=event: (event.set(), may_end.wait(30)))

    assert all(event.wait(30) for event in begun), "one waits for another"
    may_end.set()
    _await(lambda: threads._resting == 5)


def test_a_job_that_breaks_takes_no_thread_with_it() -> None:
    threads = SlotThreads()

    def broken() -> None:
        raise SystemExit

    threads.begin(broken)
    _await(lambda: threads._resting == 1)
    assert _ident(threads)


def test_nothing_is_kept_of_a_job_that_is_done() -> None:
    class Request:
        def __call__(self) -> None:
            pass

    threads = SlotThreads()
    for _ in range(2):  # the first of a thread, and a later one
        request = Request()
        gone = weakref.ref(request)
        threads.begin(request)
        del request
        _await(lambda: threads._resting == 1)
        _await(lambda gone=gone: gone() is None)


def test_who_rests_for_long_ends_and_a_job_of_that_moment_is_done() -> None:
    threads = SlotThreads(rests_for=0.01)
    done: list[int] = []
    for number in range(200):
        threads.begin(lambda number=number: done.append(number))
        sleep(0.0095 + 0.00001 * number)  # about as long as one rests

    _await(lambda: len(done) == 200)
    _await(lambda: threads._resting == 0)
    assert threads._jobs.empty()


def test_where_there_is_no_thread_nobody_does_it_and_the_caller_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, done = SlotThreads(), list[str]()
    start: Callable[[threading.Thread], None] = threading.Thread.start

    def none(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    with pytest.raises(RuntimeError):
        threads.begin(lambda: done.append("never"))
    monkeypatch.setattr(threading.Thread, "start", start)
    assert _ident(threads)
    assert not done
