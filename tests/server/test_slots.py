"""Slots: work is begun in the order in which it came, and whoever waits for a provider is in nobody's way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

import pytest

from checkout_service.server.slots import Slots, TooManyWaitingError


def _started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _await_the_queue(slots: Slots) -> None:
    """All that came before is done; there is a slot for whoever comes."""
    served, until = threading.Event(), monotonic() + 5
    while not slots.admit(served.set):
        assert monotonic() < until, "the queue stays full"
    assert served.wait(5)


class BackgroundTask:
    """A piece of work that says when it has begun, and ends when it is told to."""

    def __init__(self, slots: Slots, *, releases: bool = False) -> None:
        self._slots = slots
        self._releases = releases
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        if self._releases:
            with self._slots.released():
                self.may_end.wait(10)
        else:
            self.may_end.wait(10)
        self.ended.set()

    def finish(self) -> None:
        self.may_end.set()
        assert self.ended.wait(5)


def _held(slots: Slots, *, releases: bool = False) -> BackgroundTask:
    """A background task that is at work, in a thread of its own."""
    background_task = BackgroundTask(slots, releases=releases)
    _started(lambda: slots.admit(background_task))
    assert background_task.begun.wait(5)
    return background_task


def test_who_finds_no_slot_free_lets_go_of_the_thread_and_is_served_in_turn() -> None:
    slots = Slots(working=2, waiting=1, queue=100)
    first, second = _held(slots), _held(slots)
    order: list[int] = []
    served = threading.Event()

    for number in range(5):
        slots.admit(lambda number=number: order.append(number))
    slots.admit(served.set)
    assert order == []
    first.finish()

    assert served.wait(5)
    assert order == [0, 1, 2, 3, 4]
    second.finish()


def test_a_slot_that_nobody_waits_for_is_free_again() -> None:
    slots = Slots(working=1, waiting=1, queue=100)
    done: list[str] = []

    slots.admit(lambda: done.append(threading.current_thread().name))
    slots.admit(lambda: done.append(threading.current_thread().name))

    assert done == [threading.current_thread().name] * 2


def test_who_waits_for_a_provider_leaves_the_slot_to_who_is_queued() -> None:
    slots = Slots(working=1, waiting=1, queue=100)
    busy = _held(slots)
    waiting, served = BackgroundTask(slots, releases=True), threading.Event()
    slots.admit(waiting)
    slots.admit(served.set)

    busy.finish()

    assert waiting.begun.wait(5)
    assert served.wait(5)
    assert not waiting.ended.is_set()
    waiting.finish()


def test_who_comes_back_is_served_before_the_queue_and_only_when_a_slot_is_free() -> None:
    slots = Slots(working=1, waiting=1, queue=100)
    back = _held(slots, releases=True)
    busy = _held(slots)
    later = BackgroundTask(slots)
    slots.admit(later)
    back.may_end.set()
    assert not back.ended.wait(0.1)

    busy.finish()

    assert back.ended.wait(5)
    assert later.begun.wait(5)
    later.finish()


def test_no_more_wait_without_a_slot_than_are_allowed() -> None:
    slots = Slots(working=2, waiting=1, queue=100)
    away = _held(slots, releases=True)

    with pytest.raises(TooManyWaitingError), slots.released():
        pass

    away.finish()


def test_without_another_thread_the_queue_waits_for_who_released_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = Slots(working=1, waiting=1, queue=100)
    busy = _held(slots)
    away, served = BackgroundTask(slots, releases=True), threading.Event()
    slots.admit(away)
    slots.admit(served.set)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_more_threads)
        busy.finish()
        assert away.begun.wait(5)
        assert not served.wait(0.1)

    away.finish()

    assert served.wait(5)


def _no_more_threads(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_queue_that_is_full_takes_nobody() -> None:
    slots = Slots(working=1, waiting=1, queue=2)
    busy, done = _held(slots), []

    taken = [slots.admit(lambda number=number: done.append(number)) for number in range(3)]
    busy.finish()

    assert taken == [True, True, False]
    _await_the_queue(slots)
    assert done == [0, 1]


def test_work_that_raises_takes_neither_the_slot_nor_the_next_along() -> None:
    slots = Slots(working=1, waiting=1, queue=2)
    busy, served = _held(slots), threading.Event()

    def broken() -> None:
        raise SystemExit

    slots.admit(broken)
    slots.admit(served.set)
    busy.finish()

    assert served.wait(5)
    _await_the_queue(slots)


def test_what_goes_first_finds_room_in_a_full_queue_and_waits_for_nobody_in_it() -> None:
    slots = Slots(working=1, waiting=1, queue=1)
    busy, done = _held(slots), []

    assert slots.admit(lambda: done.append("one"))
    assert not slots.admit(lambda: done.append("another"))
    assert slots.admit(lambda: done.append("probe"), first=True)
    busy.finish()
    _await_the_queue(slots)

    assert done == ["probe", "one"]
