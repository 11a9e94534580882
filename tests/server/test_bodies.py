"""Bodies are read before a request takes a slot, and never more of them than this process can hold."""

from __future__ import annotations

import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient

from checkout_service.server.bodies import (
    GONE_KEY,
    LARGEST_BODY,
    LARGEST_WEBHOOK,
    MOST_PIECES,
    REFUSED_KEY,
    BodyReader,
    TakePiece,
    hang_up_on_slow_senders,
)
from checkout_service.server.sockets import OwnSockets
from checkout_service.threads import BackgroundThread
from tests.server.arriving import PIECE, Arriving
from tests.threads.scenes import wait_until

WEBHOOK = "/api/payments/webhook/mock"
ORDER = "/api/checkout/session"


class Sender(BytesIO):
    """A body that counts what was read of it."""

    def __init__(self, size: int) -> None:
        super().__init__(b"x" * size)
        self.was_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.was_read += len(piece)
        return piece


class Stalled:
    """A body that never comes, until the test is over."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.over = threading.Event()

    def read(self, size: int = -1) -> bytes:
        self.reached.set()
        self.over.wait(30)
        return b""


class Wire:
    """A body as the server reads it: an error of the connection is the body's end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def read(self, size: int) -> bytes:
        try:
            return self._connection.recv(size)
        except OSError:
            return b""


@contextmanager
def taken(body_reader: BodyReader, request: dict[str, Any]) -> Iterator[None]:
    """The request's body is held within the block."""
    held: list[int] = []
    body_reader.take(request, held.append)
    yield
    (size,) = held
    body_reader.let_go(size)


def environ(path: str, body: Any, *, length: int | None) -> dict[str, Any]:
    made = {"PATH_INFO": path, "wsgi.input": Arriving(body)}
    return made | ({"HTTP_TRANSFER_ENCODING": "chunked"} if length is None else {"CONTENT_LENGTH": str(length)})


@pytest.mark.parametrize(("path", "largest"), [(WEBHOOK, LARGEST_WEBHOOK), (ORDER, LARGEST_BODY)])
def test_no_more_is_read_than_the_path_takes_and_one(path: str, largest: int) -> None:
    body_reader = BodyReader(readers=1, most_bytes=2**30)
    sender = Sender(1_000_000)
    chunked = environ(path, sender, length=None)

    with taken(body_reader, chunked):
        assert len(chunked["wsgi.input"].read()) == largest + 1
    assert largest < sender.was_read <= largest + PIECE


def test_a_body_that_declares_itself_too_large_is_left_unread() -> None:
    for path, largest in ((WEBHOOK, LARGEST_WEBHOOK), (ORDER, LARGEST_BODY)):
        sender = Sender(largest + 2)
        with taken(BodyReader(readers=1, most_bytes=2**30), environ(path, sender, length=largest + 2)):
            assert sender.was_read == 0


def test_bytes_in_flight_are_bounded_and_given_back() -> None:
    body_reader = BodyReader(readers=10, most_bytes=100_000)
    first, second, third, fourth = (environ(WEBHOOK, Sender(60_000), length=60_000) for _ in range(4))

    with taken(body_reader, first):
        with taken(body_reader, second):
            assert REFUSED_KEY not in first
            assert REFUSED_KEY in second
        with taken(body_reader, third):
            assert REFUSED_KEY in third
    with taken(body_reader, fourth):
        assert REFUSED_KEY not in fourth
        assert len(fourth["wsgi.input"].read()) == 60_000


def test_a_full_process_reads_nothing_more() -> None:
    body_reader = BodyReader(readers=10, most_bytes=50_000)
    sender = Sender(10)

    full = environ(WEBHOOK, Sender(50_000), length=50_000)
    with taken(body_reader, full), taken(body_reader, environ(WEBHOOK, sender, length=10)):
        assert sender.was_read == 0


def test_small_pieces_take_no_more_memory_than_is_counted() -> None:
    class Crumbs:
        def __init__(self) -> None:
            self.left = MOST_PIECES - 1

        def next(self, take: TakePiece, /) -> None:
            self.left -= 1
            self.waits = take if self.left >= 0 else None

    crumbs, held = Crumbs(), list[int]()
    body_reader = BodyReader(readers=1, most_bytes=2**20)
    request = environ(WEBHOOK, Sender(0), length=None) | {"wsgi.input": crumbs}
    body_reader.take(request, held.append)
    tracemalloc.start()
    for number in range(MOST_PIECES - 1):
        assert crumbs.waits is not None
        crumbs.waits(b"%02d" % (number % 100))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 4 * MOST_PIECES
    assert not held


def test_bytes_come_back_where_there_is_no_memory_for_the_whole() -> None:
    class Full(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            raise MemoryError

    body_reader = BodyReader(readers=1, most_bytes=100)
    with pytest.raises(MemoryError):
        body_reader.take(Full(environ(WEBHOOK, Sender(60), length=60)), lambda _held: None)
    later = environ(WEBHOOK, Sender(100), length=100)
    with taken(body_reader, later):
        assert REFUSED_KEY not in later


def test_slow_senders_leave_room_for_requests_without_a_body() -> None:
    body_reader = BodyReader(readers=1, most_bytes=2**30)
    stalled = Stalled()

    def wait() -> None:
        with taken(body_reader, environ(ORDER, stalled, length=10)):
            pass

    slow = threading.Thread(target=wait)
    slow.start()
    assert stalled.reached.wait(30)
    sender = Sender(10)
    refused, bare = environ(ORDER, sender, length=10), environ("/livez", Sender(0), length=0)
    with taken(body_reader, refused), taken(body_reader, bare):
        assert REFUSED_KEY in refused
        assert sender.was_read == 0
        assert REFUSED_KEY not in bare
    stalled.over.set()
    slow.join(30)
    later = environ(ORDER, Sender(10), length=10)
    with taken(body_reader, later):
        assert REFUSED_KEY not in later


def test_a_sender_whose_body_ends_before_its_length_is_gone() -> None:
    cut_off, whole = environ(WEBHOOK, Sender(9), length=10), environ(WEBHOOK, Sender(10), length=10)
    body_reader = BodyReader(readers=1, most_bytes=2**30)

    with taken(body_reader, cut_off):
        assert GONE_KEY in cut_off
    with taken(body_reader, whole):
        assert GONE_KEY not in whole


def test_a_sender_that_was_too_slow_is_gone_whatever_still_comes() -> None:
    body_reader = BodyReader(readers=2, most_bytes=2**30)
    stalled = Stalled()
    slow = environ(WEBHOOK, stalled, length=None) | {"REMOTE_PORT": "50007"}
    gone = []

    def wait() -> None:
        with taken(body_reader, slow):
            gone.append(GONE_KEY in slow)

    assert body_reader.late(0) == set()
    sender = threading.Thread(target=wait)
    sender.start()
    assert stalled.reached.wait(30)
    assert body_reader.late(60) == set()
    assert body_reader.late(0) == {"50007"}
    stalled.over.set()
    sender.join(30)
    assert gone == [True]
    assert body_reader.late(0) == set()


def test_the_connection_of_a_slow_sender_is_ended_and_no_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        body_reader = BodyReader(readers=2, most_bytes=2**30)
        clients = [socket.create_connection(address) for _ in range(2)]
        (slow, _), (idle, _) = listener.accept(), listener.accept()
        with slow, idle, clients[0], clients[1]:
            request = environ(WEBHOOK, Wire(slow), length=1000) | {"REMOTE_PORT": str(clients[0].getsockname()[1])}
            read = threading.Thread(target=_take, args=(body_reader, request))
            read.start()
            rounds = partial(hang_up_on_slow_senders, body_reader, OwnSockets(address[1]), seconds=1.5)
            BackgroundThread("slow-senders", rounds).start()
            for _ in range(40):
                with suppress(OSError):
                    clients[0].sendall(b"x")
                time.sleep(0.1)

            read.join(30)
            assert not read.is_alive()
            wait_until(lambda: _is_hung_up_on(clients[0]))
            idle.sendall(b"y")
            assert clients[1].recv(100) == b"y", "it was as idle, from the same address"


def _is_hung_up_on(client: socket.socket) -> bool:
    """Whether it was; what is sent first is what brings the answer that nobody is there."""
    try:
        client.sendall(b"x")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def _take(body_reader: BodyReader, request: dict[str, Any]) -> None:
    with taken(body_reader, request):
        assert GONE_KEY in request


def test_what_was_not_read_is_503_with_retry_after(client: FlaskClient) -> None:
    answer = client.post("/api/payments/webhook", json={}, environ_overrides={REFUSED_KEY: True})

    assert answer.status_code == 503
    assert answer.json["type"] == "/problems/too-many-bodies"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["X-Request-Id"]
