"""What a stranger writes on a socket: each request has its status, and a connection that is closed says so before."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import pytest

from tests.journeys.conftest import Town

HOST: Final = b"Host: shop.test\r\n"
WEBHOOK: Final = b"POST /api/payments/webhook HTTP/1.1\r\n" + HOST

SERVERS_OWN: Final = None
"""In place of a problem's slug: the server refuses what it cannot read by itself, with no body, and closes."""

REQUESTS: Final[dict[str, tuple[bytes, int, str | None]]] = {
    "no host": (b"GET /livez/x HTTP/1.1\r\n\r\n", 400, "malformed-host"),
    "an empty host": (b"GET /api/cart HTTP/1.1\r\nHost:\r\n\r\n", 400, "malformed-host"),
    "two hosts": (b"GET /api/cart HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "malformed-host"),
    "hosts with a comma": (b"GET /api/cart HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "malformed-host"),
    "a host beyond ASCII": (b"GET /api/cart HTTP/1.1\r\nHost: t\xe9st\r\n\r\n", 400, "malformed-host"),
    "a host with a user": (b"GET /api/cart HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, "malformed-host"),
    "two slashes before": (b"GET //api/cart HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not-found"),
    "two slashes within": (b"GET /api//cart HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not-found"),
    "two slashes, encoded": (b"GET /%2Fapi/cart HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not-found"),
    "another site's name": (b"GET //evil.test/ops/ HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not-found"),
    "a slash behind": (b"GET /api/cart/ HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not-found"),
    "a NUL in the path": (b"GET /a%00b HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not-found"),
    "a NUL in the query": (b"GET /?q=a%00 HTTP/1.1\r\n" + HOST + b"\r\n", 422, "invalid"),
    "no UTF-8 in the path": (b"GET /%ff%fe HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not-found"),
    "dots in the path": (b"GET /assets/0/..%2f..%2fapp.py HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not-found"),
    "a method in lower case": (b"get /api/cart HTTP/1.1\r\n" + HOST + b"\r\n", 405, "method-not-allowed"),
    "an odd method": (b"BREW /api/cart HTTP/1.1\r\n" + HOST + b"\r\n", 405, "method-not-allowed"),
    "TRACE": (b"TRACE /api/cart HTTP/1.1\r\n" + HOST + b"\r\n", 405, "method-not-allowed"),
    "CONNECT": (b"CONNECT shop.test:80 HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not-found"),
    "OPTIONS of all": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not-found"),
    "a method in a header": (
        b"GET /api/payments/webhook HTTP/1.1\r\n" + HOST + b"X-HTTP-Method-Override: POST\r\n\r\n",
        405,
        "method-not-allowed",
    ),
    "an encoded body": (WEBHOOK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415, "encoded-body"),
    "an encoding beyond ASCII": (
        WEBHOOK + b"Content-Encoding: gz\xefp\r\nContent-Length: 2\r\n\r\n{}",
        415,
        "encoded-body",
    ),
    "an unknown transfer coding": (
        WEBHOOK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        501,
        "unknown-transfer-coding",
    ),
    "a body that is no object": (WEBHOOK + b"Content-Length: 2\r\n\r\n[]", 400, "malformed-body"),
    "a body that would be too large": (WEBHOOK + b"Content-Length: 900000\r\n\r\n", 413, "too-large"),
    "a body that is too large": (
        WEBHOOK + b"Transfer-Encoding: chunked\r\n\r\n50000\r\n" + b" " * 0x50000,
        413,
        "too-large",
    ),
    "a body that is too large for who is not known": (
        b"POST /api/cart/items HTTP/1.1\r\n" + HOST + b"Content-Length: 900000\r\n\r\n",
        401,
        "unauthorized",
    ),
    "a token beyond ASCII": (
        b"GET /api/cart HTTP/1.1\r\n" + HOST + b"Authorization: Bearer \xe9\r\n\r\n",
        401,
        "unauthorized",
    ),
    "another ETag": (
        b"GET /api/docs/swagger-ui.css HTTP/1.1\r\n" + HOST + b'If-Match: "x"\r\n\r\n',
        412,
        "precondition-failed",
    ),
    "two lengths": (WEBHOOK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, SERVERS_OWN),
    "a length that is none": (WEBHOOK + b"Content-Length: two\r\n\r\n{}", 400, SERVERS_OWN),
    "a line that is folded": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n", 400, SERVERS_OWN),
    "a name with a blank": (b"GET / HTTP/1.1\r\n" + HOST + b"X y: a\r\n\r\n", 400, SERVERS_OWN),
    "no HTTP": (b"\x16\x03\x01\x02\r\n\r\n", 400, SERVERS_OWN),
    "a long query": (b"GET /?" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431, SERVERS_OWN),
    "many headers": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 200 + b"\r\n", 431, SERVERS_OWN),
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def read_answer(connection: socket.socket) -> Answer:
    """One answer, which says its length. Raises OSError where none comes."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(65_536)
        if not piece:
            raise ConnectionAbortedError(f"closed after {got!r}")
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65_536)
    return Answer(status=int(first.split()[1]), headers=headers, body=body)


@pytest.mark.parametrize(("request_", "status", "slug"), REQUESTS.values(), ids=REQUESTS.keys())
def test_each_has_its_status_and_says_whether_the_connection_goes_on(
    town: Town, request_: bytes, status: int, slug: str | None
) -> None:
    port = town.web.base_url.port
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request_)
        answer = read_answer(connection)
        assert answer.status == status
        if slug is not SERVERS_OWN:
            document = json.loads(answer.body)
            assert document["type"] == f"/problems/{slug}"
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["cache-control"] == "no-store"
        if answer.headers.get("connection") == "close":
            assert slug in {SERVERS_OWN, "too-large", "unauthorized"}
            with suppress(ConnectionResetError):  # as what was left unread makes of the end
                assert connection.recv(100) == b""
        else:
            connection.sendall(b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n")
            assert read_answer(connection).status == 200


def test_nothing_of_that_was_filed(town: Town) -> None:
    ((before,),) = town.sql("SELECT count(*) FROM webhook_deliveries")
    for name, (request_, _, _) in REQUESTS.items():
        if request_.startswith(WEBHOOK) and "too large" not in name:
            with socket.create_connection(("127.0.0.1", town.web.base_url.port), timeout=60) as connection:
                connection.sendall(request_)
                read_answer(connection)
    assert town.sql("SELECT count(*) FROM webhook_deliveries") == [(before,)]


def test_a_host_may_be_missing_in_http_1_0(town: Town) -> None:
    with socket.create_connection(("127.0.0.1", town.web.base_url.port), timeout=60) as connection:
        connection.sendall(b"GET /api/openapi.json HTTP/1.0\r\n\r\n")
        assert read_answer(connection).status == 200
