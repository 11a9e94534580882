"""The wsgi_adapter answers each request once, whatever the app does, and keeps nothing of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest

from checkout_service.server.bodies import BodyReader
from checkout_service.server.draining import Wsgi
from checkout_service.server.slots import ENVIRON_KEY, Slots
from checkout_service.server.wsgi_adapter import WsgiAdapter

BODY = b'{"qty": 1}'


@dataclass
class Client:
    """Granian's side of a request: what it was told."""

    told: list[tuple[str, int, list[tuple[str, str]], Any]] = field(default_factory=list)

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.told.append(("bytes", status, headers, body))

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        pieces = []
        while True:
            try:
                pieces.append(body.__next__())
            except StopIteration:
                break
        body.close()
        self.told.append(("pieces", status, headers, pieces))


class Body:
    """What an app answers with, which wants to be closed."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        self.closed += 1


def scope(body: bytes = BODY, *, length: int | None = None) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/cart/items",
        "wsgi.input": BytesIO(body),
        "CONTENT_LENGTH": str(len(body) if length is None else length),
    }


def answering(body: Iterable[bytes], *headers: tuple[str, str]) -> Wsgi:
    def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("201 CREATED", list(headers))
        return body

    return app


def wsgi_adapter(app: Wsgi, *, working: int = 1, most_bytes: int = 1000) -> WsgiAdapter:
    return WsgiAdapter(
        app, slots=Slots(working=working, waiting=1, line=100), body_reader=BodyReader(readers=1, most_bytes=most_bytes)
    )


def test_an_answer_of_known_length_goes_out_whole() -> None:
    client, body, headers = Client(), Body(b"o", b"", b"k"), [("Content-Length", "2"), ("X-One", "1")]

    wsgi_adapter(answering(body, *headers))(client, scope())

    assert client.told == [("bytes", 201, headers, b"ok")]
    assert body.closed == 1


def test_an_answer_of_unknown_length_goes_out_piece_by_piece() -> None:
    client, body = Client(), Body(b"o", b"k")

    wsgi_adapter(answering(body, ("Content-Type", "text/plain")))(client, scope())

    assert client.told == [("pieces", 201, [("Content-Type", "text/plain")], [b"o", b"k"])]
    assert body.closed == 1


def test_the_app_finds_the_body_and_its_way_out_of_the_slot() -> None:
    seen: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.append(environ | {"read": environ["wsgi.input"].read()})
        return answering([], ("Content-Length", "0"))(environ, start_response)

    wsgi_adapter(app)(Client(), scope())

    assert seen[0]["read"] == BODY
    assert isinstance(seen[0][ENVIRON_KEY], Slots)


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(1)], ids=["error", "exit"])
def test_an_app_that_breaks_is_a_500_and_takes_neither_slot_nor_room_along(error: BaseException) -> None:
    good = answering([b"ok"], ("Content-Length", "2"))
    breaks = [True]

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if breaks.pop():
            raise error
        return good(environ, start_response)

    front = wsgi_adapter(app, most_bytes=len(BODY))
    first, second = Client(), Client()
    front(first, scope())
    breaks.append(False)
    front(second, scope())

    assert [told[:2] for told in first.told] == [("bytes", 500)]
    assert [told[:2] for told in second.told] == [("bytes", 201)]


def test_an_answer_that_breaks_on_the_way_is_closed() -> None:
    class Breaks(Body):
        def __iter__(self) -> Iterator[bytes]:
            yield b"o"
            raise ValueError("broken")

    client, body = Client(), Breaks()

    wsgi_adapter(answering(body, ("Content-Length", "2")))(client, scope())

    assert [told[:2] for told in client.told] == [("bytes", 500)]
    assert body.closed == 1


def test_a_sender_that_is_gone_reaches_no_app() -> None:
    reached: list[str] = []

    def app(environ: dict[str, Any], _start_response: Callable[..., Any]) -> Iterable[bytes]:
        reached.append(environ["PATH_INFO"])
        return []

    client = Client()
    wsgi_adapter(app)(client, scope(length=len(BODY) + 1))

    assert client.told == [("bytes", 408, [], b"")]
    assert not reached


def test_who_waited_too_long_or_finds_the_line_full_is_refused_and_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reached.append(environ["PATH_INFO"])
        if len(reached) == 1:  # others come while the only slot is taken
            front(late, scope())
            front(excess, scope())
            monkeypatch.setattr("checkout_service.server.wsgi_adapter.monotonic", lambda: float("inf"))
        return answering([], ("Content-Length", "0"))(environ, start_response)

    front = WsgiAdapter(
        app, slots=Slots(working=1, waiting=1, line=1), body_reader=BodyReader(readers=1, most_bytes=1000)
    )
    first, late, excess = Client(), Client(), Client()
    front(first, scope())

    assert len(reached) == 1
    for client in (late, excess):
        ((_, status, headers, body),) = client.told
        assert status == 503
        assert dict(headers)["Retry-After"] == "1"
        assert json.loads(body)["type"] == "/problems/too-many-waiting"
