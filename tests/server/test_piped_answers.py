"""Answers in pieces go through a pipe: as fast as the server takes them, and to nobody that has gone."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from checkout_service.server import piped_answers

HEADERS = [("Content-Type", "text/plain")]
PIECE = 16 * 1024


class Pieces:
    """What is to be sent, and how much of it was asked for."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = iter(pieces)
        self.taken = self.closed = 0

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        self.taken += 1
        return piece

    def close(self) -> None:
        self.closed += 1


class Disconnect:
    """Granian's answer to who asks whether the client has gone."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[Any], object]] = []
        self.is_canceled = False

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        self.callbacks.append(callback)

    def cancel(self) -> None:
        self.is_canceled = True


class Server:
    """Granian's side: it opens the file that it is given, some time later, or never."""

    def __init__(self) -> None:
        self.gone = Disconnect()
        self.whole: list[tuple[int, list[tuple[str, str]], bytes]] = []
        self.given: list[str] = []

    def client_disconnect(self) -> Disconnect:
        return self.gone

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes, /) -> None:
        self.whole.append((status, headers, body))

    def response_file(self, status: int, headers: list[tuple[str, str]], file: str, /) -> None:
        assert (status, headers) == (200, HEADERS)
        self.given.append(file)

    def open(self) -> int:
        """As the server does, which waits for who writes."""
        _await(lambda: self.given)
        return os.open(self.given[0], os.O_RDONLY)

    def nothing_is_left(self) -> bool:
        return not any(os.path.exists(os.path.dirname(path)) for path in self.given)


def _await(condition: Callable[[], object]) -> None:
    until = monotonic() + 30
    while not condition():
        assert monotonic() < until
        sleep(0.002)


@pytest.fixture(autouse=True)
def _no_file_is_left() -> Iterator[None]:
    before = set(os.listdir("/dev/fd"))
    yield
    assert set(os.listdir("/dev/fd")) == before


def sending(server: Server, pieces: Pieces) -> threading.Thread:
    thread = threading.Thread(target=piped_answers.send, args=(server, 200, HEADERS, pieces), daemon=True)
    thread.start()
    return thread


def read(number: int) -> bytes:
    found = b""
    while piece := os.read(number, 1_000_000):
        found += piece
    os.close(number)
    return found


def test_all_of_it_arrives_in_its_order_however_late_the_server_opens_it() -> None:
    server, pieces = Server(), Pieces(*[bytes([number]) * PIECE for number in range(40)])
    sends = sending(server, pieces)
    sleep(0.1)

    assert read(server.open()) == b"".join(bytes([number]) * PIECE for number in range(40))
    sends.join(30)
    assert (pieces.closed, server.gone.is_canceled) == (1, True)


def test_no_more_is_made_than_the_server_takes() -> None:
    server, pieces = Server(), Pieces(*[b"x" * PIECE] * 100)
    sends = sending(server, pieces)
    number = server.open()
    os.read(number, 1)
    sleep(0.2)

    assert pieces.taken <= 7, "a pipe holds four, one is written, and one was read"
    os.close(number)
    sends.join(30)
    assert not sends.is_alive(), "the server reads no more"
    assert pieces.closed == 1
    assert server.nothing_is_left()


def test_a_server_that_opens_it_and_reads_nothing_is_noticed_at_once() -> None:
    """A client that hangs up at that very moment: Granian has opened what nobody will read."""
    for _ in range(50):
        server, pieces = Server(), Pieces(b"x" * PIECE, b"y")
        sends = sending(server, pieces)
        os.close(server.open())
        sends.join(5)
        assert not sends.is_alive()
        assert (pieces.closed, server.nothing_is_left()) == (1, True)


def test_a_client_that_has_gone_before_is_waited_for_by_nobody() -> None:
    server, pieces = Server(), Pieces(b"x" * PIECE, b"y")
    sends = sending(server, pieces)
    _await(lambda: server.given)

    for callback in server.gone.callbacks:
        callback(None)
    sends.join(5)

    assert not sends.is_alive()
    assert (pieces.taken, pieces.closed, server.nothing_is_left()) == (1, 1, True)


def test_a_server_that_never_opens_it_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piped_answers, "OPENED_WITHIN", 0.05)
    server, pieces = Server(), Pieces(b"x" * PIECE)

    sends = sending(server, pieces)
    sends.join(30)

    assert not sends.is_alive()
    assert pieces.closed == 1
    assert server.nothing_is_left()


def test_a_thread_of_the_servers_that_waits_for_who_writes_goes_on_when_it_is_given_up(tmp_path: Path) -> None:
    path = str(tmp_path / "pipe")
    for _ in range(20):
        os.mkfifo(path)
        found: list[bytes] = []

        def wait(found: list[bytes] = found) -> None:
            try:
                number = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                found.append(b"")
            else:
                found.append(os.read(number, 1))
                os.close(number)

        waits = threading.Thread(target=wait, daemon=True)
        waits.start()
        piped_answers._release_who_waits(path)
        waits.join(10)
        assert found == [b""]


@pytest.mark.parametrize("left", range(6))
def test_where_files_are_short_it_says_so_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, left: int
) -> None:
    """Three are needed. Of fewer neither a file nor a name is left, and nothing was sent."""
    opened, real = [0], os.open

    def short(*arguments: Any) -> int:
        opened[0] += 1
        if opened[0] > left:
            raise OSError(errno.EMFILE, "Too many open files")
        return real(*arguments)

    monkeypatch.setattr(piped_answers, "_PLACE", str(tmp_path))
    monkeypatch.setattr(piped_answers.os, "open", short)
    server, pieces = Server(), Pieces(b"x" * PIECE)
    if left < 3:
        with pytest.raises(OSError, match="Too many open files"):
            piped_answers.check_room()
        opened[0] = 0
        with pytest.raises(OSError, match="Too many open files"):
            piped_answers.send(server, 200, HEADERS, pieces)
        assert (server.given, server.whole, pieces.closed) == ([], [], 1)
    else:
        piped_answers.check_room()
    monkeypatch.setattr(piped_answers.os, "open", real)
    assert not list(tmp_path.iterdir())


def test_nothing_at_all_is_an_answer_too() -> None:
    server, pieces = Server(), Pieces(b"", b"")
    piped_answers.send(server, 200, HEADERS, pieces)
    assert server.whole == [(200, HEADERS, b"")]
    assert (server.given, pieces.closed) == ([], 1)


@pytest.mark.parametrize("size", [PIECE, 64 * PIECE])
def test_what_making_a_piece_raises_ends_it_there(size: int) -> None:
    class Breaks(Pieces):
        def __next__(self) -> bytes:
            if self.taken == 1:
                raise LookupError
            return super().__next__()

    server, pieces, raised = Server(), Breaks(b"x" * size, b"y"), list[BaseException]()

    def send() -> None:
        try:
            piped_answers.send(server, 200, HEADERS, pieces)
        except LookupError as error:
            raised.append(error)

    sends = threading.Thread(target=send, daemon=True)
    sends.start()
    assert read(server.open()) == b"x" * size
    sends.join(30)
    assert (len(raised), pieces.closed) == (1, 1)
