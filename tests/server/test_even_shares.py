"""Even shares: a child that has more than its share of the requests gives connections up, and no other one does."""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from checkout_service.server.even_shares import (
    EVEN_FOR,
    IDLE_AFTER,
    LONGEST_PAUSE,
    STUCK_AFTER,
    STUCK_WITH,
    WINDOW,
    EvenShare,
    Rates,
)
from tests.server.releases import Releases, Serving, eventually, serving

CLIENTS = 12


class Hosts:
    """Children of one host, with a clock of their own."""

    def __init__(self, children: int = 2) -> None:
        self.now = 1000.0
        rates = Rates(children)
        self.shares = [EvenShare(rates, index, clock=lambda: self.now) for index in range(children)]

    def window(self, *connections: int, answers: int = 30) -> list[int]:
        """A window in which each child has so many connections, and each of these so many answers.

        How many each has given up with the first answers after it.
        """
        for share, count in zip(self.shares, connections, strict=True):
            for port in range(count):
                for _ in range(answers):
                    _answer(share, str(port))
        self.now += WINDOW
        given_up = []
        # The last one first: what the first one sees of the others is of the same window.
        for share, count in reversed([*zip(self.shares, connections, strict=True)]):
            given_up.append(sum(_answer(share, str(port)) for port in range(count)))
        return given_up[::-1]

    def settle(self) -> None:
        """Have all known to all, with even shares."""
        for _ in range(EVEN_FOR + 1):
            self.window(*(8 for _ in self.shares))


def _answer(share: EvenShare, port: str) -> bool:
    share.begin()
    try:
        return share.gives_up(port)
    finally:
        share.end()


def test_who_has_all_gives_up_a_half_and_the_idle_one_nothing() -> None:
    assert Hosts().window(16, 0) == [8, 0]


def test_who_has_more_than_the_mean_gives_up_what_it_has_too_many() -> None:
    hosts = Hosts(3)
    hosts.settle()

    assert hosts.window(12, 3, 1) == [6, 0, 0]


@pytest.mark.parametrize("connections", [(8, 8), (1, 0), (9, 8), (2, 1)])
def test_what_cannot_be_more_even_stays_as_it_is(connections: tuple[int, int]) -> None:
    hosts = Hosts()
    hosts.settle()
    hosts.window(*connections)

    assert hosts.window(*connections) == [0, 0]


def test_who_is_not_busy_gives_nothing_up() -> None:
    assert Hosts().window(16, 0, answers=1) == [0, 0]


def test_one_child_alone_gives_nothing_up() -> None:
    assert Hosts(1).window(16) == [0]


def test_a_child_that_answered_nothing_for_long_had_nothing() -> None:
    hosts = Hosts()
    hosts.settle()
    assert hosts.window(8, 0) == [0, 0], "what it had a moment ago counts"

    hosts.now += IDLE_AFTER
    hosts.window(8, 0)

    assert hosts.window(8, 0) == [4, 0]


def test_where_it_changes_nothing_it_is_done_ever_more_rarely() -> None:
    hosts, times = Hosts(), list[float]()
    while hosts.now < 1200:
        if hosts.window(8, 0)[0]:
            times.append(hosts.now)

    pauses = [after - before for before, after in pairwise(times)]
    assert 8 <= len(pauses) <= 14
    assert all(after > before for before, after in pairwise(pauses[:7]))
    assert max(pauses) <= LONGEST_PAUSE + 2 * WINDOW


def test_after_even_shares_the_first_pause_is_short_again() -> None:
    hosts = Hosts()
    for _ in range(100):
        hosts.window(8, 0)
    hosts.now += LONGEST_PAUSE
    hosts.settle()
    hosts.now += 10 * IDLE_AFTER

    assert hosts.window(8, 0) == [4, 0]
    hosts.now += WINDOW / 100
    assert hosts.window(8, 0) == [4, 0]


def test_where_it_helps_it_goes_on_at_once() -> None:
    hosts = Hosts()
    hosts.settle()

    assert all(hosts.window(16 - moved, moved)[0] for moved in (1, 4, 6))


@pytest.mark.parametrize("children", [2, 3])
def test_while_a_child_answers_nothing_of_what_it_has_to_do_nothing_is_given_up(children: int) -> None:
    hosts = Hosts(children)
    idle = [0] * (children - 1)
    for _ in range(STUCK_WITH):
        hosts.shares[-1].begin()
    hosts.now += IDLE_AFTER

    assert [hosts.window(16, *idle) for _ in range(20)] == [[0, *idle]] * 20
    for _ in range(STUCK_WITH):
        hosts.shares[-1].end()
    assert hosts.window(16, *idle)[0] >= 8


def test_one_long_request_makes_no_child_seem_stuck() -> None:
    """Nor does the last one of several."""
    hosts = Hosts()
    for _ in range(STUCK_WITH):
        hosts.shares[1].begin()
    for _ in range(STUCK_WITH - 1):
        hosts.shares[1].end()
    hosts.now += IDLE_AFTER

    assert hosts.window(16, 0) == [8, 0]


def test_a_slow_child_that_always_has_something_to_do_is_given_some() -> None:
    hosts, given_up = Hosts(), 0
    for _ in range(STUCK_WITH):
        hosts.shares[1].begin()
    for _ in range(20):
        given_up += hosts.window(16, 2, answers=8)[0]

    assert given_up >= 6


def test_a_child_that_follows_one_that_was_killed_at_work_is_idle() -> None:
    rates, now = Rates(2), [1000.0]
    first, killed = (EvenShare(rates, index, clock=lambda: now[0]) for index in range(2))
    for _ in range(STUCK_WITH):
        killed.begin()
    EvenShare(rates, 1, clock=lambda: now[0])
    now[0] += IDLE_AFTER
    for port in range(16):
        for _ in range(30):
            _answer(first, str(port))
    now[0] += WINDOW

    assert sum(_answer(first, str(port)) for port in range(16)) == 8


def test_even_windows_that_are_not_in_a_row_shorten_no_pause() -> None:
    hosts, times = Hosts(), list[float]()
    for number in range(1500):
        if hosts.window(*((8, 8) if number % 3 == 2 else (12, 4)))[0]:
            times.append(hosts.now)

    assert len(times) < 30


def test_what_comes_by_chance_is_left_as_it_is() -> None:
    """300 requests a second over 300 connections, of which each child has a half."""
    chance, hosts, given_up = random.Random(20), Hosts(), 0
    for _ in range(20 * 300):
        hosts.now += chance.expovariate(300)
        given_up += chance.choice(hosts.shares).gives_up(str(chance.randrange(150)))

    assert given_up < 60, "they were 180 where each window counted by itself"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Serving]:
    releases = Releases(tmp_path)
    releases.put("first")
    with serving(releases, tmp_path / "log") as web:
        eventually(lambda: len(web.children()) == 2)
        yield web


class Kept:
    """Clients that keep their connections, each until it is closed, and ask one thing after the other."""

    def __init__(self, port: int) -> None:
        self.answers: Counter[int] = Counter()
        self.failed: list[Exception] = []
        self.closed = 0
        self._connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(CLIENTS)]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._go_on, args=(each,)) for each in self._connections]

    def connect(self) -> None:
        for connection in self._connections:
            self._ask(connection)

    @contextmanager
    def asking(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()
            for connection in self._connections:
                connection.close()

    def _go_on(self, connection: http.client.HTTPConnection) -> None:
        try:
            while not self._over.is_set():
                self._ask(connection)
        except Exception as error:  # noqa: BLE001 (whatever it is, the test has to see it)
            self.failed.append(error)

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.status == 200
        self.answers[int(answer.read().split()[-1])] += 1
        self.closed += answer.getheader("Connection") == "close"


def test_a_child_that_has_all_connections_comes_to_have_its_share_of_them_and_no_request_is_lost(web: Serving) -> None:
    first, other = web.children()
    _suspend(other)  # so all that come now are the first one's
    clients = Kept(web.port)
    clients.connect()
    assert set(clients.answers) == {first.pid}
    other.resume()

    with clients.asking():
        eventually(lambda: _share_of(clients, other.pid) > 0.25)

    assert clients.failed == []
    assert clients.closed >= 1


def test_a_child_that_is_stuck_is_given_none(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.put("first", slow=600)
    with serving(releases, tmp_path / "log") as web, ExitStack() as waiting:
        eventually(lambda: len(web.children()) == 2)
        first, other = web.children()
        _suspend(first)
        for _ in range(STUCK_WITH):
            connection = waiting.enter_context(socket.create_connection(web.address))
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n")
        eventually(lambda: (releases.current / "in-flight").exists() and _waits(other, STUCK_WITH))
        time.sleep(STUCK_AFTER)
        first.resume()
        _suspend(other)
        clients = Kept(web.port)
        clients.connect()
        other.resume()
        with clients.asking():
            eventually(lambda: clients.answers.total() > 500)

    assert set(clients.answers) == {first.pid}
    assert (clients.closed, clients.failed) == (0, [])


def _suspend(child: psutil.Process) -> None:
    """Stop it, and return once it has stopped: until then it would take connections."""
    child.suspend()
    eventually(lambda: child.status() == psutil.STATUS_STOPPED)


def _waits(child: psutil.Process, connections: int) -> bool:
    """Whether the child has accepted so many."""
    return len([each for each in child.net_connections() if each.status == psutil.CONN_ESTABLISHED]) >= connections


def _share_of(clients: Kept, pid: int) -> float:
    """Which part of the answers of some moment come from this child."""
    before = clients.answers.copy()
    time.sleep(0.5)
    new = clients.answers.copy() - before
    return new[pid] / max(1, new.total())
