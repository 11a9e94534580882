"""Answers too large for memory lie in a file until they are whole, and are sent of it in pieces."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from flask import Flask

from checkout_service.server.bodies import BodyReader
from checkout_service.server.readers import CallerReadsEnoughError, Readers, TooManyReadersError
from checkout_service.server.slots import Kind
from checkout_service.server.spools import PIECE, SPOOL_KEY, Spool, SpoolTooLargeError
from checkout_service.server.wsgi_adapter import WsgiAdapter, kind_of
from tests.server.slots_here import SlotsHere
from tests.server.test_readers import Reader
from tests.server.test_wsgi_adapter import Client, SlowClient, answering, scope


def spooled(*pieces: bytes, most_bytes: int = 2**30) -> Spool:
    spool = Spool()
    spool.fill(pieces, most_bytes=most_bytes)
    return spool


def open_file(spool: Spool) -> bool:
    """Whether its room is still taken."""
    return not spool._file.closed


def test_what_was_put_in_comes_out_in_small_pieces_as_often_as_it_is_read() -> None:
    spool = spooled(b"a" * 40_000, b"", b"b")

    for _ in range(2):
        pieces = list(spool)
        assert b"".join(pieces) == b"a" * 40_000 + b"b"
        assert max(map(len, pieces)) <= PIECE
    assert spool.size == 40_001
    spool.close()
    assert not open_file(spool)


def test_more_than_it_may_hold_is_refused_and_no_more_is_made() -> None:
    made: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(10):
            made.append(number)
            yield b"x" * 100

    spool = Spool()
    with pytest.raises(SpoolTooLargeError):
        spool.fill(pieces(), most_bytes=250)
    assert made == [0, 1, 2]


def adapter(app: Any, *, readers: int = 5, working: int = 1) -> WsgiAdapter:
    return WsgiAdapter(
        app,
        slots=SlotsHere(working=working, waiting=5, queue=100),
        body_reader=BodyReader(readers=1, most_bytes=1000),
        readers=Readers(readers=readers, most_bytes=2**20),
    )


def sending(spools: list[Spool], *pieces: bytes) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """An app whose answers lie in spools."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/export":
            return answering([b"ok"], ("Content-Length", "2"))(environ, start_response)
        spool = environ[SPOOL_KEY] = spooled(*pieces)
        spools.append(spool)
        start_response("200 OK", [("Content-Length", str(spool.size))])
        return spool

    return app


EXPORT = scope(b"") | {"PATH_INFO": "/export", "REQUEST_METHOD": "GET"}


def test_a_spool_is_sent_in_pieces_while_its_slot_is_free_and_closed_at_the_end() -> None:
    spools: list[Spool] = []
    front = adapter(sending(spools, b"ab" * 100_000))
    slow, other = SlowClient(), Client()
    front(slow, dict(EXPORT))
    front(other, scope())

    assert [answer[:2] for answer in other.answers] == [("bytes", 201)]
    assert open_file(spools[0])
    slow.may_read.set()
    assert slow.has_read.wait(30)
    ((kind, status, headers, pieces),) = slow.answers
    assert (kind, status, dict(headers)["Content-Length"]) == ("pieces", 200, "200000")
    assert b"".join(pieces) == b"ab" * 100_000
    await_closed(spools[0])


def test_a_small_spool_goes_the_same_way() -> None:
    spools: list[Spool] = []
    client = SlowClient()
    client.may_read.set()
    adapter(sending(spools, b"x"))(client, dict(EXPORT))

    assert client.has_read.wait(30)
    assert client.answers[0][3] == [b"x"]
    await_closed(spools[0])


def test_a_spool_without_a_reader_is_closed_and_the_answer_says_why() -> None:
    spools: list[Spool] = []
    front = adapter(sending(spools, b"x"), readers=1)
    slow, excess = SlowClient(), Client()
    front(slow, dict(EXPORT))
    front(excess, dict(EXPORT))

    assert excess.answers[0][1] == 503
    assert not open_file(spools[1])
    slow.may_read.set()
    assert slow.has_read.wait(30)


def test_between_two_pieces_others_have_their_turn() -> None:
    """One slot: whoever came while the first piece was made is served before the second."""
    order: list[str] = []

    def pieces() -> Iterator[bytes]:
        order.append("piece 1")
        waiting = threading.Thread(target=front, args=(Client(), scope()))
        waiting.start()
        waiting.join(30)  # it stands in the queue now
        yield b"x"
        until = time.monotonic() + 60
        while "other" not in order and time.monotonic() < until:
            time.sleep(0.01)
        order.append("piece 2")
        yield b"y"

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/export":
            order.append("other")
            return answering([b"ok"], ("Content-Length", "2"))(environ, start_response)
        spool = environ[SPOOL_KEY] = Spool()
        given = {"SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.url_scheme": "http", "HTTP_HOST": "x"}
        with Flask("checkout_service").request_context(environ | given):
            spool.fill(pieces(), most_bytes=100)
        start_response("200 OK", [("Content-Length", str(spool.size))])
        return spool

    front = adapter(app)
    client = SlowClient()
    client.may_read.set()
    front(client, dict(EXPORT))

    assert client.has_read.wait(30)
    assert order == ["piece 1", "other", "piece 2"]


def test_memory_is_counted_for_pieces_alone() -> None:
    readers, slow = Readers(readers=100, most_bytes=600_000), [Reader(reads=False) for _ in range(3)]
    spools = [spooled(b"x" * 1_000_000) for _ in range(3)]
    for reader, spool in zip(slow[:2], spools, strict=False):
        readers.send(reader, 200, [("Content-Length", "100000")], spool, address="192.0.2.1")
    with pytest.raises(TooManyReadersError):
        readers.send(slow[2], 200, [("Content-Length", "100000")], spools[2], address="192.0.2.1")
    assert open_file(spools[2])
    spools[2].close()
    for reader in slow[:2]:
        reader.may_read.set()
        assert reader.ended.wait(30)


def test_one_caller_reads_a_quarter_of_them() -> None:
    readers, slow = Readers(readers=4, most_bytes=2**20), Reader(reads=False)
    first, second = spooled(b"x" * 100_000), spooled(b"y" * 100_000)
    readers.send(slow, 200, [("Content-Length", "100000")], first, address="192.0.2.1", caller="one")
    with pytest.raises(CallerReadsEnoughError):
        readers.send(Reader(), 200, [("Content-Length", "100000")], second, address="192.0.2.1", caller="one")
    second.close()
    slow.may_read.set()
    assert slow.ended.wait(30)


def test_each_stretch_has_its_own_time_and_who_takes_none_is_late() -> None:
    readers, slow = Readers(readers=4, most_bytes=2**20), Reader(reads=False)
    spool = spooled(b"x" * 3_000_000)
    readers.send(slow, 200, [("Content-Length", "100000")], spool, address="192.0.2.1")
    (pieces,) = readers._reading
    began = pieces.since
    for _ in range(70):
        pieces.__next__()
    assert pieces.since > began
    time.sleep(0.05)
    assert readers.late(0.04) == {"192.0.2.1"}
    with pytest.raises(StopIteration):
        pieces.__next__()
    slow.may_read.set()
    assert slow.ended.wait(30)
    assert len(slow.pieces) < 3_000_000 // PIECE


def await_closed(spool: Spool) -> None:
    until = time.monotonic() + 60
    while open_file(spool):
        assert time.monotonic() < until, "its room is still taken"
        time.sleep(0.01)


def test_the_kind_of_an_export_is_the_apis() -> None:
    assert kind_of("/api/admin/orders.csv", "") is Kind.API
