"""An OpenTelemetry collector for tests: takes OTLP over HTTP as protobuf, by the protocol's own messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from checkout_service.telemetry.optional import show

show()  # in the process of the tests tracing is off

from google.protobuf.json_format import MessageToDict  # noqa: E402 (once it may be found)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message  # noqa: E402


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A span as it was exported. ``process`` is the service's name; ``whole`` is all that it says, as JSON has it."""

    name: str
    process: str
    trace_id: str
    span_id: str
    parent: str
    kind: int
    links: list[str]
    failed: bool
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    whole: Mapping[str, Any]


class Collector(ThreadingHTTPServer):
    """Takes spans at ``/v1/traces``. With ``status`` it refuses them, and while ``frozen`` is set it never answers."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Taken] = []
        self.requests: list[Mapping[str, str]] = []
        self.status = 200
        self.frozen = threading.Event()
        self.thawed = threading.Event()

    @property
    def endpoint(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def of_trace(self, trace_id: str) -> list[Taken]:
        """What came of one trace so far."""
        return [span for span in list(self.spans) if span.trace_id == trace_id]

    def named(self, name: str) -> list[Taken]:
        """What came under this name so far."""
        return [span for span in list(self.spans) if span.name == name]

    def eventually(self, check: Callable[[], Any], *, within: float = 60.0) -> Any:
        """What the check returns once it is true; fails when that takes longer than so many seconds."""
        deadline = time.monotonic() + within
        while not (found := check()):
            assert time.monotonic() < deadline, sorted({span.name for span in self.spans})
            time.sleep(0.05)
        return found


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append({**self.headers, "path": self.path})
        if self.server.frozen.is_set():
            self.server.thawed.wait(60)
            return
        if self.server.status == 200:
            assert self.headers["Content-Type"] == "application/x-protobuf"
            assert self.path == "/v1/traces"
            self.server.spans += _read(body)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def _read(body: bytes) -> Iterator[Taken]:
    request = ExportTraceServiceRequest.FromString(body)
    for group in request.resource_spans:
        resource = _pairs(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield _taken(span, resource)


def _taken(span: Message, resource: Mapping[str, Any]) -> Taken:
    return Taken(
        name=span.name,
        process=str(resource["service.name"]),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=span.kind,
        links=[link.trace_id.hex() for link in span.links],
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        attributes=_pairs(span.attributes),
        resource=resource,
        whole=MessageToDict(span),
    )


def _pairs(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that runs within the block."""
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield collector
        finally:
            collector.thawed.set()
            collector.shutdown()
            thread.join()
