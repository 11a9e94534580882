"""Slots: work is begun in the order in which it came, whoever waits for a provider is in nobody's way, and each kind of
work has its share."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic, sleep

import pytest

from checkout_service.server.slots import ROW_OF_WEBHOOKS, Kind, Slots, TooManyWaitingError


def _started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _await_the_queue(slots: Slots) -> None:
    """All that came before is done; there is a slot for whoever comes."""
    served, until = threading.Event(), monotonic() + 60
    while not slots.admit(served.set, Kind.API):
        assert monotonic() < until, "the queue stays full"
    assert served.wait(30)


class BackgroundTask:
    """A piece of work that says when it has begun, and ends when it is told to."""

    def __init__(self, slots: Slots, *, releases: bool = False, kind: Kind = Kind.API) -> None:
        self._slots = slots
        self._kind = kind
        self._releases = releases
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        if self._releases:
            with self._slots.released(self._kind):
                self.may_end.wait(30)
        else:
            self.may_end.wait(30)
        self.ended.set()

    def finish(self) -> None:
        self.may_end.set()
        assert self.ended.wait(30)


def _held(slots: Slots, *, releases: bool = False, kind: Kind = Kind.API) -> BackgroundTask:
    """A background task that is at work, in a thread of its own."""
    background_task = BackgroundTask(slots, releases=releases, kind=kind)
    _started(lambda: slots.admit(background_task, kind))
    assert background_task.begun.wait(30)
    return background_task


def test_who_finds_no_slot_free_lets_go_of_the_thread_and_is_served_in_turn() -> None:
    slots = Slots(working=2, waiting=1, queue=100)
    first, second = _held(slots), _held(slots)
    order: list[int] = []
    served = threading.Event()

    for number in range(5):
        slots.admit(lambda number=number: order.append(number), Kind.API)
    slots.admit(served.set, Kind.API)
    assert order == []
    first.finish()

    assert served.wait(30)
    assert order == [0, 1, 2, 3, 4]
    second.finish()


def test_a_slot_that_nobody_waits_for_is_free_again() -> None:
    slots = Slots(working=1, waiting=1, queue=100)
    done: list[str] = []

    slots.admit(lambda: done.append(threading.current_thread().name), Kind.API)
    slots.admit(lambda: done.append(threading.current_thread().name), Kind.API)

    assert done == [threading.current_thread().name] * 2


def test_who_waits_for_a_provider_leaves_the_slot_to_who_is_queued() -> None:
    slots = Slots(working=1, waiting=1, queue=100)
    busy = _held(slots)
    waiting, served = BackgroundTask(slots, releases=True), threading.Event()
    slots.admit(waiting, Kind.API)
    slots.admit(served.set, Kind.API)

    busy.finish()

    assert waiting.begun.wait(30)
    assert served.wait(30)
    assert not waiting.ended.is_set()
    waiting.finish()


def test_who_comes_back_is_served_before_the_queue_and_only_when_a_slot_is_free() -> None:
    slots = Slots(working=1, waiting=1, queue=100)
    back = _held(slots, releases=True)
    busy = _held(slots)
    later = BackgroundTask(slots)
    slots.admit(later, Kind.API)
    back.may_end.set()
    assert not back.ended.wait(0.1)

    busy.finish()

    assert back.ended.wait(30)
    assert later.begun.wait(30)
    later.finish()


def test_no_more_wait_without_a_slot_than_are_allowed() -> None:
    slots = Slots(working=2, waiting=1, queue=100)
    away = _held(slots, releases=True)

    with pytest.raises(TooManyWaitingError), slots.released(Kind.API):
        pass

    away.finish()


def test_without_another_thread_the_queue_waits_for_who_released_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = Slots(working=1, waiting=1, queue=100)
    busy = _held(slots)
    away, served = BackgroundTask(slots, releases=True), threading.Event()
    slots.admit(away, Kind.API)
    slots.admit(served.set, Kind.API)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_more_threads)
        busy.finish()
        assert away.begun.wait(30)
        assert not served.wait(0.1)

    away.finish()

    assert served.wait(30)


def test_without_another_thread_a_share_is_passed_by_one_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who released a slot keeps it then, although another may have taken its share meanwhile."""
    slots = Slots(working=6, waiting=1, queue=100)
    may_leave, has_left, may_come_back = threading.Event(), threading.Event(), threading.Event()

    def leave() -> None:
        assert may_leave.wait(30)
        with slots.released(Kind.PAGE):
            has_left.set()
            may_come_back.wait(30)

    _started(lambda: slots.admit(leave, Kind.PAGE))
    pages = [_held(slots, kind=Kind.PAGE) for _ in range(2)]
    webhooks = [_held(slots, kind=Kind.WEBHOOK) for _ in range(3)]
    webhook_served, page_served = threading.Event(), threading.Event()
    slots.admit(webhook_served.set, Kind.WEBHOOK)
    start, is_first = threading.Thread.start, threading.Lock()

    def no_thread_to_go_on_in(thread: threading.Thread) -> None:
        if thread.name != "slot":
            start(thread)
            return
        if not is_first.acquire(blocking=False):  # what is waited for below may ask for a thread as well
            raise RuntimeError("can't start new thread")
        webhooks[0].finish()
        _await_the_queue(slots)
        pages.append(_held(slots, kind=Kind.PAGE))
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread_to_go_on_in)
    may_leave.set()
    assert has_left.wait(30)
    webhooks[1].finish()
    assert webhook_served.wait(30)
    slots.admit(page_served.set, Kind.PAGE)
    assert not page_served.wait(0.1)

    may_come_back.set()
    for one in (*pages, webhooks[2]):
        one.finish()
    assert page_served.wait(30)


def _no_more_threads(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_queue_that_is_full_takes_nobody() -> None:
    slots = Slots(working=1, waiting=1, queue=2)
    busy, done = _held(slots), []

    taken = [slots.admit(lambda number=number: done.append(number), Kind.API) for number in range(3)]
    busy.finish()

    assert taken == [True, True, False]
    _await_the_queue(slots)
    assert done == [0, 1]


def test_work_that_raises_takes_neither_the_slot_nor_the_next_along() -> None:
    slots = Slots(working=1, waiting=1, queue=2)
    busy, served = _held(slots), threading.Event()

    def broken() -> None:
        raise SystemExit

    slots.admit(broken, Kind.API)
    slots.admit(served.set, Kind.API)
    busy.finish()

    assert served.wait(30)
    _await_the_queue(slots)


def test_probes_find_room_and_wait_for_nobody() -> None:
    slots = Slots(working=1, waiting=1, queue=1)
    busy, done = _held(slots), []

    assert slots.admit(lambda: done.append("one"), Kind.API)
    assert not slots.admit(lambda: done.append("another"), Kind.API)
    assert slots.admit(lambda: done.append("probe"), Kind.PROBE)
    busy.finish()
    _await_the_queue(slots)

    assert done == ["probe", "one"]


def test_a_kind_that_fills_its_own_line_leaves_the_others_theirs() -> None:
    slots = Slots(working=1, waiting=1, queue=2)
    busy, done = _held(slots), []

    taken = {kind: [slots.admit(lambda kind=kind: done.append(kind), kind) for _ in range(3)] for kind in KINDS}
    busy.finish()
    _await_the_queue(slots)

    assert list(taken.values()) == [[True, True, False]] * 3
    assert sorted(done) == [Kind.WEBHOOK] * 2 + [Kind.API] * 2 + [Kind.PAGE] * 2


KINDS = (Kind.WEBHOOK, Kind.API, Kind.PAGE)

SHARES = {1: (1, 1), 2: (1, 2), 3: (1, 2), 4: (2, 3), 5: (2, 4), 8: (4, 7), 16: (8, 15)}
"""Of so many slots: the most that are pages, and the most that are pages or API."""


@pytest.mark.parametrize("working", SHARES)
def test_each_kind_gets_its_share_and_no_more(working: int) -> None:
    most_pages, most_others = SHARES[working]
    slots, crowd = Slots(working=working, waiting=1, queue=100), 2 * working + 2

    assert _most_at_work(slots, Kind.PAGE, crowd=crowd) == most_pages
    assert _most_at_work(slots, Kind.SEARCH, crowd=crowd) == 1
    assert _most_at_work(slots, Kind.PAGE, Kind.SEARCH, crowd=crowd) == most_pages
    assert _most_at_work(slots, Kind.API, crowd=crowd) == most_others
    assert _most_at_work(slots, Kind.WEBHOOK, crowd=crowd) == working
    assert _most_at_work(slots, Kind.PAGE, Kind.API, crowd=crowd) == most_others


def _most_at_work(slots: Slots, *kinds: Kind, crowd: int) -> int:
    """How many of so many begin at once, of these kinds in turn; all have ended afterwards."""
    free = slots._free
    tasks = [BackgroundTask(slots) for _ in range(crowd)]
    threads = [_started(partial(slots.admit, task, kinds[number % len(kinds)])) for number, task in enumerate(tasks)]
    for task, thread in zip(tasks, threads, strict=True):
        until = monotonic() + 60
        while thread.is_alive() and not task.begun.is_set():  # it is at work, or it was queued and let its thread go
            assert monotonic() < until, "it neither begins nor waits in a line"
            sleep(0.001)
    begun = sum(task.begun.is_set() for task in tasks)
    for task in tasks:
        task.may_end.set()
    for thread in threads:
        thread.join(30)
    for task in tasks:
        assert task.ended.wait(30)
    until = monotonic() + 30
    while slots._free != free:  # the last ones are done in other threads
        assert monotonic() < until, "a slot was lost"
        sleep(0.001)
    return begun


@pytest.mark.parametrize("working", [3, 4, 8])
def test_a_webhook_finds_a_slot_whatever_else_there_is(working: int) -> None:
    slots = Slots(working=working, waiting=2, queue=100)
    others = [BackgroundTask(slots) for _ in range(4 * working)]
    for number, task in enumerate(others):
        _started(lambda task=task, number=number: slots.admit(task, (Kind.PAGE, Kind.API)[number % 2]))
    done: list[str] = []

    for _ in range(5):
        slots.admit(lambda: done.append(threading.current_thread().name), Kind.WEBHOOK)

    assert done == [threading.current_thread().name] * 5
    for task in others:
        task.may_end.set()
    assert all(task.ended.wait(30) for task in others)


@pytest.mark.parametrize("working", [1, 2])
def test_webhooks_go_first_where_no_slot_is_left_for_them_and_starve_nobody(working: int) -> None:
    slots = Slots(working=working, waiting=1, queue=100)
    busy = [_held(slots) for _ in range(working)]
    order: list[str] = []
    for name, kind in (("page", Kind.PAGE), ("api", Kind.API)):
        slots.admit(lambda name=name: order.append(name), kind)
    for _ in range(2 * ROW_OF_WEBHOOKS + 1):
        slots.admit(lambda: order.append("webhook"), Kind.WEBHOOK)

    busy[0].finish()
    for other in busy[1:]:
        other.finish()
    _await_the_queue(slots)
    until = monotonic() + 30
    while len(order) < 2 * ROW_OF_WEBHOOKS + 3 and monotonic() < until:  # another thread may be at the last
        sleep(0.001)

    row = ["webhook"] * ROW_OF_WEBHOOKS
    assert order == [*row, "page", *row, "api", "webhook"] if working == 1 else order[:ROW_OF_WEBHOOKS] == row
    assert len(order) == 2 * ROW_OF_WEBHOOKS + 3


def test_searches_that_wait_for_each_other_keep_no_page_waiting() -> None:
    slots = Slots(working=4, waiting=1, queue=100)
    searches = [_held(slots, kind=Kind.SEARCH)]
    searches += [BackgroundTask(slots) for _ in range(5)]
    for search in searches[1:]:
        _started(partial(slots.admit, search, Kind.SEARCH))
    served = threading.Event()

    slots.admit(served.set, Kind.PAGE)

    assert served.is_set()
    assert [search.begun.is_set() for search in searches] == [True] + [False] * 5
    for search in searches:
        search.finish()


def test_who_comes_back_waits_for_its_own_share() -> None:
    slots = Slots(working=4, waiting=2, queue=100)
    away = _held(slots, releases=True, kind=Kind.PAGE)
    pages = [_held(slots, kind=Kind.PAGE) for _ in range(2)]
    served = threading.Event()

    away.may_end.set()
    assert not away.ended.wait(0.05)
    slots.admit(served.set, Kind.API)
    assert served.is_set()
    pages[0].finish()

    assert away.ended.wait(30)
    pages[1].finish()


@pytest.mark.parametrize("seed", range(6))
def test_in_a_crowd_nobody_is_lost_and_no_share_is_passed(seed: int) -> None:
    """Random work of all kinds from many threads, some of which releases its slot on the way."""
    chance = random.Random(seed)
    working = chance.choice([1, 2, 3, 4, 8])
    slots = Slots(working=working, waiting=3, queue=1000)
    most_pages, most_others = SHARES[working]
    lock, at_work, faults = threading.Lock(), Counter[Kind](), list[str]()
    done: Counter[Kind] = Counter()

    def count(kind: Kind, change: int) -> None:
        with lock:
            at_work[kind] += change
            pages = at_work[Kind.PAGE] + at_work[Kind.SEARCH]
            others = at_work[Kind.API] + pages
            if at_work.total() > working or others > most_others or pages > most_pages or at_work[Kind.SEARCH] > 1:
                faults.append(str(at_work))

    def work(kind: Kind, seconds: float, *, releases: bool, breaks: bool) -> None:
        count(kind, 1)
        sleep(seconds)
        if releases:
            count(kind, -1)
            with suppress(TooManyWaitingError), slots.released(kind):
                sleep(seconds)
            count(kind, 1)
        with lock:
            done[kind] += 1
        count(kind, -1)
        if breaks:
            raise SystemExit

    sent: Counter[Kind] = Counter()

    def send(orders: list[tuple[Kind, Callable[[], None]]]) -> None:
        for kind, order in orders:
            assert slots.admit(order, kind)

    crowd = []
    for _ in range(12):
        orders = []
        for _ in range(15):
            kind = chance.choice([Kind.PROBE, Kind.WEBHOOK, Kind.WEBHOOK, Kind.API, Kind.PAGE, Kind.SEARCH])
            sent[kind] += 1
            releases, breaks = kind >= Kind.API and chance.random() < 0.3, chance.random() < 0.05
            seconds = chance.random() * 0.001
            orders.append((kind, partial(work, kind, seconds, releases=releases, breaks=breaks)))
        crowd.append(_started(partial(send, orders)))
    for thread in crowd:
        thread.join(20)
    until = monotonic() + 60
    while (done != sent or slots._free != working) and monotonic() < until:
        sleep(0.005)

    assert not faults
    assert done == sent
    for kind, most in ((Kind.PAGE, most_pages), (Kind.API, most_others), (Kind.WEBHOOK, working)):
        assert _most_at_work(slots, kind, crowd=working + 1) == most, "a slot was lost"
