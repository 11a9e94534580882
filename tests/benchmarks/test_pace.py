"""The paced client follows a server that ends connections to share them out among its children."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from benchmarks import pace
from benchmarks.pace import Connection, format_request

REQUEST = b"POST\t/webhook\tContent-Type: text/plain\tpaid"
EACH = 3
"""Answers of a connection. With the last of them it ends."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Ending)
        self.served: list[bytes] = []


class Ending(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.answered = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answered += 1
        self.server.served.append(body)
        self.send_response(202)
        self.send_header("Content-Length", str(len(body)))
        if self.answered == EACH:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


def test_a_connection_that_ends_is_another_one_for_the_next_request(server: Server) -> None:
    port = server.server_port
    connection = Connection("127.0.0.1", port)
    request = format_request(REQUEST, f"127.0.0.1:{port}")
    sockets = set()

    for _ in range(2 * EACH):
        connection.send(request, 0.0)
        while (status := connection.answered()) is None:
            pass
        assert status == 202
        sockets.add(connection.socket)

    assert len(sockets) == 2
    connection.socket.close()


def test_all_that_are_paced_are_answered(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    requests = tmp_path / "requests"
    requests.write_bytes(REQUEST + b"\n")

    pace.main(f"http://127.0.0.1:{server.server_port}", str(requests), 2000, 0.5)

    assert json.loads(capsys.readouterr().out)["failed"] == 0
    assert server.served == [b"paid"] * 1000
