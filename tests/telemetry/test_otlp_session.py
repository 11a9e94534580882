"""What the exporter sends with, before collectors that lie or stall: every request ends, and little is read."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from checkout_service.telemetry.optional import show

show()  # requests itself does not need it; its room's modules are loaded with the exporter's

from requests import RequestException  # type: ignore[import-untyped]  # noqa: E402 (it has no types)

from checkout_service.telemetry.otlp_session import LARGEST_ANSWER, BoundedSession  # noqa: E402

Serve = Callable[[Callable[[socket.socket], None]], str]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def write_without_end(connection: socket.socket, part: bytes, ended: threading.Event, pause: float = 0.0) -> None:
    """Until who reads has hung up, or the test is over."""
    while not ended.wait(pause):
        connection.sendall(part)


@pytest.fixture
def ended() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def serve(ended: threading.Event) -> Iterator[tuple[Serve, list[bytes]]]:
    """``serve(answer)``: an address, each of whose connections ``answer`` gets. And what was sent there."""
    listener = socket.create_server(("127.0.0.1", 0))
    received: list[bytes] = []

    def serve_by(answer: Callable[[socket.socket], None]) -> str:
        def run() -> None:
            with suppress(OSError):
                while not ended.is_set():
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        while data := connection.recv(65536):
                            received.append(data)
                            answer(connection)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces"

    yield serve_by, received
    ended.set()
    listener.close()


def post(session: BoundedSession, url: str, *, within: float = 60.0) -> bytes:
    answer = session.request("POST", url, data=b"spans", timeout=within, allow_redirects=False)
    return bytes(answer.content)


def test_a_connection_is_used_again(serve: tuple[Serve, list[bytes]]) -> None:
    serve_by, _ = serve
    connections = []

    def answer(connection: socket.socket) -> None:
        connections.append(connection.getpeername())
        connection.sendall(OK)

    with BoundedSession() as session:
        url = serve_by(answer)
        assert [post(session, url) for _ in range(3)] == [b"ok"] * 3
    assert len(connections) >= 3
    assert len({*connections}) == 1


def test_of_a_body_without_end_the_beginning_is_read(serve: tuple[Serve, list[bytes]], ended: threading.Event) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        write_without_end(connection, b"x" * 65536, ended)

    with BoundedSession() as session:
        assert len(post(session, serve[0](answer))) == LARGEST_ANSWER


@pytest.mark.parametrize(
    ("first", "part"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "header", "continue"],
)
def test_what_comes_drop_by_drop_ends_with_the_time(
    serve: tuple[Serve, list[bytes]], ended: threading.Event, first: bytes, part: bytes
) -> None:
    """Each part comes well within the time; all of them together never do."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(first)
        write_without_end(connection, part, ended, pause=0.05)

    with BoundedSession() as session, pytest.raises(RequestException):
        post(session, serve[0](answer), within=0.5)


def test_a_body_that_never_comes_is_a_failure_of_requests_own(serve: tuple[Serve, list[bytes]]) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        connection.shutdown(socket.SHUT_RDWR)

    with BoundedSession() as session, pytest.raises(RequestException):
        post(session, serve[0](answer))


def test_a_redirect_is_a_failure_and_its_body_is_not_read_to_its_end(
    serve: tuple[Serve, list[bytes]], ended: threading.Event
) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(
            b"HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 10000000000\r\n\r\n"
        )
        write_without_end(connection, b"x" * 65536, ended)

    with BoundedSession() as session, pytest.raises(RequestException, match="redirect"):
        post(session, serve[0](answer))


def test_nothing_of_the_environment_goes_out(
    serve: tuple[Serve, list[bytes]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password secret-of-netrc\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    with BoundedSession() as session:
        assert post(session, serve[0](lambda connection: connection.sendall(OK))) == b"ok"

    assert b"authorization" not in b"".join(serve[1]).lower()
