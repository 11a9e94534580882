"""Granian's requests, handed over without a thread for each: a body comes piece by piece, whenever it is there.

Granian's WSGI worker calls the app in a thread that then waits for the body. So it needs as many threads as there may
be slow senders, and those of a busy child stand in one another's way. Its RSGI worker hands a request over before its
body, and tells by a callback of an event loop when there is more. Neither needs a loop: what is to be called at the
next turn of one is called at once, in one of Granian's own few threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from granian import _granian
from granian import _signals as granian_signals
from granian.server import mp as granian_server

from checkout_service.server import piped_answers
from checkout_service.server.bodies import TakePiece

log = structlog.get_logger(__name__)


class GranianClient:
    """A request's way back by Granian's RSGI: one answer, as a whole or piece by piece, from any thread."""

    __slots__ = ("_is_head", "_protocol", "response_bytes")

    def __init__(self, protocol: Any, *, is_head: bool) -> None:
        self._protocol = protocol
        self._is_head = is_head
        self.response_bytes = protocol.response_bytes

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any, /) -> None:
        """Send the pieces; returns when all are taken, or the client has gone."""
        if self._is_head:
            body.close()
            self.response_bytes(status, headers, b"")
        else:
            piped_answers.send(self._protocol, status, headers, body)


class Serve(Protocol):
    """Answers a request whose head is an environment of WSGI (PEP 3333), in which ``Pieces`` stand for the body."""

    def __call__(self, client: GranianClient, environ: dict[str, Any], /) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a child serves, and how many threads of Granian's may be in it at a time."""

    serve: Serve
    threads: int


class GranianPieces:
    """The body of a request of Granian's RSGI."""

    __slots__ = ("_protocol", "_stream")

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._stream: Any = None

    def next(self, take: TakePiece, /) -> None:
        try:
            if self._stream is None:
                self._stream = self._protocol.__aiter__()
            future = self._stream.__anext__()
        except (StopAsyncIteration, RuntimeError):  # its end was read, or is nobody's to read any more
            take(b"")
            return
        future.add_done_callback(lambda done: take(_result(done)))


def _result(future: Any) -> bytes:
    try:
        piece: bytes = future.result()
    except BaseException:  # noqa: BLE001 (whatever broke the stream, nothing more of it comes)
        return b""
    return piece


class NoLoop:
    """In place of an event loop: what it is to call soon, it calls."""

    @staticmethod
    def call_soon_threadsafe(callback: Callable[..., object], *arguments: Any, context: Any = None) -> None:
        """Call it now. It raises nothing that its caller has a use for."""
        try:
            callback(*arguments)
        except BaseException:
            log.exception("call_failed")

    call_soon = call_soon_threadsafe


# Granian's stubs describe an older way to make both.
_Scheduler: Any = getattr(_granian, "CallbackScheduler", object)
_Worker: Any = getattr(_granian, "RSGIWorker", None)
_METHODS: Any = getattr(granian_server, "WORKERS_METHODS", None)


def is_known() -> bool:
    """Whether this version of Granian has what we call, by the names that it had when this was written."""
    return _Scheduler is not object and None not in (_Worker, _METHODS) and hasattr(_Scheduler, "_schedule_fn")


class _Calls(_Scheduler):  # type: ignore[misc]
    """Has each request handed to ``serve``, in the thread that has it."""

    def __new__(cls, _serve: Serve, loop: NoLoop) -> _Calls:
        made: _Calls = super().__new__(cls, loop, _nothing, None, _nothing, _nothing)
        return made

    def __init__(self, serve: Serve, loop: NoLoop) -> None:
        super().__init__()

        def call(watcher: Any) -> None:
            try:
                protocol = watcher.proto
                environ = environ_of(watcher.scope)
                environ["wsgi.input"] = GranianPieces(protocol)
                serve(GranianClient(protocol, is_head=environ["REQUEST_METHOD"] == "HEAD"), environ)
            except BaseException:
                # Nobody is above us. Granian answers what nobody does, with 500.
                log.exception("call_failed")

        self._schedule_fn = call


def _nothing(*_: Any) -> None: ...


@granian_server.WorkerProcess.wrap_target  # type: ignore[untyped-decorator]  # Granian is partly untyped
def serve_child(
    number: int, target: Target, sockets: Any, ipc: Any, _loop: Any, mode: Any, threads: int, *options: Any
) -> None:
    """Serve as a child of Granian until its signals say that it ends; in place of Granian's own for RSGI.

    It is called as that is, by position.
    """
    files, _, idle, connections, _, http, http1, http2, websockets, static, _, ssl, _, metrics = options
    # By its module: the drain has put its own there.
    ended, is_over = granian_signals.set_sync_signals(), threading.Event()  # type: ignore[no-untyped-call]
    ended.add_cb(is_over.set)
    bounds = (threads, files, target.threads, idle, connections)
    worker = _Worker(number, sockets, ipc, *bounds, http, http1, http2, websockets, static, *ssl, metrics)
    loop = NoLoop()
    begin = getattr(worker, _METHODS[mode][(sockets[0] or sockets[1]).is_uds()])
    begin(_Calls(target.serve, loop), loop, ended)
    is_over.wait()


def environ_of(scope: Any) -> dict[str, Any]:
    """The head of a request as WSGI has it, without what is the same for all requests.

    A header that came several times is one, with commas; of cookies with semicolons, and of Content-Type the first. A
    value that is not ASCII is empty, and so is a Host that is not there. A name with an underscore is left out: in an
    environment it would be another's, such as one that only a proxy may set.
    """
    headers = scope.headers
    path, query = scope.path, scope.query_string
    client, _, client_port = scope.client.rpartition(":")
    server, _, port = scope.server.rpartition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": path if path.isascii() else path.encode().decode("latin-1"),
        "QUERY_STRING": query if query.isascii() else query.encode().decode("latin-1"),
        "SERVER_NAME": server.strip("[]"),
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": client.strip("[]"),
        "REMOTE_PORT": client_port,
        "wsgi.url_scheme": scope.scheme,
    }
    of_request = len(environ)
    for name, value in headers.items():
        key = _key_of(name)
        before = environ.get(key)
        if before is None:
            environ[key] = value
        elif name != "content-type":
            environ[key] = f"{before}{';' if name == 'cookie' else ','}{value}"
    if len(environ) < of_request + len(headers):
        for name in headers.keys():  # noqa: SIM118 (it is no dictionary)
            environ.setdefault(_key_of(name), "")
    if (cookies := environ.get("HTTP_COOKIE")) and not headers["cookie"]:
        environ["HTTP_COOKIE"] = f";{cookies}"  # the first of several is there, and cannot be read
    environ.pop("", None)
    environ.setdefault("HTTP_HOST", "")
    return environ


def _key_of(name: str) -> str:
    known = _KEYS.get(name)
    if known is not None:
        return known
    return "" if "_" in name else f"HTTP_{name.upper().replace('-', '_')}"


_KEYS: Final = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"} | {
    name: f"HTTP_{name.upper().replace('-', '_')}"
    for name in (
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "cache-control",
        "connection",
        "cookie",
        "host",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "origin",
        "prefer",
        "referer",
        "traceparent",
        "transfer-encoding",
        "user-agent",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-request-id",
    )
}
"""Those that come often. A stranger's are made anew each time, and none of them is kept."""
