"""CORS of a real web process, as a browser and a stranger see it on a socket: whoever answers, and whatever is sent."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

import pytest

from checkout_service.local.purchase import customer_token
from checkout_service.server.bodies import LARGEST_BODY
from checkout_service.server.cors import EXPOSED, REQUEST_HEADERS
from checkout_service.server.granian_server import READERS_OF_LARGE
from tests.conftest import JWT_SECRET, Servers
from tests.flower_pages import stack
from tests.journeys.proxies import PROXIES, proxy

SHOP: Final = "https://shop.example"
PREVIEW: Final = "https://pr-17.preview.example"
LARGE_ANSWER: Final = "/api/docs/swagger-ui-bundle.js"
ASKS: Final = b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n"


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    raw: bytes

    @property
    def cors(self) -> dict[str, str]:
        """Its headers of CORS; none comes twice. What else an answer varies by is left out."""
        found = [(name, value) for name, value in self.headers if name.startswith("access-control-") or name == "vary"]
        assert len(dict(found)) == len(found)
        return {name: value.removeprefix("Accept-Encoding, ") for name, value in found}


READS: Final = {"vary": "Origin", "access-control-expose-headers": ", ".join(EXPOSED)}
REFUSED: Final = {"vary": "Origin"}


def reads(origin: str = SHOP) -> dict[str, str]:
    return READS | {"access-control-allow-origin": origin}


class Web:
    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def send(self, request: bytes, *, ends: bool = False) -> Answer:
        """The answer to a request; ``ends``: its sender ends with it."""
        with self.connect() as connection:
            connection.sendall(request)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            return read(connection)

    def ask(self, path: str, *lines: bytes, method: str = "GET", body: bytes = b"") -> Answer:
        length = [b"Content-Length: %d" % len(body)] if body else []
        head = [f"{method} {path} HTTP/1.1".encode(), b"Host: 127.0.0.1:%d" % self.port, *lines, *length, b"", b""]
        return self.send(b"\r\n".join(head) + body)


def read(connection: socket.socket) -> Answer:
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(65_536)
        if not piece:
            raise ConnectionAbortedError(f"closed after {got!r}")
        got += piece
    first, *lines = got.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = [(name.lower(), value) for name, value in (line.split(": ", 1) for line in lines)]
    return Answer(int(first.split()[1]), headers, got)


@pytest.fixture(scope="module")
def web(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    settings = stack.environment(servers, CORS_ORIGINS=f"{SHOP},https://*.preview.example", PAGES="on")
    with stack.run(tmp_path_factory.mktemp("cors"), settings, "web"):
        yield Web(int(settings["PORT"]))


def origin(value: str = SHOP) -> bytes:
    return b"Origin: " + value.encode()


def token() -> bytes:
    return b"Authorization: Bearer " + customer_token(uuid4(), {"JWT_SECRET": JWT_SECRET}).encode()


def test_a_preflight_needs_no_token_and_the_connection_goes_on(web: Web) -> None:
    with web.connect() as connection:
        for path in ("/api/checkout/session", "/api/there/is/nothing"):
            request = f"OPTIONS {path} HTTP/1.1\r\nHost: shop.test\r\nOrigin: {PREVIEW}\r\n".encode()
            connection.sendall(request + ASKS + b"\r\n")
            answer = read(connection)
            assert answer.status == 204
            assert answer.cors == reads(PREVIEW) | {
                "access-control-allow-methods": "DELETE, GET, HEAD, PATCH, POST",
                "access-control-allow-headers": ", ".join(REQUEST_HEADERS),
                "access-control-max-age": "7200",
            }
            assert not {"content-type", "set-cookie", "connection"} & {name for name, _ in answer.headers}


@pytest.mark.parametrize(
    ("path", "method", "body", "status"),
    [
        ("/api/cart", "GET", b"", 200),
        ("/api/cart", "HEAD", b"", 200),
        ("/api/openapi.json", "GET", b"", 200),
        ("/api/docs", "GET", b"", 200),
        (LARGE_ANSWER, "GET", b"", 200),
        ("/api/cart/items", "POST", b"{", 400),
        ("/api/there/is/nothing", "GET", b"", 404),
        ("/api/cart/", "GET", b"", 404),
        ("/api/cart", "PUT", b"", 405),
        ("/api/cart/items", "POST", b" " * (LARGEST_BODY + 1), 413),
        ("/api/payments?limit=no", "GET", b"", 422),
    ],
)
def test_every_answer_of_the_app_has_it(web: Web, path: str, method: str, body: bytes, status: int) -> None:
    lines = [token(), b"Content-Type: application/json"]
    answer = web.ask(path, *lines, origin(), method=method, body=body)
    assert (answer.status, answer.cors) == (status, reads())
    other = web.ask(path, *lines, origin("https://stranger.example"), method=method, body=body)
    assert (other.status, other.cors) == (status, REFUSED)
    assert b"stranger.example" not in other.raw
    none = web.ask(path, *lines, method=method, body=body)
    assert (none.status, none.cors) == (status, REFUSED)


def test_who_is_not_known_is_answered_so_that_a_page_can_read_it(web: Web) -> None:
    answer = web.ask("/api/cart", origin())
    assert (answer.status, answer.cors) == (401, reads())


def test_what_was_kept_is_not_modified_for_each_origin(web: Web) -> None:
    first = web.ask(LARGE_ANSWER, origin(PREVIEW), method="HEAD")
    etag = dict(first.headers)["etag"].encode()
    for name in (SHOP, PREVIEW):
        answer = web.ask(LARGE_ANSWER, origin(name), b"If-None-Match: " + etag)
        assert (answer.status, answer.cors) == (304, reads(name))


@pytest.mark.parametrize(("sent", "shown"), [(SHOP, reads()), ("https://stranger.example", REFUSED)])
def test_a_body_that_is_not_whole_is_answered_so_too(web: Web, sent: str, shown: dict[str, str]) -> None:
    head = f"POST /api/cart/items HTTP/1.1\r\nHost: shop.test\r\nOrigin: {sent}\r\nContent-Length: 10\r\n\r\n"
    answer = web.send(head.encode() + b"{", ends=True)
    assert (answer.status, answer.cors) == (408, shown)


def test_who_finds_no_place_to_read_is_answered_so_too(web: Web) -> None:
    """Half of the readers at most read what everybody reads; each of these takes nothing of it."""
    with ExitStack() as held:
        for _ in range(READERS_OF_LARGE // 2 + 20):
            reader = held.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", web.port))
            reader.sendall(f"GET {LARGE_ANSWER} HTTP/1.1\r\nHost: shop.test\r\n\r\n".encode())

        def refused() -> Answer | None:
            answer = web.ask(LARGE_ANSWER, origin())
            return answer if answer.status == 503 else None

        answer: Answer = stack.eventually(refused)
        assert answer.cors == reads()
        assert json.loads(answer.raw.partition(b"\r\n\r\n")[2])["type"] == "/problems/too-many-readers"


GOOD_AND_UNREADABLE: Final = b"Origin: https://shop.example\r\nOrigin: \xe9"

HOSTILE: Final = {
    "two": b"Origin: https://shop.example\r\nOrigin: https://evil.example",
    "two that are one": b"Origin: https://shop.example\r\nOrigin: https://shop.example",
    "two, one of them empty": b"Origin: https://shop.example\r\nOrigin:",
    "two in a line": b"Origin: https://shop.example https://evil.example",
    "beyond ASCII": b"Origin: https://shop.example\xe9",
    "UTF-8": "Origin: https://é.preview.example".encode(),
    "very long": b"Origin: https://" + b"a" * 20_000 + b".preview.example",
    "a tab within": b"Origin: https://shop\t.example",
    "a name with an underscore": b"X: y\r\nOrigin_: https://shop.example",
    "null": b"Origin: null",
    "every": b"Origin: *",
    "empty": b"Origin:",
    "a path": b"Origin: https://shop.example/",
    "capitals": b"Origin: https://SHOP.example",
    "two labels": b"Origin: https://a.b.preview.example",
    "no label": b"Origin: https://preview.example",
    "behind": b"Origin: https://a.preview.example.evil.example",
    "before": b"Origin: https://evil.example#.preview.example",
    "http": b"Origin: http://shop.example",
}


@pytest.mark.parametrize("line", [GOOD_AND_UNREADABLE, b"\r\n".join(reversed(GOOD_AND_UNREADABLE.split(b"\r\n")))])
def test_of_two_origins_one_of_them_unreadable_the_other_is_all_that_is_seen(web: Web, line: bytes) -> None:
    """No browser sends it, and the server shows no more of it. What cannot be read is never sent back."""
    answer = web.ask("/api/cart", line)
    assert (answer.status, answer.cors) == (401, reads())
    assert b"\xe9" not in answer.raw


@pytest.mark.parametrize("line", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_origin_that_no_browser_sends_is_refused_and_never_sent_back(web: Web, line: bytes) -> None:
    answer = web.ask("/api/cart", line)
    assert (answer.status, answer.cors) == (401, REFUSED)
    preflight = web.send(b"OPTIONS /api/cart HTTP/1.1\r\nHost: shop.test\r\n" + line + b"\r\n" + ASKS + b"\r\n")
    if line.startswith(b"X"):  # no Origin at all
        assert preflight.status == 401
    else:
        assert preflight.status == 204
        assert {name for name, _ in preflight.headers} <= {"vary", "x-request-id", "date", "server"}
    assert preflight.cors == REFUSED
    for found in (answer, preflight):
        assert b"evil" not in found.raw
        assert b"preview" not in found.raw
        assert b"shop.example" not in found.raw


@pytest.mark.parametrize("line", [b"Origin: https://shop.example\r\n x", b"Origin: https://shop.example\0"])
def test_a_header_with_a_lines_end_or_a_nul_is_the_servers_to_refuse(web: Web, line: bytes) -> None:
    answer = web.ask("/api/cart", line)
    assert (answer.status, answer.cors) == (400, {})


def test_a_head_that_the_server_cannot_hold_reaches_none_of_us(web: Web) -> None:
    answer = web.ask("/api/cart?" + "a" * 70_000, origin())
    assert (answer.status, answer.cors) == (431, {})


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 200),
        ("/cart", "GET", 200),
        ("/livez", "GET", 200),
        ("/problems/not-found", "GET", 200),
        ("/api/payments/webhook", "GET", 405),
        ("/api/payments/webhook/mock", "GET", 405),
        ("/api/payments/webhook", "OPTIONS", 200),
        ("//api/cart", "GET", 404),
    ],
)
def test_what_is_not_the_api_has_none_of_it(web: Web, path: str, method: str, status: int) -> None:
    answer = web.ask(path, origin(), ASKS.strip(), method=method)
    assert answer.status == status
    assert not {name for name in answer.cors if name != "vary"}
    assert "Origin" not in answer.cors.get("vary", "")


def test_an_options_that_is_no_preflight_names_what_the_path_takes(web: Web) -> None:
    for lines in ([], [origin()], [ASKS.strip()]):
        answer = web.ask("/api/cart", token(), *lines, method="OPTIONS")
        allowed = dict(answer.headers)["allow"]
        assert (answer.status, set(allowed.split(", "))) == (200, {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH"})
        assert "access-control-allow-methods" not in answer.cors


@pytest.mark.parametrize("name", PROXIES)
def test_behind_a_proxy_of_deploy_each_header_comes_once(web: Web, name: str, tmp_path: Path) -> None:
    with proxy(name, tmp_path, upstream=web.port) as port:
        front = Web(port)
        assert front.ask("/api/cart", origin()).cors == reads()
        preflight = front.ask("/api/cart", origin(), ASKS.strip(), method="OPTIONS")
        assert preflight.status == 204
        assert preflight.cors.items() > reads().items()
        assert front.ask("/api/cart", origin("https://stranger.example")).cors == REFUSED
