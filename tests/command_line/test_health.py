"""``checkout health``: by a process's own word, and never for long."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from checkout_service.command_line import health
from checkout_service.command_line.health import UnhealthyError, ask
from checkout_service.local.servers import free_port
from checkout_service.settings.errors import SettingsError


@contextmanager
def _answering(answer: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[bytes]]]:
    """A server that reads one request and answers in this way; its port, and what it was sent."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    heard.append(connection.recv(65536))
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(30)


def _status(line: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(b"HTTP/1.1 " + line + b"\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HOST", "PORT", "MANAGEMENT_PORT", "WORKER_METRICS_PORT", "SENDER_METRICS_PORT", "FLOWER_PORT"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("process", "setting", "path"),
    [
        ("web", "PORT", b"/readyz"),
        ("web", "MANAGEMENT_PORT", b"/readyz"),
        ("worker", "WORKER_METRICS_PORT", b"/livez"),
        ("sender", "WORKER_METRICS_PORT", b"/livez"),
        ("sender", "SENDER_METRICS_PORT", b"/livez"),
        ("flower", "FLOWER_PORT", b"/healthcheck"),
    ],
)
def test_each_process_is_tried_where_it_listens(
    environment: pytest.MonkeyPatch, process: str, setting: str, path: bytes
) -> None:
    with _answering(_status(b"200 OK")) as (port, heard):
        environment.setenv(setting, str(port))
        assert ask(process).startswith(f"{process} is ")
    assert heard[0].startswith(b"GET " + path + b" ")


def test_flower_is_probed_below_its_prefix(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FLOWER_URL_PREFIX", "/ops/flower/")
    with _answering(_status(b"200 OK")) as (port, heard):
        environment.setenv("FLOWER_PORT", str(port))
        assert ask("flower") == "flower is ready"
    assert heard[0].startswith(b"GET /ops/flower/healthcheck ")


def test_alive_asks_for_less(environment: pytest.MonkeyPatch) -> None:
    with _answering(_status(b"200 OK")) as (port, heard):
        environment.setenv("PORT", str(port))
        assert ask("web", alive=True) == "web is alive"
    assert heard[0].startswith(b"GET /livez ")


@pytest.mark.parametrize("line", [b"503 Service Unavailable", b"404 Not Found", b"204 No Content", b"302 Found"])
def test_any_other_answer_is_not_ready(environment: pytest.MonkeyPatch, line: bytes) -> None:
    with _answering(_status(line)) as (port, _):
        environment.setenv("PORT", str(port))
        with pytest.raises(UnhealthyError, match=f"answers {line[:3].decode()}"):
            ask("web")


def _drips(connection: socket.socket) -> None:
    with suppress(OSError):
        for _ in range(600):
            connection.sendall(b"H")
            connection.settimeout(0.05)
            with suppress(TimeoutError):
                if not connection.recv(1):
                    return


@pytest.mark.parametrize(
    "answer", [lambda connection: connection.recv(1), _drips, lambda connection: connection.sendall(b"\0" * 10)]
)
def test_whoever_is_silent_slow_or_speaks_otherwise_is_not_waited_for(
    environment: pytest.MonkeyPatch, answer: Callable[[socket.socket], None]
) -> None:
    environment.setattr(health, "ANSWERS_WITHIN", 0.5)
    with _answering(answer) as (port, _):
        environment.setenv("PORT", str(port))
        with pytest.raises(UnhealthyError):
            ask("web")


def test_nobody_there_and_nowhere_to_ask(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PORT", str(free_port()))
    with pytest.raises(UnhealthyError, match="does not answer"):
        ask("web")
    with pytest.raises(SettingsError, match="HOUSEKEEPING_METRICS_PORT"):
        ask("housekeeping")
