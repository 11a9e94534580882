"""A port for those who watch a process: probes and metrics, apart from everybody else's connections.

One thread holds all connections, and waits for none of them. So a client that sends or reads slowly keeps nobody
waiting, and is hung up on. What takes time is made in a second thread.
"""

from __future__ import annotations

import selectors
import socket
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from email.utils import formatdate
from http import HTTPStatus
from time import monotonic
from typing import Final, NamedTuple, Protocol

import structlog

from checkout_service.threads import BackgroundThread

MANAGEMENT_KEY: Final = "checkout_service.server.management"
"""Under this key of an app's extensions stand the pages that it serves on such a port."""

BACKLOG: Final = 128
"""Connections that wait to be accepted; the port's own."""

MOST: Final = 64
"""Connections that a process holds. One more ends the oldest: who only connects cannot keep others out."""

WITHIN: Final = 5.0
"""Seconds that a client has for its request, and then for reading the answer."""

LARGEST_HEAD: Final = 16 * 1024
"""Bytes of a request's head."""

_TURN: Final = 0.5
"""Seconds after which the thread looks for clients that are too slow."""

log = structlog.get_logger(__name__)

Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body."""


_FAILED: Final[Answer] = (500, {}, b"")


class Request(NamedTuple):
    """A request without its body. Names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


class Pages(Protocol):
    """What is served on the port."""

    def answer(self, request: Request | None, /) -> Answer | None:
        """The answer that takes no time; None if it takes some. No request is one that cannot be read."""

    def answer_in_time(self, request: Request, /) -> Answer:
        """The answer that takes time."""


class _Connection:
    """One request and its answer; then it is closed."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.until = monotonic() + WITHIN
        self.received = bytearray()
        self.request: Request | None = None
        self.unsent: memoryview | None = None
        self.is_being_made = False


class ManagementPort:
    """Serves pages on a listener, for as long as the process runs. Processes may share the listener: one answers."""

    def __init__(self, listener: socket.socket, pages: Pages) -> None:
        """``listener`` listens already; it is not closed."""
        listener.setblocking(False)
        self._listener = listener
        self._pages = pages
        self._open: dict[socket.socket, _Connection] = {}
        self._to_make: deque[_Connection] = deque()
        self._made: deque[tuple[_Connection, Answer]] = deque()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._thread = BackgroundThread("management", self._rounds)
        self._maker = BackgroundThread("management-pages", self._pages_in_time)
        self._is_leaving = False

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop_accepting(self) -> None:
        """Leave new connections to the other processes that share the listener; those that are open are answered."""
        self._is_leaving = True
        with suppress(BlockingIOError):  # then it is awake
            self._waker.send(b".")

    def _rounds(self) -> Iterator[float | None]:
        with ExitStack() as stack:
            stack.callback(self._close_all)
            selector = stack.enter_context(selectors.DefaultSelector())
            if not self._is_leaving:
                selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                pause = 0.0
                if self._is_leaving and self._listener in selector.get_map():
                    selector.unregister(self._listener)
                for key, _ in selector.select(_TURN):
                    if key.fileobj is self._listener:
                        pause = self._accept(selector)
                    elif key.fileobj is self._woken:
                        with suppress(BlockingIOError):
                            self._woken.recv(4096)
                    else:
                        self._go_on(selector, key.data)
                while self._made:
                    connection, answer = self._made.popleft()
                    self._begin_sending(selector, connection, answer)
                self._hang_up_on_slow_ones(selector)
                yield pause

    def _accept(self, selector: selectors.BaseSelector) -> float:
        """Take new connections; how long to wait before the next turn."""
        for _ in range(MOST):
            try:
                client, _ = self._listener.accept()
            except BlockingIOError:
                return 0.0
            except OSError as error:  # no descriptors are left
                log.warning("management_not_accepted", error=str(error))
                return 0.1
            client.setblocking(False)
            connection = self._open[client] = _Connection(client)
            selector.register(client, selectors.EVENT_READ, connection)
            if len(self._open) > MOST:
                self._close(selector, next(iter(self._open.values())))
        return 0.0

    def _go_on(self, selector: selectors.BaseSelector, connection: _Connection) -> None:
        try:
            if connection.unsent is None:
                self._receive(selector, connection)
            else:
                self._send(selector, connection)
        except BlockingIOError:
            pass
        except OSError:  # the client is gone
            self._close(selector, connection)

    def _receive(self, selector: selectors.BaseSelector, connection: _Connection) -> None:
        piece = connection.client.recv(LARGEST_HEAD)
        if not piece or connection.request is not None:
            # It hung up, or sends more than one request.
            if not piece:
                self._close(selector, connection)
            return
        connection.received += piece
        is_whole = b"\r\n\r\n" in connection.received
        if not is_whole and len(connection.received) < LARGEST_HEAD:
            return
        connection.request = _read(bytes(connection.received)) if is_whole else None
        answer = self._at_once(connection.request)
        if answer is None:
            connection.is_being_made = True
            self._to_make.append(connection)
            if not self._maker.wake():
                self._begin_sending(selector, connection, (503, {"Retry-After": "1"}, b""))
        else:
            self._begin_sending(selector, connection, answer)

    def _begin_sending(self, selector: selectors.BaseSelector, connection: _Connection, answer: Answer) -> None:
        connection.is_being_made = False
        if connection.client not in self._open or connection.unsent is not None:
            return
        has_body = connection.request is None or connection.request.method != "HEAD"
        connection.unsent = memoryview(_written(answer, has_body=has_body))
        connection.until = monotonic() + WITHIN
        selector.modify(connection.client, selectors.EVENT_WRITE, connection)
        self._go_on(selector, connection)

    def _send(self, selector: selectors.BaseSelector, connection: _Connection) -> None:
        if connection.unsent:
            connection.unsent = connection.unsent[connection.client.send(connection.unsent) :]
        if not connection.unsent:
            connection.client.shutdown(socket.SHUT_WR)
            self._close(selector, connection)

    def _hang_up_on_slow_ones(self, selector: selectors.BaseSelector) -> None:
        now = monotonic()
        for connection in list(self._open.values()):
            if now > connection.until and not connection.is_being_made:
                self._close(selector, connection)

    def _close(self, selector: selectors.BaseSelector, connection: _Connection) -> None:
        if self._open.pop(connection.client, None) is not None:
            selector.unregister(connection.client)
            connection.client.close()

    def _close_all(self) -> None:
        for client in self._open:
            client.close()
        self._open.clear()

    def _pages_in_time(self) -> Iterator[float | None]:
        while True:
            while self._to_make:
                connection = self._to_make.popleft()
                if connection.request is None or connection.client not in self._open:
                    continue
                self._made.append((connection, self._in_time(connection.request)))
                with suppress(BlockingIOError):  # then it is awake
                    self._waker.send(b".")
            yield None

    def _at_once(self, request: Request | None) -> Answer | None:
        try:
            return self._pages.answer(request)
        except Exception:
            log.exception("management_page_failed")
            return _FAILED

    def _in_time(self, request: Request) -> Answer:
        try:
            return self._pages.answer_in_time(request)
        except Exception:
            log.exception("management_page_failed")
            return _FAILED


def listen(host: str, port: int) -> socket.socket:
    """A listener for a ManagementPort. Raises OSError if the port cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def _read(received: bytes) -> Request | None:
    head, _, _ = received.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        return None
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(words[0], words[1].partition("?")[0], headers)


def _written(answer: Answer, *, has_body: bool) -> bytes:
    status, headers, body = answer
    named = {**headers, "Content-Length": str(len(body)), "Connection": "close", "Date": formatdate(usegmt=True)}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body if has_body else b"")
