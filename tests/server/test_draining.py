"""A web process's end: who keeps a connection is told, who has knocked is let in, and nothing is lost."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial

import pytest

from checkout_service.server import draining
from checkout_service.server.closing import close_for_all
from checkout_service.server.draining import Drain
from checkout_service.server.sockets import OwnSockets, peer, seconds_unanswered, silent_listener, take_no_more


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def sockets(listener: socket.socket) -> Iterator[OwnSockets]:
    with closing(OwnSockets(_port(listener))) as sockets:
        yield sockets


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def test_answers_close_the_connection_once_the_end_has_begun(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "LINGER", 1.5)
    drain, over = Drain(_port(listener), drained=partial(close_for_all, listener)), threading.Event()
    assert not drain.has_begun()

    with socket.create_connection(listener.getsockname()), listener.accept()[0]:
        drain.begin(over.set)

        assert drain.has_begun()
        assert not over.wait(0.3), "who keeps a connection must have time to use it"
        assert over.wait(30)


def test_nobody_is_waited_for_when_no_connection_is_open(listener: socket.socket) -> None:
    started, over = time.monotonic(), threading.Event()

    Drain(_port(listener), drained=partial(close_for_all, listener)).begin(over.set)

    assert over.wait(30)
    assert time.monotonic() - started < draining.LINGER / 2


def test_the_end_begins_once(listener: socket.socket) -> None:
    drain = Drain(_port(listener), drained=partial(close_for_all, listener))
    ends = threading.Semaphore(0)

    for _ in range(3):
        drain.begin(ends.release)

    assert ends.acquire(timeout=30)
    assert not ends.acquire(timeout=0.3)


def test_who_has_knocked_is_let_in_and_who_comes_later_is_not(listener: socket.socket, sockets: OwnSockets) -> None:
    with socket.create_connection(listener.getsockname()) as early, socket.socket() as late:
        (found,) = sockets.listeners()
        assert found.fileno() == -1, "a duplicate is closed after its turn"
        for found in sockets.listeners():
            take_no_more(found)

        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.connect(listener.getsockname())
        early.sendall(b"a request")
        with listener.accept()[0] as accepted:
            assert accepted.recv(100) == b"a request"
            accepted.sendall(b"an answer")
            assert early.recv(100) == b"an answer"


def test_a_listener_is_closed_for_all_once_its_queue_is_empty(listener: socket.socket) -> None:
    address = listener.getsockname()
    with listener.dup() as others, socket.create_connection(address) as early:
        closer = threading.Thread(target=close_for_all, args=(others,))
        closer.start()
        time.sleep(0.3)
        assert closer.is_alive(), "it waits for who has knocked"
        with listener.accept()[0] as accepted:
            closer.join(30)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=60)
            accepted.sendall(b"an answer")
            assert early.recv(100) == b"an answer"


def test_connections_are_found_by_their_port_with_how_long_they_heard_nothing(
    listener: socket.socket, sockets: OwnSockets
) -> None:
    with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
        time.sleep(1)
        (unanswered,) = [seconds_unanswered(found) for found in sockets.connections()]
        assert 0.9 < unanswered < 60
        accepted.sendall(b"an answer")
        assert [(peer(found), seconds_unanswered(found) < unanswered) for found in sockets.connections()] == [
            ("127.0.0.1", True)
        ]
    assert list(sockets.connections()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists open files")
def test_where_others_go_on_this_process_accepts_no_more_and_they_do(
    listener: socket.socket, sockets: OwnSockets
) -> None:
    silent = silent_listener()
    assert silent is not None
    other = os.fork()
    if not other:  # another process that shares the listener
        with suppress(BaseException):
            time.sleep(1)
            listener.settimeout(20)
            with listener.accept()[0] as accepted:
                accepted.sendall(b"the other")
        os._exit(0)
    try:
        address = listener.getsockname()
        sockets.stop_accepting(silent)
        listener.setblocking(False)
        with socket.create_connection(address, timeout=60) as client:
            with pytest.raises(BlockingIOError):
                listener.accept()
            assert client.recv(100) == b"the other"
    finally:
        os.close(silent)
        os.waitpid(other, 0)


def test_a_drain_whose_listener_goes_on_tells_others_and_leaves_no_filter(listener: socket.socket) -> None:
    address = listener.getsockname()
    over, left = threading.Event(), threading.Event()

    Drain(_port(listener), listener_ends=lambda: False, stop_accepting=left.set).begin(over.set)

    assert left.wait(30)
    assert over.wait(30)
    if sys.platform == "linux":
        # In this process nobody listens there any more; where others hold it, it would be as it was.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=60)
