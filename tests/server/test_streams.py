"""Answers of any length are made page by page while they are read, in slots, and hold a page of memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import nullcontext
from typing import Any

import pytest
from structlog.testing import capture_logs

from checkout_service.server.bodies import BodyReader
from checkout_service.server.readers import Readers, TooManyReadersError
from checkout_service.server.slots import Kind, Slots
from checkout_service.server.spools import PIECE
from checkout_service.server.streams import PAGE_HELD, STREAM_KEY, Stream
from checkout_service.server.wsgi_adapter import WsgiAdapter
from tests.server.slots_here import SlotsHere
from tests.server.test_readers import HEADERS, Reader
from tests.server.test_wsgi_adapter import Client, SlowClient, answering, scope

EXPORT = scope(b"") | {"PATH_INFO": "/export", "REQUEST_METHOD": "GET"}


class Made:
    """A stream, and what was made of it so far."""

    def __init__(self, *pages: bytes, fails: bool = False) -> None:
        self.pages = 0
        self.threads = set[str]()
        self.ended = threading.Event()
        self._given, self._fails = pages, fails
        self.stream = Stream(self._make(), context=nullcontext)
        self.stream.at_end = self.ended.set

    def _make(self) -> Generator[bytes]:
        for page in self._given:
            self.pages += 1
            self.threads.add(threading.current_thread().name)
            yield page
        if self._fails:
            raise OSError("the database went away")


def adapter(made: list[Made], new: Callable[[], Made], *, readers: int = 5, working: int = 1) -> WsgiAdapter:
    """A server whose app streams /export, and answers all else at once."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/export":
            return answering([b"ok"], ("Content-Length", "2"))(environ, start_response)
        made.append(new())
        environ[STREAM_KEY] = made[-1].stream
        start_response("200 OK", [("Content-Type", "text/csv")])
        return made[-1].stream

    return WsgiAdapter(
        app,
        slots=SlotsHere(working=working, waiting=5, queue=1),
        body_reader=BodyReader(readers=1, most_bytes=1000),
        readers=Readers(readers=readers, most_bytes=5 * PAGE_HELD),
    )


def test_it_is_sent_in_small_pieces_without_a_length_and_made_in_slots() -> None:
    made = list[Made]()
    client = SlowClient()
    client.may_read.set()
    with capture_logs() as log:
        adapter(made, lambda: Made(b"a" * 40_000, b"", b"b"))(client, dict(EXPORT))
        assert client.has_read.wait(30)
        assert made[0].ended.wait(30)

    ((kind, status, headers, pieces),) = client.answers
    assert (kind, status) == ("pieces", 200)
    assert "Content-Length" not in dict(headers)
    assert b"".join(pieces) == b"a" * 40_000 + b"b"
    assert max(map(len, pieces)) <= PIECE
    assert made[0].threads >= {"slot"}
    assert [(line["event"], line["bytes"]) for line in log] == [("export_sent", 40_001)]


def test_nothing_is_made_before_its_reader_has_taken_what_is_there_and_others_go_on() -> None:
    made = list[Made]()
    front = adapter(made, lambda: Made(*[b"x" * 1000] * 50))
    slow, other = SlowClient(), Client()
    front(slow, dict(EXPORT))
    front(other, scope())

    assert [answer[:2] for answer in other.answers] == [("bytes", 201)]
    assert made[0].pages == 1
    assert not made[0].ended.is_set()
    slow.may_read.set()
    assert slow.has_read.wait(30)
    assert made[0].pages == 50
    assert made[0].ended.wait(30)


def test_one_that_fails_midway_ends_without_its_last_page_and_is_logged() -> None:
    made = list[Made]()
    client = SlowClient()
    client.may_read.set()
    front = adapter(made, lambda: Made(b"header", b"row", fails=True))
    with capture_logs() as log:
        front(client, dict(EXPORT))
        assert client.has_read.wait(30)
        assert made[0].ended.wait(30)

    assert client.answers[0][3] == [b"header", b"row"]
    assert [(line["event"], line.get("error")) for line in log] == [
        ("export_failed", None),
        ("export_cut_short", "OSError"),
    ]
    # The slot is free again.
    other = Client()
    front(other, scope())
    assert other.answers[0][1] == 201


def test_one_whose_first_page_fails_is_none() -> None:
    with pytest.raises(OSError, match="went away"):
        Made(fails=True)


def test_a_reader_who_leaves_ends_it() -> None:
    made = Made(*[b"x" * 100_000] * 50)
    readers = Readers(readers=4, most_bytes=2 * PAGE_HELD)

    class Leaves(Reader):
        def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
            body.__next__()
            body.close()

    with capture_logs() as log:
        readers.send(Leaves(), 200, HEADERS, made.stream, address="192.0.2.1")
        assert made.ended.wait(30)
    assert made.pages == 1
    assert [line["event"] for line in log] == ["export_cut_short"]


def test_one_that_cannot_be_sent_is_closed_and_the_answer_says_why() -> None:
    made = list[Made]()
    front = adapter(made, lambda: Made(b"x"), readers=1)
    slow, excess = SlowClient(), Client()
    front(slow, dict(EXPORT))
    front(excess, dict(EXPORT))

    assert excess.answers[0][1] == 503
    assert made[1].ended.is_set()
    assert not made[0].ended.is_set()
    slow.may_read.set()
    assert slow.has_read.wait(30)


def test_memory_is_counted_for_a_page() -> None:
    readers, slow = Readers(readers=100, most_bytes=2 * PAGE_HELD), [Reader(reads=False) for _ in range(3)]
    streams = [Made(b"x" * 100, b"y").stream for _ in range(3)]
    for reader, stream in zip(slow[:2], streams, strict=False):
        readers.send(reader, 200, HEADERS, stream, address="192.0.2.1")
    with pytest.raises(TooManyReadersError):
        readers.send(slow[2], 200, HEADERS, streams[2], address="192.0.2.1")
    streams[2].close()
    for reader in slow[:2]:
        reader.may_read.set()
        assert reader.ended.wait(30)


def test_what_making_a_page_takes_is_no_time_of_the_readers_and_who_takes_none_is_late() -> None:
    may_make, is_making = threading.Event(), threading.Event()

    def pages() -> Generator[bytes]:
        yield b"first"
        is_making.set()
        assert may_make.wait(30)
        yield b"second"
        yield b"third"

    readers, reader = Readers(readers=4, most_bytes=PAGE_HELD), Reader()
    readers.send(reader, 200, HEADERS, Stream(pages(), context=nullcontext), address="192.0.2.1")
    assert is_making.wait(30)
    time.sleep(0.1)
    assert readers.late(0.05) == set()
    reader.may_read.clear()
    may_make.set()
    until = time.monotonic() + 30
    while not readers.late(0.05):
        assert time.monotonic() < until, "a reader who takes nothing is never late"
        time.sleep(0.01)
    reader.may_read.set()
    assert reader.ended.wait(30)
    assert reader.pieces == [b"first", b"second"]


def test_where_the_line_for_a_slot_is_full_it_tries_again() -> None:
    is_working, may_end = threading.Event(), threading.Event()
    slots = Slots(working=1, waiting=1, queue=1)

    def work() -> None:
        is_working.set()
        assert may_end.wait(30)

    made = Made(b"first", b"second")
    made.stream.work_in(slots)
    assert slots.admit_elsewhere(work, Kind.API)
    assert is_working.wait(30)
    assert slots.admit_elsewhere(lambda: None, Kind.API)  # it stands in the line now, which is full
    assert made.stream.next_page() == b"first"
    found = list[bytes | None]()
    asking = threading.Thread(target=lambda: found.append(made.stream.next_page()))
    asking.start()
    time.sleep(0.15)
    assert not found
    may_end.set()
    asking.join(30)
    assert found == [b"second"]
    made.stream.close()
