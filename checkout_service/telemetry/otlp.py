"""The one module that loads OpenTelemetry: begins its spans, and exports them in the background.

A collector that is slow or away delays nobody: what has ended waits in a queue of a bounded length, what finds it full
is dropped and counted, and the log has a line a minute at most.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from threading import Lock, Thread
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from checkout_service.telemetry.metrics import trace_spans_total
from checkout_service.telemetry.now_and_then import NowAndThen
from checkout_service.telemetry.otlp_session import BoundedSession
from checkout_service.telemetry.tracing import TRACEPARENT, Attribute, Attributes, Kind, Span

_VALUE: Final = re.compile(r"[A-Za-z0-9_.:/<>{}*-]{0,120}\Z")
"""What our own words look like, rules and names of tasks among them. Whatever else came here by mistake is no word."""

log = structlog.get_logger(__name__)


class OtlpTracer:
    """Begins spans and exports them; start it after the fork, since it has a thread."""

    def __init__(self, service: str | None, process: str, *, queue: int) -> None:
        """``service`` is the name in the environment; without it ``process`` is it. The SDK reads the rest.

        ``queue`` spans wait at most.
        """
        # Its own lines repeat with every batch: ours tell of it.
        for name in ("opentelemetry", "urllib3.connection", "urllib3.connectionpool"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        resource = Resource.create({} if service else {SERVICE_NAME: process})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = _CountingExporter(OTLPSpanExporter(session=BoundedSession()))
        self._provider.add_span_processor(_BoundedProcessor(exporter, queue))
        self._tracer = self._provider.get_tracer("checkout_service")

    def begin(
        self,
        name: str,
        *,
        kind: Kind,
        attributes: Attributes,
        parent: str | None,
        links: Iterable[str],
        began_ns: int | None,
    ) -> Span | None:
        """As ``tracing.Tracer`` has it."""
        context = Context()
        if parent is not None and (found := _remote(parent)):
            if not found.trace_flags.sampled:
                return None
            context = set_span_in_context(NonRecordingSpan(found), context)
        begun = self._tracer.start_span(
            name,
            context,
            SpanKind[kind.value],
            {key.value: value for key, value in attributes.items() if _is_ours(value)},
            [Link(found) for each in links if (found := _remote(each))],
            began_ns,
            record_exception=False,
        )
        return _Begun(begun) if begun.is_recording() else None

    def stop(self, within: float) -> None:
        """As ``tracing.Tracer`` has it. What is not exported by then is lost."""
        # The SDK's own bound is 30 s. The thread is no reason for the process to stay.
        thread = Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        thread.start()
        thread.join(within)


class _Begun:
    """A span of the SDK's."""

    __slots__ = ("_span", "span_id", "trace_id")

    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        found = span.get_span_context()
        self.trace_id = format(found.trace_id, "032x")
        self.span_id = format(found.span_id, "016x")

    @property
    def context(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"

    def set(self, attribute: Attribute, value: str | int) -> None:
        if _is_ours(value):
            self._span.set_attribute(attribute.value, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def link(self, context: str) -> None:
        if found := _remote(context):
            self._span.add_link(found)

    def fail(self, error: str) -> None:
        self._span.set_attribute(Attribute.ERROR.value, error)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        self._span.end()


class _BoundedProcessor(BatchSpanProcessor):
    """Counts what waits, and drops what finds the queue full; the SDK would drop the oldest, and count nothing."""

    def __init__(self, exporter: _CountingExporter, most: int) -> None:
        super().__init__(exporter, max_queue_size=most)
        self._most = most
        self._waiting = 0
        self._lock = Lock()
        self._log_due = NowAndThen()
        exporter.taken = self._taken

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is None or not span.context.trace_flags.sampled:
            return
        with self._lock:
            full = self._waiting >= self._most
            self._waiting += not full
        if full:
            trace_spans_total.labels("dropped").inc()
            if self._log_due.is_now():
                log.warning("spans_dropped", reason="as many wait as may")
        else:
            super().on_end(span)

    def _taken(self, number: int) -> None:
        with self._lock:
            self._waiting -= number


class _CountingExporter(SpanExporter):
    """Exports by another exporter; counts what arrived, and logs now and then that something did not."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._log_due = NowAndThen()
        self.taken: Callable[[int], None] = _nothing

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken(len(spans))
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001 (whatever it is, it must not end the thread)
            result, reason = SpanExportResult.FAILURE, type(error).__name__
        else:
            reason = "the collector did not take them"
        arrived = result is SpanExportResult.SUCCESS
        trace_spans_total.labels("sent" if arrived else "failed").inc(len(spans))
        if not arrived and self._log_due.is_now():
            log.warning("spans_not_exported", spans=len(spans), reason=reason)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _nothing(_number: int) -> None:
    pass


def _remote(context: str) -> SpanContext | None:
    found = TRACEPARENT.match(context)
    if found is None:
        return None
    trace_id, span_id, flags = found.groups()
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def _is_ours(value: str | int) -> bool:
    return isinstance(value, int) or bool(_VALUE.match(value))
