"""The management port: nobody who is slow, mute or many keeps others from it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest

from checkout_service.server import management
from checkout_service.server.management import LARGEST_HEAD, MOST, Answer, ManagementPort, Request, listen


@dataclass
class PagesOfATest:
    """/now answers at once, /later when it ``goes_on``; /breaks and /breaks-later raise."""

    seen: list[Request | None] = field(default_factory=list)
    goes_on: threading.Event = field(default_factory=threading.Event)
    made: int = 0

    def answer(self, request: Request | None) -> Answer | None:
        self.seen.append(request)
        if request is None:
            return 400, {}, b"unreadable"
        if request.path.endswith("later"):
            return None
        if request.path == "/breaks":
            raise ValueError("broken")
        if request.path == "/large":
            return 200, {}, b"x" * 30_000_000
        return 200, {"X-One": "1"}, b"now"

    def answer_in_time(self, request: Request) -> Answer:
        if request.path == "/breaks-later":
            raise ValueError("broken")
        assert self.goes_on.wait(20)
        self.made += 1
        return 200, {}, b"later"


@dataclass
class Port:
    """One that runs."""

    pages: PagesOfATest
    number: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.number), timeout=60)

    def send(self, raw: bytes) -> tuple[int, bytes]:
        with self.connect() as client:
            client.sendall(raw)
            return _read(client)

    def get(self, path: str = "/now") -> tuple[int, bytes]:
        return self.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


@pytest.fixture
def port() -> Iterator[Port]:
    with listen("127.0.0.1", 0) as listener:
        pages = PagesOfATest()
        ManagementPort(listener, pages).start()
        yield Port(pages, listener.getsockname()[1])
        pages.goes_on.set()


def _read(client: socket.socket) -> tuple[int, bytes]:
    received = b""
    while piece := client.recv(65536):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"\r\nConnection: close" in head
    return int(head[9:12]), body


def test_a_page_is_answered_and_the_connection_closed(port: Port) -> None:
    assert port.send(b"GET /now?a=b HTTP/1.1\r\nHost: x\r\nAuthorization:  Bearer t \r\n\r\n") == (200, b"now")
    assert port.pages.seen == [Request("GET", "/now", {"host": "x", "authorization": "Bearer t"})]


def test_a_head_comes_in_pieces(port: Port) -> None:
    with port.connect() as client:
        for piece in (b"GE", b"T /now HT", b"TP/1.1\r\nHost: x\r\n", b"\r", b"\n"):
            client.sendall(piece)
            time.sleep(0.02)
        assert _read(client) == (200, b"now")


def test_head_is_answered_without_a_body(port: Port) -> None:
    with port.connect() as client:
        client.sendall(b"HEAD /now HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 3\r\n" in received
    assert received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "raw",
    [b"\r\n\r\n", b"GET\r\n\r\n", b"GET /now\r\n\r\n", b"GET now HTTP/1.1\r\n\r\n", b"GET /now FTP/1\r\n\r\n",
     b"GET /now HTTP/1.1 x\r\n\r\n", b"\xff\x00\r\n\r\n", b"x" * LARGEST_HEAD],
)  # fmt: skip
def test_what_cannot_be_read_is_a_400(port: Port, raw: bytes) -> None:
    assert port.send(raw) == (400, b"unreadable")
    assert port.pages.seen == [None]
    assert port.get() == (200, b"now")


def test_a_page_that_takes_time_keeps_nobody_from_the_others(port: Port) -> None:
    with ExitStack() as stack:
        waiting = [stack.enter_context(port.connect()) for _ in range(20)]
        for client in waiting:
            client.sendall(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n")
        started = time.monotonic()
        assert [port.get() for _ in range(20)] == [(200, b"now")] * 20
        assert time.monotonic() - started < 5
        port.pages.goes_on.set()
        assert [_read(client) for client in waiting] == [(200, b"later")] * 20


def test_mute_and_slow_clients_keep_nobody_out_and_are_hung_up_on(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(management, "WITHIN", 1.0)
    with ExitStack() as stack:
        mute = [stack.enter_context(port.connect()) for _ in range(MOST * 3)]
        for client in mute[::2]:
            client.sendall(b"GET /now HTTP/1.1\r\nHo")
        assert port.get() == (200, b"now")
        assert port.get("/breaks")[0] == 500
        for client in mute:
            with suppress(ConnectionResetError):
                assert client.recv(100) == b""
    assert port.get() == (200, b"now")


def test_one_connection_more_than_are_held_ends_the_oldest(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(management, "WITHIN", 60.0)
    with ExitStack() as stack:
        mute = [stack.enter_context(port.connect()) for _ in range(MOST + 5)]
        assert [client.recv(1) for client in mute[:5]] == [b""] * 5
        mute[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            mute[-1].recv(1)
        assert port.get() == (200, b"now")


def test_a_client_that_reads_nothing_is_hung_up_on(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(management, "WITHIN", 1.0)
    with port.connect() as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(2)
        assert port.get() == (200, b"now")
        received = 0
        with suppress(ConnectionResetError):
            while piece := client.recv(2**20):
                received += len(piece)
        assert received < 30_000_000


@pytest.mark.parametrize("path", ["/breaks", "/breaks-later"])
def test_a_page_that_breaks_is_a_500_and_the_next_one_is_answered(port: Port, path: str) -> None:
    assert port.get(path) == (500, b"")
    assert port.get() == (200, b"now")


def test_what_nobody_waits_for_any_more_is_not_made(port: Port) -> None:
    for number in range(5):
        with port.connect() as client:
            client.sendall(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n")
            _wait_until(lambda number=number: len(port.pages.seen) == number + 1)
    assert port.get() == (200, b"now")
    port.pages.goes_on.set()
    assert port.get("/later") == (200, b"later")
    assert port.pages.made <= 2, "the first was being made when it hung up"


def test_processes_that_share_a_listener_each_answer(port: Port) -> None:
    """As children do; here two threads of one process take the connections."""
    other = PagesOfATest()
    with listen("127.0.0.1", 0) as listener:
        ManagementPort(listener, port.pages).start()
        ManagementPort(listener, other).start()
        shared = Port(port.pages, listener.getsockname()[1])
        assert [shared.get() for _ in range(200)] == [(200, b"now")] * 200
        assert len(port.pages.seen) + len(other.seen) == 200


def _wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)
