"""A way to PostgreSQL that can be refused, or swallow everything: what a firewall or a frozen host does."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LONGEST_QUEUE = 64


class Proxy:
    """Forwards a port of 127.0.0.1 to a unix socket.

    open        forwards
    refusing    nobody listens, and what was open is closed
    silent      accepts, and forwards nothing; what was open stays so
    black hole  nothing is accepted, and the kernel drops what knocks; what was open stays so, in silence
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=LONGEST_QUEUE)
        self.port: int = self._listener.getsockname()[1]
        self._forwards = threading.Event()
        self._forwards.set()
        self._accepts = threading.Event()
        self._accepts.set()
        self._ended = threading.Event()
        # Held while accepting: until that returns, the kernel keeps a closed listener's port taken.
        self._listening = threading.Lock()
        self._open: set[socket.socket] = set()
        self._knocking: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="proxy")]
        self._threads[0].start()

    def refuse(self) -> None:
        self._accepts.clear()
        with self._listening:
            self._listener.close()
        self._close_all()

    def fall_silent(self) -> None:
        self._forwards.clear()

    def swallow(self) -> None:
        self._forwards.clear()
        self._accepts.clear()
        with self._listening:
            self._listener.close()
        self._listener = self._listen(backlog=0)
        # The queue of what has knocked is full with these, so the kernel answers no other.
        for _ in range(4):
            knocking = socket.socket()
            knocking.setblocking(False)
            with suppress(BlockingIOError):
                knocking.connect(("127.0.0.1", self.port))
            self._knocking.append(knocking)

    def reopen(self) -> None:
        """Forward again; what was open is gone, as after a failover."""
        self._close_all()
        with self._listening:
            self._listener.close()
        self._listener = self._listen(backlog=LONGEST_QUEUE)
        self._forwards.set()
        self._accepts.set()

    def close(self) -> None:
        self._ended.set()
        self._listener.close()
        self._close_all()
        for thread in self._threads:
            thread.join()

    def _listen(self, *, backlog: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", self.port), backlog=backlog)

    def _accept(self) -> None:
        while not self._ended.is_set():
            if not self._accepts.wait(0.1):
                continue
            with self._listening:
                try:
                    self._listener.settimeout(0.1)
                    client, _ = self._listener.accept()
                except (TimeoutError, OSError):
                    continue
            client.settimeout(None)
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._target))
            self._open |= {client, server}
            thread = threading.Thread(target=self._forward, args=(client, server), name="forward")
            self._threads.append(thread)
            thread.start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as selector, suppress(OSError, ValueError, KeyError):
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while not self._ended.is_set():
                if not self._forwards.wait(0.1):
                    if client.fileno() < 0:
                        break
                    continue
                for key, _ in selector.select(0.1):
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]  # registered above, always a socket
                    if not data:
                        return self._close(client, server)
                    key.data.sendall(data)
        return self._close(client, server)

    def _close(self, *sockets: socket.socket) -> None:
        for one in sockets:
            self._open.discard(one)
            one.close()

    def _close_all(self) -> None:
        for one in [*self._open, *self._knocking]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._knocking, knocked = [], self._knocking
        for one in knocked:
            one.close()


@contextmanager
def open_proxy(target: Path) -> Iterator[Proxy]:
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
