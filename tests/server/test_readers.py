"""Large answers go out in pieces, to so many at a time, and nobody reads for ever."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any

import pytest

from checkout_service.server.readers import (
    CallerReadsEnoughError,
    Readers,
    TooManyReadersError,
    hang_up_on_slow_readers,
)
from checkout_service.server.sockets import OwnSockets, bound_unread, unread
from checkout_service.threads import BackgroundThread

HEADERS = [("Content-Length", "100000")]


class Reader:
    """Takes pieces as the server does, each once ``reads`` allows it."""

    def __init__(self, *, reads: bool = True) -> None:
        self.pieces: list[bytes] = []
        self.may_read = threading.Event()
        self.ended = threading.Event()
        if reads:
            self.may_read.set()

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        assert (status, headers) == (200, HEADERS)
        with suppress(StopIteration):
            while True:
                self.pieces.append(body.__next__())
                assert self.may_read.wait(30)
        body.close()
        self.ended.set()


class Connection(Reader):
    """The same on a real connection."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        assert (status, headers) == (200, HEADERS)
        with suppress(StopIteration, OSError):
            while True:
                self._connection.sendall(body.__next__())
        body.close()
        self.ended.set()


def sent(readers: Readers, reader: Reader, whole: bytes = b"x" * 100_000, **about: Any) -> bytes:
    readers.send(reader, 200, HEADERS, whole, **{"address": "127.0.0.1", **about})
    return whole


def await_room(readers: Readers, whole: bytes, **about: Any) -> None:
    """Send this as soon as there is room; to a reader who takes it at once."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(TooManyReadersError):
            reader = Reader()
            sent(readers, reader, whole, **about)
            assert reader.ended.wait(30)
            return
        time.sleep(0.01)
    pytest.fail("no room came back")


def test_an_answer_goes_out_in_small_pieces_and_its_sender_waits_for_nobody() -> None:
    readers, slow, quick = Readers(readers=3, most_bytes=2**20), Reader(reads=False), Reader()

    whole = sent(readers, slow, b"abcd" * 25_000)
    sent(readers, quick, whole)

    assert quick.ended.wait(30)
    assert b"".join(quick.pieces) == whole
    assert max(map(len, quick.pieces)) <= 16 * 1024
    assert not slow.ended.is_set()
    slow.may_read.set()
    assert slow.ended.wait(30)
    assert b"".join(slow.pieces) == whole


def test_no_more_bytes_are_held_than_allowed_and_they_come_back() -> None:
    readers, slow = Readers(readers=100, most_bytes=250_000), [Reader(reads=False) for _ in range(3)]
    sent(readers, slow[0], b"a" * 100_000)
    sent(readers, slow[1], b"b" * 100_000)

    with pytest.raises(TooManyReadersError):
        sent(readers, slow[2], b"c" * 100_000)

    assert slow[2].pieces == []
    slow[0].may_read.set()
    await_room(readers, b"c" * 100_000)
    slow[1].may_read.set()


@pytest.mark.parametrize("bounds", [{"readers": 8, "most_bytes": 2**30}, {"readers": 100, "most_bytes": 900_000}])
def test_one_caller_reads_a_quarter_and_keeps_others_from_nothing(bounds: dict[str, int]) -> None:
    readers, slow = Readers(**bounds), [Reader(reads=False) for _ in range(4)]
    own = [bytes([number]) * 100_000 for number in range(4)]
    sent(readers, slow[0], own[0], caller="one")
    sent(readers, slow[1], own[1], caller="one")

    with pytest.raises(CallerReadsEnoughError):
        sent(readers, slow[2], own[2], caller="one")

    assert slow[2].pieces == []
    sent(readers, slow[2], own[2], caller="another")
    sent(readers, slow[3], own[3])
    for reader in slow:
        reader.may_read.set()
    assert slow[0].ended.wait(30)
    await_room(readers, own[0], caller="one")


def test_an_answer_larger_than_a_callers_share_is_sent_alone() -> None:
    readers, slow = Readers(readers=1, most_bytes=200_000), Reader(reads=False)
    sent(readers, slow, caller="one")
    slow.may_read.set()
    assert slow.ended.wait(30)


def test_what_many_read_is_held_once_and_keeps_half_of_the_places_free() -> None:
    readers, shared = Readers(readers=6, most_bytes=300_000), b"s" * 200_000
    slow = [Reader(reads=False) for _ in range(4)]
    for reader in slow:
        sent(readers, reader, shared)

    with pytest.raises(TooManyReadersError):
        sent(readers, Reader(), shared)
    own = Reader()
    sent(readers, own, b"o" * 100_000)

    assert own.ended.wait(30)
    for reader in slow:
        reader.may_read.set()
        assert reader.ended.wait(30)
    await_room(readers, b"n" * 300_000)


def test_no_more_read_than_allowed() -> None:
    readers, slow = Readers(readers=2, most_bytes=2**30), [Reader(reads=False) for _ in range(2)]
    for number, reader in enumerate(slow):
        sent(readers, reader, bytes([number]) * 100_000)

    with pytest.raises(TooManyReadersError):
        sent(readers, Reader(), b"x" * 100_000)

    for reader in slow:
        reader.may_read.set()


def test_who_is_late_gets_no_further_piece() -> None:
    readers, slow, other = Readers(readers=3, most_bytes=2**20), Reader(reads=False), Reader(reads=False)
    sent(readers, slow, address="192.0.2.1")
    time.sleep(0.1)
    sent(readers, other, b"y" * 100_000, address="192.0.2.2")
    first, second = readers._reading

    assert readers.late(time.monotonic() - (first.since + second.since) / 2) == {"192.0.2.1"}
    assert readers.addresses() == {"192.0.2.1", "192.0.2.2"}
    for reader in (slow, other):
        reader.may_read.set()
        assert reader.ended.wait(30)

    assert len(slow.pieces) == 1
    assert len(other.pieces) == 7


def test_without_another_thread_nothing_is_sent_and_no_place_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    readers = Readers(readers=1, most_bytes=100_000)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(TooManyReadersError):
            sent(readers, Reader())

    await_room(readers, b"x" * 100_000)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bound_unread(listener, seconds=30)
        yield listener


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists open files")
def test_a_reader_that_takes_a_little_at_a_time_is_hung_up_on_and_a_quick_one_is_not(listener: socket.socket) -> None:
    address = listener.getsockname()
    readers = Readers(readers=4, most_bytes=2**30)
    clients = []
    for _ in range(2):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(address)
        clients.append(client)
    slow, quick = clients
    (to_slow, _), (to_quick, _) = listener.accept(), listener.accept()
    rounds = partial(hang_up_on_slow_readers, readers, OwnSockets(address[1]), seconds=1.5)
    with slow, quick, to_slow, to_quick:
        BackgroundThread("slow-readers", rounds).start()
        reader = Connection(to_slow)
        sent(readers, reader, b"s" * 4_000_000)
        received = 0
        for number in range(30):
            further = Connection(to_quick)
            sent(readers, further, bytes([number]) * 100_000)
            got = 0
            while got < 100_000:
                got += len(quick.recv(65536))
            assert further.ended.wait(30)
            with suppress(OSError):
                received += len(slow.recv(1000))
            time.sleep(0.1)

        assert reader.ended.wait(30)
        assert received < 100_000
        slow.settimeout(5)
        with suppress(OSError):
            while slow.recv(2**20):
                pass
        assert unread(to_quick) == 0
        assert to_quick.getpeername() == quick.getsockname()


def test_the_kernel_holds_little_of_an_answer_that_nobody_reads(listener: socket.socket) -> None:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(listener.getsockname())
    connection, _ = listener.accept()
    with closing(client), connection:
        connection.setblocking(False)
        taken = 0
        with suppress(BlockingIOError):
            while taken < 10_000_000:
                taken += connection.send(b"x" * 65536)

        assert 64 * 1024 <= taken < 512 * 1024
        if sys.platform == "linux":
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
