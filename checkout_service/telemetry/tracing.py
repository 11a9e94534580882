"""Spans, where OTEL_* turns them on (docs/tracing.md); without it nothing of OpenTelemetry is loaded.

A trace begins here, and whether it is sampled is decided here: what a caller sends in ``traceparent`` becomes a link,
since a stranger is to decide neither what we store nor what we pay for. A trace goes on where a row has its context.
What a span says is a closed list (``Attribute``) of words of ours: no id, no amount, no text of anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from time import perf_counter, time_ns
from typing import Any, Final, Protocol

TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})\Z")
"""W3C Trace Context, version 00: the id of the trace, that of the span, and the flags, of which 01 is sampled."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Kind(StrEnum):
    """What a span is of; the SDK's own names."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    CONSUMER = "CONSUMER"
    INTERNAL = "INTERNAL"


class Attribute(StrEnum):
    """All that a span may say. Names of OpenTelemetry's semantic conventions where they have one."""

    METHOD = "http.request.method"
    ROUTE = "http.route"
    """The rule, never the path."""
    STATUS_CODE = "http.response.status_code"
    ERROR = "error.type"
    """The class of an error, or the status: its message may name somebody."""
    QUEUE = "messaging.destination.name"
    OPERATION = "messaging.operation.name"
    TASK = "checkout.task"
    PROVIDER = "checkout.provider"
    CALL = "checkout.provider.call"
    """What a provider is asked: a member of ``Call``."""
    STATE = "checkout.webhook.state"
    ATTEMPTS = "checkout.webhook.attempts"
    WEBHOOKS = "checkout.webhooks"
    """How many a task has claimed in this set."""
    ACTION = "checkout.command.action"
    EVENT_TYPE = "checkout.event.type"
    RESULT = "checkout.event.result"


class Call(StrEnum):
    """What a provider may be asked."""

    OPEN = "open"
    LOOK_UP = "look_up"
    CANCEL = "cancel"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


Attributes = Mapping[Attribute, str | int]


class Span(Protocol):
    """A span that has begun and is sampled."""

    trace_id: str
    span_id: str

    @property
    def context(self) -> str:
        """Its W3C traceparent."""

    def set(self, attribute: Attribute, value: str | int) -> None:
        """Say something of it; what is not text of our own form is left out."""

    def rename(self, name: str) -> None:
        """Give it another name."""

    def link(self, context: str) -> None:
        """Name a span that it belongs with."""

    def fail(self, error: str) -> None:
        """Note that it failed, by the class of the error or a status."""

    def end(self) -> None:
        """End it now; it is exported later."""


class Tracer(Protocol):
    """What begins spans: ``otlp.OtlpTracer``, or none."""

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
        """A span, or None where its trace is not sampled. Without a parent it begins a trace."""

    def stop(self, within: float) -> None:
        """Export what has ended, for so many seconds at most."""


class _Unsampled:
    """Stands for a trace that is not sampled, so that nothing within begins another one."""


_UNSAMPLED: Final = _Unsampled()

_tracer: Tracer | None = None
_current: ContextVar[Span | _Unsampled | None] = ContextVar("span", default=None)


def use(tracer: Tracer | None) -> None:
    """Have this process begin spans by this tracer from now on; None: none. It raises nothing (``guarded_tracer``)."""
    global _tracer  # noqa: PLW0603 (one for the process, as its logs are)
    _tracer = tracer


def is_on() -> bool:
    """Whether this process begins spans."""
    return _tracer is not None


def stop(within: float = 2.0) -> None:
    """Export what has ended, for so many seconds at most, and begin nothing more."""
    global _tracer
    tracer, _tracer = _tracer, None
    if tracer is not None:
        tracer.stop(within)


def current() -> Span | None:
    """The sampled span that is at work here."""
    found = _current.get()
    return None if found is None or isinstance(found, _Unsampled) else found


def context() -> str | None:
    """The traceparent of the sampled span that is at work here: what a row keeps."""
    return None if _tracer is None or (span := current()) is None else span.context


@contextmanager
def span(
    name: str,
    kind: Kind = Kind.INTERNAL,
    attributes: Attributes | None = None,
    *,
    parent: str | None = None,
    links: Iterable[str] = (),
) -> Iterator[Span | None]:
    """A span around what is within, below ``parent``, the context of a row, or else below the one at work here.

    With neither it begins a trace. An error that leaves it is noted by its class alone. None where nothing is sampled.
    """
    if _tracer is None:
        yield None
        return
    begun = _begin(name, kind, attributes or {}, parent=parent, links=links)
    token = _current.set(begun or _UNSAMPLED)
    try:
        yield begun
    except BaseException as error:
        if begun is not None:
            begun.fail(type(error).__name__)
        raise
    finally:
        _current.reset(token)
        if begun is not None:
            begun.end()


@contextmanager
def unsampled() -> Iterator[None]:
    """Nothing within begins a trace; the work on a row that has one goes on with it."""
    token = _current.set(_UNSAMPLED)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def of_row(name: str, kind: Kind, attributes: Attributes, *, context: str | None) -> Iterator[Span | None]:
    """A span of the work on one row, in the row's trace; the task at work becomes a link. Without one as ``span``."""
    if _tracer is None or context is None:
        with span(name, kind, attributes) as begun:
            yield begun
        return
    task = current()
    with span(name, kind, attributes, parent=context, links=() if task is None else (task.context,)) as begun:
        yield begun


@contextmanager
def calling(provider: str, call: Call) -> Iterator[Span | None]:
    """A span around what a provider is asked."""
    if _tracer is None:
        yield None
        return
    attributes: Attributes = {Attribute.PROVIDER: provider, Attribute.CALL: call.value}
    with span(f"provider {call.value}", Kind.CLIENT, attributes) as begun:
        yield begun


def begin_of_row(name: str, kind: Kind, attributes: Attributes, *, context: str | None) -> Span | None:
    """A span in the trace of a row that is not at work here, since others are; None without one. End it yourself."""
    if _tracer is None or context is None:
        return None
    task = current()
    links = () if task is None else (task.context,)
    return _tracer.begin(name, kind=kind, attributes=attributes, parent=context, links=links, began_ns=None)


def begin_request(method: str, traceparent: str | None, started: float) -> Span | _Unsampled | None:
    """Begin the trace of a request that began at ``started`` by ``perf_counter``; None where nothing is traced.

    ``traceparent`` is the caller's: a link where it is one, and of no weight.
    """
    if _tracer is None:
        return None
    links = (traceparent,) if traceparent is not None and TRACEPARENT.match(traceparent) else ()
    attributes: Attributes = {Attribute.METHOD: method if method in METHODS else "_OTHER"}
    began_ns = time_ns() - int((perf_counter() - started) * 1e9)
    begun = _tracer.begin(
        "request", kind=Kind.SERVER, attributes=attributes, parent=None, links=links, began_ns=began_ns
    )
    found = begun or _UNSAMPLED
    _current.set(found)
    return found


def resume_request(begun: Span | _Unsampled | None) -> None:
    """Go on with a request in this thread; with None no request is at work here any more."""
    _current.set(begun)


def end_request(begun: Span | _Unsampled | None, *, route: str, method: str, status: int) -> None:
    """End the span of a request, by its rule."""
    if begun is None:
        return
    _current.set(None)
    if not isinstance(begun, _Unsampled):
        begun.rename(f"{method if method in METHODS else '_OTHER'} {route}")
        begun.set(Attribute.ROUTE, route)
        begun.set(Attribute.STATUS_CODE, status)
        if status >= 500:
            begun.fail(str(status))
        begun.end()


def ids() -> dict[str, Any]:
    """What a log line says of the span that is at work here."""
    found = _current.get()
    if found is None or isinstance(found, _Unsampled):
        return {}
    return {"trace_id": found.trace_id, "span_id": found.span_id}


def _begin(name: str, kind: Kind, attributes: Attributes, *, parent: str | None, links: Iterable[str]) -> Span | None:
    assert _tracer is not None  # noqa: S101 (whoever calls has looked)
    if parent is None:
        found = _current.get()
        if isinstance(found, _Unsampled):
            return None
        parent = None if found is None else found.context
    return _tracer.begin(name, kind=kind, attributes=attributes, parent=parent, links=links, began_ns=None)
