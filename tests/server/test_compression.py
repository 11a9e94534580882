"""Answers are compressed for clients that take it, in no slot, and where the app has said that they may be."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final

import pytest

from checkout_service.api.compressing import COMPRESS_KEY
from checkout_service.server import compression
from checkout_service.server.bodies import BodyReader
from checkout_service.server.compression import LARGEST, LEAST, Compressor, read_accepted
from checkout_service.server.readers import Readers
from checkout_service.server.wsgi_adapter import WsgiAdapter
from checkout_service.telemetry import request_log
from checkout_service.threads import BackgroundThread
from tests.server.slots_here import SlotsHere
from tests.server.test_wsgi_adapter import Client, scope

LARGE: Final = Random(1).randbytes(300_000)
"""What does not become shorter."""

LONG: Final = b'{"a": "' + b"b" * 2000 + b'"}'
SENT: Final = 30.0
"""Seconds to wait for what another thread sends."""


class Waiting(Client):
    """Granian's side, for an answer that another thread may give."""

    def __init__(self) -> None:
        super().__init__()
        self.has_answer = threading.Event()

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        super().response_bytes(status, headers, body)
        self.has_answer.set()

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        super().response_iter(status, headers, body)
        self.has_answer.set()

    def answer(self) -> tuple[int, dict[str, str], Any]:
        assert self.has_answer.wait(SENT)
        ((_, status, headers, body),) = self.answers
        assert len({name.lower() for name, _ in headers}) == len(headers), "no header comes twice"
        return status, dict(headers), body


def app_of(body: bytes, *headers: tuple[str, str], status: int = 200, offered: bool | bytes = True) -> Any:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if offered:
            environ[COMPRESS_KEY] = offered
        start_response(f"{status} X", [("Content-Length", str(len(body))), *headers])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return app


def adapter_of(app: Any, *, readers: int = 5) -> WsgiAdapter:
    return WsgiAdapter(
        app,
        slots=SlotsHere(working=1, waiting=1, queue=100),
        body_reader=BodyReader(readers=1, most_bytes=1000),
        readers=Readers(readers=readers, most_bytes=2**22),
    )


def answered(app: Any, accepts: str | None = "gzip", method: str = "GET") -> tuple[int, dict[str, str], Any]:
    client = Waiting()
    head = {"REQUEST_METHOD": method} | ({} if accepts is None else {"HTTP_ACCEPT_ENCODING": accepts})
    adapter_of(app)(client, scope(b"") | head)
    return client.answer()


def test_a_client_that_takes_it_gets_the_same_in_fewer_bytes() -> None:
    status, headers, body = answered(app_of(LONG, ("ETag", 'W/"x"'), ("Vary", "Accept-Encoding")))
    assert (status, headers["Content-Encoding"], headers["ETag"]) == (200, "gzip", 'W/"x"')
    assert int(headers["Content-Length"]) == len(body) < len(LONG) / 10
    assert gzip.decompress(body) == LONG


@pytest.mark.parametrize(
    ("app", "accepts"),
    [
        (app_of(LONG), None),
        (app_of(LONG), ""),
        (app_of(LONG), "br, zstd"),
        (app_of(LONG, offered=False), "gzip"),
        (app_of(LONG, status=404), "gzip"),
        (app_of(LONG, status=206), "gzip"),
        (app_of(b"b" * LEAST), "gzip"),
        (app_of(b"b" * (LARGEST + 1)), "gzip"),
        (app_of(LONG, ("ETag", '"strong"')), "gzip"),
        (app_of(LONG, ("content-encoding", "br")), "gzip"),
    ],
)
def test_any_other_answer_goes_out_as_it_is(app: Any, accepts: str | None) -> None:
    _, headers, body = answered(app, accepts)
    assert "Content-Encoding" not in headers
    body = b"".join(body) if isinstance(body, list) else body
    assert len(body) == int(headers["Content-Length"])
    assert set(body) <= set(LONG)


def test_one_byte_more_than_the_least_is_compressed() -> None:
    assert answered(app_of(b"b" * (LEAST + 1)))[1]["Content-Encoding"] == "gzip"


def test_to_whom_nothing_else_is_acceptable_a_short_answer_is_compressed_too() -> None:
    for accepts in ("gzip, identity;q=0", "gzip, *;q=0"):
        _, headers, body = answered(app_of(b"short"), accepts)
        assert (headers["Content-Encoding"], gzip.decompress(body)) == ("gzip", b"short")
    for accepts in ("identity;q=0", "*;q=0", "br, identity;q=0"):
        assert answered(app_of(LONG), accepts)[2] == LONG, "it is answered as it is"


def test_what_was_made_before_is_sent_and_no_thread_is_needed() -> None:
    made = gzip.compress(LONG, mtime=0)
    _, headers, body = answered(app_of(LONG, offered=made))
    assert body is made
    assert (headers["Content-Encoding"], headers["Content-Length"]) == ("gzip", str(len(made)))
    assert answered(app_of(LONG, offered=made), "identity")[2] == LONG


def test_what_is_large_even_then_goes_out_in_pieces() -> None:
    _, headers, pieces = answered(app_of(LARGE))
    assert isinstance(pieces, list)
    assert int(headers["Content-Length"]) == sum(map(len, pieces)) > 64 * 1024
    assert gzip.decompress(b"".join(pieces)) == LARGE


def test_head_says_what_get_would_but_for_a_length_that_nobody_knows() -> None:
    headers = answered(app_of(LONG, ("ETag", 'W/"x"')), method="HEAD")[1]
    assert ("Content-Length" in headers, headers["ETag"]) == (False, 'W/"x"')
    assert answered(app_of(LONG), None, "HEAD")[1]["Content-Length"] == str(len(LONG))
    assert answered(app_of(b"short"), method="HEAD")[1]["Content-Length"] == "5"
    assert answered(app_of(LONG, offered=False), method="HEAD")[1]["Content-Length"] == str(len(LONG))


def test_no_slot_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, begun = threading.Event(), threading.Event()
    compress = compression.gzipped

    def slow(whole: bytes) -> bytes:
        begun.set()
        assert goes_on.wait(SENT)
        return compress(whole)

    monkeypatch.setattr(compression, "gzipped", slow)
    adapter, first, second = adapter_of(app_of(LONG)), Waiting(), Waiting()
    adapter(first, scope(b"") | {"REQUEST_METHOD": "GET", "HTTP_ACCEPT_ENCODING": "gzip"})
    assert begun.wait(SENT)
    adapter(second, scope(b"") | {"REQUEST_METHOD": "GET"})
    assert second.answer()[2] == LONG, "the only slot is free"
    assert not first.answers
    goes_on.set()
    assert gzip.decompress(first.answer()[2]) == LONG


def test_what_cannot_be_compressed_goes_out_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_whole: bytes) -> bytes:
        raise MemoryError

    monkeypatch.setattr(compression, "gzipped", breaks)
    _, headers, body = answered(app_of(LONG))
    assert ("Content-Encoding" in headers, body) == (False, LONG)


def test_beyond_what_may_wait_answers_go_out_as_they_are_and_room_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, sent = threading.Event(), []
    compress = compression.gzipped

    def slow(whole: bytes) -> bytes:
        assert goes_on.wait(SENT)
        return compress(whole)

    monkeypatch.setattr(compression, "gzipped", slow)
    compressor, environ = Compressor(most_waiting=2 * len(LONG)), {COMPRESS_KEY: True, "HTTP_ACCEPT_ENCODING": "gzip"}
    environ["REQUEST_METHOD"] = "GET"
    ends = threading.Semaphore(0)

    def send(answer: compression.Answer) -> None:
        sent.append(answer)
        ends.release()

    taken = [compressor.send(environ, (200, [], LONG), send) for _ in range(6)]
    assert taken[:2] == [True, True]
    assert not taken[-1], "one is being compressed at most, and two wait"
    goes_on.set()
    for _ in range(sum(taken)):
        assert ends.acquire(timeout=SENT)
    assert compressor.send(environ, (200, [], LONG), send)
    assert ends.acquire(timeout=SENT)
    assert len(sent) == sum(taken) + 1


def test_without_a_thread_answers_go_out_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BackgroundThread, "wake", lambda _self: False)
    _, headers, body = answered(app_of(LONG))
    assert ("Content-Encoding" in headers, body) == (False, LONG)


def test_a_large_answer_that_has_no_place_is_refused_by_the_requests_own_name() -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request_log.begin(environ)
        return app_of(LARGE)(environ, start_response)

    client = Waiting()
    head = {"REQUEST_METHOD": "GET", "HTTP_ACCEPT_ENCODING": "gzip", "HTTP_X_REQUEST_ID": "a-name"}
    adapter_of(app, readers=0)(client, scope(b"") | head)
    status, headers, body = client.answer()
    assert (status, b"too-many-readers" in body, "Content-Encoding" in headers) == (503, True, False)
    assert headers["X-Request-Id"] == "a-name"


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("gzip;q=0.001", True),
        ("gzip ; q=1", True),
        ("*", True),
        ("*;q=0.5", True),
        ("identity;q=0.5, gzip;q=0.5", True),
        ("identity;q=0, gzip;q=0.1", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("identity, gzip;q=0.5", False),
        ("gzip;q=0.1, identity;q=0.2", False),
        ("gzip;q=2", False),
        ("gzip;q=-1", False),
        ("gzip;q=1e0", False),
        ("gzip;q=0.1234", False),
        ("gzip;q=nan", False),
        ("gzip;q=", False),
        ("gzip;q", False),
        ("gzip;q=1;q=0", False),
        ("gzip;level=9", False),
        ("gzip, gzip;q=0", False),
        ("gzip;q=0, gzip", False),
        ("gzipped", False),
        ("\tgzip\t", True),
        (",,,gzip,,", True),
        ("gzip\x00", False),
        ("gzip;q=٠", False),
        ("gzip" + " " * 300, False),
        ("a," * 127 + "gzip", False),
        ("," * 10_000, False),
        ("gzip;" * 10_000, False),
    ],
)
def test_what_a_client_takes(header: str, taken: bool) -> None:
    assert read_accepted(header).gzip == taken


def test_headers_of_strangers_are_kept_within_bounds() -> None:
    for number in range(2000):
        read_accepted(f"gzip;q={'0' * 200}{number}")
    assert compression._read.cache_info().currsize <= 256
