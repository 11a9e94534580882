"""A download is bounded in bytes and seconds, follows nothing, and gives its credentials to one host."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from threading import Timer
from threading import enumerate as enumerate_threads
from time import monotonic
from typing import Any

import httpx
import pytest

from checkout_service.providers.base import Decline, ProviderRefusedError, ProviderUnavailableError
from checkout_service.providers.downloads import PIECE, download
from checkout_service.providers.reports import UnreadableReportError
from tests.providers.report_server import Answer, ReportServer, send, serving

PATH = "/reports/one.csv"
KEY = {"X-API-Key": "a key of reports"}


@pytest.fixture
def server() -> Iterator[ReportServer]:
    with serving() as server:
        yield server


def fetched(server: ReportServer, *, largest: int = 1_000_000, within: float = 20) -> bytes | None:
    with httpx.Client(follow_redirects=True) as client, io.BytesIO() as file:  # it asks for no redirects by itself
        found = download(client, server.origin + PATH, headers=KEY, into=file, largest=largest, within=within)
        return file.getvalue() if found else None


@pytest.mark.parametrize("body", [b"", b"a,b\n1,2\n", b"x" * 999_999, b"x" * 1_000_000])
def test_a_report_is_written_as_it_is(server: ReportServer, body: bytes) -> None:
    server.answers[PATH] = body

    assert fetched(server) == body
    assert server.headers[0]["X-API-Key"] == KEY["X-API-Key"]
    assert server.headers[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_no_error(server: ReportServer, status: int) -> None:
    server.answers[PATH] = status

    assert fetched(server) is None


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (401, ProviderRefusedError, Decline.CREDENTIALS),
        (403, ProviderRefusedError, Decline.CREDENTIALS),
        (400, ProviderRefusedError, Decline.OTHER),
        (206, ProviderRefusedError, Decline.OTHER),
        (429, ProviderUnavailableError, None),
        (500, ProviderUnavailableError, None),
        (503, ProviderUnavailableError, None),
    ],
)
def test_any_other_status_is_an_error(
    server: ReportServer, status: int, error: type[Exception], reason: Decline | None
) -> None:
    server.answers[PATH] = status
    with pytest.raises(error) as caught:
        fetched(server)

    assert getattr(caught.value, "reason", None) == reason
    assert KEY["X-API-Key"] not in str(caught.value)
    assert server.origin not in str(caught.value)
    assert len(server.paths) == 1, "it is not tried again: the next run does"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(server: ReportServer, status: int) -> None:
    """Where it leads, somebody would be given the key."""
    with serving() as elsewhere:
        elsewhere.answers["/report.csv"] = b"theirs"
        server.answers[PATH] = lambda handler: send(
            handler, b"", status=status, Location=f"{elsewhere.origin}/report.csv"
        )
        with pytest.raises(ProviderRefusedError, match="is not followed"):
            fetched(server)
        assert elsewhere.paths == []


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(10_000):
        handler.wfile.write(b"x" * 10_000)


def bomb(handler: BaseHTTPRequestHandler) -> None:
    """200 kB that unpack to 200 MB."""
    packer = zlib.compressobj(9, wbits=31)
    body = b"".join(packer.compress(bytes(1_000_000)) for _ in range(200)) + packer.flush()
    assert len(body) < 250_000
    send(handler, body, Content_Encoding="gzip")


TOO_LONG: dict[str, Answer] = {
    "it says so": lambda handler: send(handler, b"x" * 1_000_001),
    "it says far more": lambda handler: send(handler, b"x", Content_Length="9" * 15),
    "it does not say": endless,
    "packed": bomb,
}


@pytest.mark.parametrize("answer", TOO_LONG.values(), ids=TOO_LONG.keys())
def test_a_long_one_is_broken_off(server: ReportServer, answer: Answer) -> None:
    server.answers[PATH] = answer

    with httpx.Client() as client, io.BytesIO() as file:
        with pytest.raises(UnreadableReportError, match="more than 1000000 bytes"):
            download(client, server.origin + PATH, headers={}, into=file, largest=1_000_000, within=20)
        assert len(file.getvalue()) <= 1_000_000


def test_no_piece_is_large_however_small_it_came(server: ReportServer) -> None:
    """A piece that unpacks to a thousand times its size would be in memory before anybody counts it."""
    server.answers[PATH] = lambda handler: send(handler, gzip.compress(bytes(20_000_000)), Content_Encoding="gzip")
    sizes: list[int] = []

    class Counting(io.BytesIO):
        def write(self, piece: Any) -> int:
            sizes.append(len(piece))
            return len(piece)

    with httpx.Client() as client:
        assert download(client, server.origin + PATH, headers={}, into=Counting())
    assert (sum(sizes), max(sizes)) == (20_000_000, PIECE)


def test_a_packed_one_is_unpacked_to_its_end(server: ReportServer) -> None:
    body = b"".join(b"%d,\n" % number for number in range(200_000))
    server.answers[PATH] = lambda handler: send(handler, gzip.compress(body), Content_Encoding="gzip")
    assert fetched(server, largest=len(body)) == body

    server.answers[PATH] = lambda handler: send(handler, gzip.compress(body)[:-9], Content_Encoding="gzip")
    with pytest.raises(ProviderUnavailableError, match="ended too early"):
        fetched(server, largest=len(body))
    server.answers[PATH] = lambda handler: send(handler, gzip.compress(body) + b"more", Content_Encoding="gzip")
    with pytest.raises(UnreadableReportError, match="something follows it"):
        fetched(server, largest=len(body))
    server.answers[PATH] = lambda handler: send(handler, b"no gzip", Content_Encoding="gzip")
    with pytest.raises(ProviderUnavailableError, match="error while a report was downloaded"):
        fetched(server)


@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "gzip, gzip"])
def test_another_coding_is_refused(server: ReportServer, coding: str) -> None:
    server.answers[PATH] = lambda handler: send(handler, b"x", Content_Encoding=coding)

    with pytest.raises(UnreadableReportError, match="nobody asked for"):
        fetched(server)


def test_a_slow_one_is_broken_off_though_it_always_sends_something(server: ReportServer) -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not server.stopping.wait(0.05):
            handler.wfile.write(b"x")

    server.answers[PATH] = slow
    began = monotonic()
    with pytest.raises(ProviderUnavailableError, match="did not end in time"):
        fetched(server, within=0.5)
    assert 0.4 < monotonic() - began < 15


DRIPPING = {
    "a status line": b"HTTP/1.1 200 " + b"O" * 5000,
    "headers": b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 5000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 500,
    "a body without a length": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000,
    "what is not there": b"HTTP/1.1 404 Not Found\r\nX-Long: " + b"x" * 5000,
}


@pytest.mark.parametrize("answer", DRIPPING.values(), ids=DRIPPING.keys())
def test_all_of_it_is_bounded_whatever_comes_a_byte_at_a_time(server: ReportServer, answer: bytes) -> None:
    """Each byte comes well within the time of one read."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        for byte in answer:
            handler.wfile.write(bytes([byte]))
            if server.stopping.wait(0.02):
                return

    server.answers[PATH] = drip
    began = monotonic()
    with pytest.raises(ProviderUnavailableError, match="did not end in time"):
        fetched(server, within=0.6)
    assert 0.5 < monotonic() - began < 15


def test_what_ends_in_time_is_not_hung_up_on_and_the_next_one_has_a_connection_of_its_own(server: ReportServer) -> None:
    server.answers[PATH] = b"one"
    with httpx.Client() as client:
        for _ in range(2):
            file = io.BytesIO()
            assert download(client, server.origin + PATH, headers=KEY, into=file, within=15)
            assert file.getvalue() == b"one"
    assert [headers["Connection"] for headers in server.headers] == ["close", "close"]
    for thread in enumerate_threads():
        if isinstance(thread, Timer):
            thread.join(5)
            assert not thread.is_alive()


def test_one_that_says_nothing_is_broken_off(server: ReportServer) -> None:
    server.answers[PATH] = lambda _handler: bool(server.stopping.wait(20)) and None

    with pytest.raises(ProviderUnavailableError, match=r"ReadTimeout while a report|did not end in time"):
        fetched(server, within=0.3)


def test_one_that_ends_too_early_is_not_taken_for_whole(server: ReportServer) -> None:
    server.answers[PATH] = lambda handler: send(handler, b"half", Content_Length="8")

    with pytest.raises(ProviderUnavailableError, match="RemoteProtocolError"):
        fetched(server)


def test_nobody_there_is_an_error_of_the_moment(server: ReportServer) -> None:
    with serving() as gone:
        origin = gone.origin
    with (
        httpx.Client() as client,
        pytest.raises(ProviderUnavailableError, match="ConnectError"),
    ):
        download(client, origin + PATH, headers=KEY, into=io.BytesIO())
