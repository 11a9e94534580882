"""What a request is handed over as, by the server itself, and that nobody's body or reading holds a thread of it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.server.releases import Releases, Serving, eventually

APP = """
import json, time

LARGE = bytes(range(256)) * 4096

class App:
    extensions = {}

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        if path.startswith("/large"):
            time.sleep(0.05 if path.endswith("later") else 0)
            body, kind = LARGE, "application/octet-stream"
        else:
            head = {key: value for key, value in environ.items() if isinstance(value, str)}
            body = json.dumps(head | {"body": environ["wsgi.input"].read().decode("latin-1")}).encode()
            kind = "application/json"
        start_response("200 OK", [("Content-Length", str(len(body))), ("Content-Type", kind)])
        return [body]

app = App()
"""

LARGE = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder: Path = tmp_path_factory.mktemp("echo")
    releases = Releases(folder)
    releases.put("echo", app=APP)
    # It has no probes of its own: any path will do.
    web = Serving(releases, folder / "log", WEB_CONCURRENCY="1")
    try:
        eventually(lambda: web.ask("/livez"))
        yield web
    finally:
        web.process.terminate()
        web.process.wait(60)


def connect(web: Serving) -> socket.socket:
    return socket.create_connection(web.address, timeout=30)


def answer_of(connection: socket.socket, *, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
    """The next answer on it."""
    stream = connection.makefile("rb")
    status = int(stream.readline().split()[1])
    headers = dict[str, str]()
    while (line := stream.readline().strip()) != b"":
        key, _, value = line.decode("latin-1").partition(":")
        headers[key.lower()] = value.strip()
    return status, headers, stream.read(int(headers["content-length"])) if has_body else b""


def seen_of(web: Serving, *pieces: bytes, pause: float = 0.0) -> Any:
    """What the app has seen of a request that is sent in these pieces."""
    with closing(connect(web)) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        status, _, body = answer_of(connection)
    assert status == 200
    return json.loads(body)


def test_a_head_is_an_environment_of_wsgi(web: Serving) -> None:
    seen = seen_of(
        web,
        b"PUT /a%20b/%ff/caf%c3%a9?x=%41&y=\xc3\xa9 HTTP/1.1\r\nHost: shop.test:1\r\nX-Two: a\r\nX-Two: b\r\n"
        b"Cookie: a=1\r\nCookie: b=2\r\nX-Beyond: \xc3\xa9\r\nX-Forwarded_For: 192.0.2.1\r\nX-Under_: 1\r\n"
        b"Content-Type: text/x; y=z\r\nContent-Type: text/y\r\nContent-Length: 3\r\nIdempotency-Key: k\r\n\r\nabc",
    )
    assert seen["REQUEST_METHOD"] == "PUT"
    assert seen["PATH_INFO"] == "/a b/\N{REPLACEMENT CHARACTER}/café".encode().decode("latin-1")
    assert seen["QUERY_STRING"] == "x=%41&y=é".encode().decode("latin-1")
    assert (seen["HTTP_HOST"], seen["HTTP_X_TWO"], seen["HTTP_COOKIE"]) == ("shop.test:1", "a,b", "a=1;b=2")
    assert seen["HTTP_X_BEYOND"] == "", "it is there, and cannot be read"
    assert not {key for key in seen if "UNDER" in key or "FORWARDED" in key}, "what only a proxy may set"
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"], seen["HTTP_IDEMPOTENCY_KEY"]) == ("text/x; y=z", "3", "k")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", ""} & set(seen)
    assert (seen["REMOTE_ADDR"], seen["SERVER_PORT"], seen["wsgi.url_scheme"]) == ("127.0.0.1", str(web.port), "http")
    assert seen["REMOTE_PORT"].isdigit()
    assert (seen["SERVER_PROTOCOL"], seen["SCRIPT_NAME"], seen["body"]) == ("HTTP/1.1", "", "abc")


def test_a_cookie_that_cannot_be_read_is_seen_to_be_there(web: Serving) -> None:
    head = b"GET / HTTP/1.1\r\nHost: shop.test\r\n"
    assert seen_of(web, head + b"Cookie: n=\xe9\r\nCookie: other=1\r\n\r\n")["HTTP_COOKIE"] == ";other=1"
    assert seen_of(web, head + b"Cookie: n=\xe9; other=1\r\n\r\n")["HTTP_COOKIE"] == ""
    assert seen_of(web, head + b"Cookie: a=1\r\nCookie: b=2\r\n\r\n")["HTTP_COOKIE"] == "a=1;b=2"


def test_of_an_absolute_address_only_path_and_query_count(web: Serving) -> None:
    seen = seen_of(web, b"GET http://evil.test:99/p//q?r HTTP/1.1\r\nHost: shop.test\r\n\r\n")
    assert (seen["PATH_INFO"], seen["QUERY_STRING"], seen["HTTP_HOST"]) == ("/p//q", "r", "shop.test")


def test_an_old_client_needs_no_host(web: Serving) -> None:
    seen = seen_of(web, b"GET /old HTTP/1.0\r\n\r\n")
    assert (seen["SERVER_PROTOCOL"], seen["PATH_INFO"]) == ("HTTP/1", "/old")
    assert seen["HTTP_HOST"] == ""


HEAD = b"POST /x HTTP/1.1\r\nHost: shop.test\r\n"


UNREAD = (
    b"Content-Length: 70000\r\n\r\nabc",
    b"Transfer-Encoding: chunked\r\n\r\n" + b"4e20\r\n%s\r\n" % (b"x" * 20_000) * 4,
)


def test_a_body_is_whole_however_it_comes(web: Serving) -> None:
    whole = bytes(range(256)) * 200
    shown = whole.decode("latin-1")
    declared = HEAD + b"Content-Length: %d\r\n\r\n" % len(whole)
    assert seen_of(web, declared + whole)["body"].encode("latin-1") == whole
    assert seen_of(web, declared, whole[:1], whole[1:30_000], whole[30_000:], pause=0.05)["body"] == shown

    chunked = b"".join(b"1\r\n%c\r\n" % byte for byte in whole[:3000])
    seen = seen_of(web, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked + b"0\r\n\r\n")
    assert seen["body"].encode("latin-1") == whole[:3000]
    assert seen_of(web, HEAD + b"Content-Length: 0\r\n\r\n")["body"] == ""


def test_one_that_ends_before_its_length_has_no_effect(web: Serving) -> None:
    with closing(connect(web)) as connection:
        connection.sendall(HEAD + b"Content-Length: 10\r\n\r\nabc")
        connection.shutdown(socket.SHUT_WR)
        found = connection.recv(100)
    assert not found.startswith(b"HTTP/1.1 200")


def test_those_who_send_nothing_of_their_bodies_keep_no_thread(web: Serving) -> None:
    slow = [connect(web) for _ in range(50)]
    try:
        for connection in slow:
            connection.sendall(HEAD + b"Content-Length: 3\r\n\r\n")
        for _ in range(5):
            assert seen_of(web, HEAD + b"Content-Length: 3\r\n\r\nabc")["body"] == "abc"
        (child,) = web.children()
        assert child.num_threads() < 40
        for connection in slow:
            connection.sendall(b"xyz")
            assert answer_of(connection)[0] == 200
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.parametrize("unread", UNREAD, ids=["declared", "in chunks"])
def test_a_connection_whose_body_is_not_read_ends_with_its_answer(web: Serving, unread: bytes) -> None:
    for _ in range(3):  # in a thread that is new, and in one that is not
        with closing(connect(web)) as connection, suppress(ConnectionError):
            connection.sendall(HEAD + unread)
            began = time.monotonic()
            _, headers, _ = answer_of(connection)
            assert headers["connection"] == "close"
            assert connection.recv(1) == b""
            assert time.monotonic() - began < 5


def test_a_body_in_very_many_pieces_is_not_taken(web: Serving) -> None:
    with closing(connect(web)) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5000)
        status, headers, _ = answer_of(connection)
    assert (status, headers["connection"]) == (408, "close")


def test_a_connection_takes_one_request_after_the_other(web: Serving) -> None:
    with closing(connect(web)) as connection:
        for number in range(3):
            connection.sendall(HEAD + b"Content-Length: 1\r\n\r\n%d" % number)
            status, _, body = answer_of(connection)
            assert (status, json.loads(body)["body"]) == (200, str(number))


def test_a_large_answer_is_whole_and_its_head_alone_is_one_too(web: Serving) -> None:
    (child,) = web.children()
    with closing(connect(web)) as connection:
        connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
        assert answer_of(connection)[0] == 200
        before = child.num_fds()
        for _ in range(3):
            connection.sendall(b"HEAD /large HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            status, headers, _ = answer_of(connection, has_body=False)
            assert (status, headers["content-length"]) == (200, str(len(LARGE)))
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            assert answer_of(connection)[2] == LARGE
        eventually(lambda: child.num_fds() <= before, within=15)  # no pipe is left that nobody reads


def test_without_files_a_large_answer_is_refused_by_a_document_of_ours(web: Serving) -> None:
    (child,) = web.children()
    _, most = child.rlimit(psutil.RLIMIT_NOFILE)
    with closing(connect(web)) as connection:
        connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
        answer_of(connection)
        soft, _ = child.rlimit(psutil.RLIMIT_NOFILE)
        before, found = child.num_fds(), []
        for files in range(9):
            child.rlimit(psutil.RLIMIT_NOFILE, (before + files, most))
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            status, _, body = answer_of(connection)
            found.append(status)
            assert body == LARGE if status == 200 else json.loads(body)["type"] == "/problems/too-many-readers"
        child.rlimit(psutil.RLIMIT_NOFILE, (soft, most))
        eventually(lambda: child.num_fds() <= before, within=15)
    assert found == sorted(found, reverse=True)
    assert set(found) == {503, 200}


def test_who_hangs_up_before_a_large_answer_keeps_no_place_and_no_file(web: Serving) -> None:
    (child,) = web.children()
    assert web.ask("/large")
    before = child.num_fds()
    for number in range(600):  # at each moment of the answer's making and of its going out
        with closing(connect(web)) as connection:
            connection.sendall(
                b"GET /large%s HTTP/1.1\r\nHost: shop.test\r\n\r\n" % (b"" if number % 10 else b"/later")
            )
            time.sleep(number % 40 / 10_000)
    with closing(connect(web)) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        assert answer_of(connection)[2] == LARGE
    eventually(lambda: child.num_fds() <= before, within=5)
