"""A server of reports on this machine, which answers as it is told and remembers what was asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class ReportServer:
    """By path what it answers: bytes, a status, or whatever a function writes. Anything else is not there."""

    origin: str = ""
    answers: dict[str, bytes | int | Answer] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    stopping: Event = field(default_factory=Event)
    """So that what is slow ends with the test."""


@contextmanager
def serving() -> Iterator[ReportServer]:
    made = ReportServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.paths.append(self.path)
            made.headers.append(dict(self.headers))
            answer = made.answers.get(self.path, 404)
            with suppress(OSError):  # it was hung up on
                if callable(answer):
                    self.close_connection = True
                    answer(self)
                elif isinstance(answer, int):
                    send(self, b"", status=answer)
                else:
                    send(self, answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    made.origin = f"http://127.0.0.1:{server.server_address[1]}"
    thread.start()
    try:
        yield made
    finally:
        made.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in {"Content-Length": str(len(body)), **named}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
