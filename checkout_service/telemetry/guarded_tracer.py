"""Between the work and a tracer: whatever of a span goes wrong is counted and logged, and the work goes on.

A span says something about a payment. It must never be the reason why one is not entered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import structlog

from checkout_service.telemetry.metrics import trace_spans_total
from checkout_service.telemetry.now_and_then import NowAndThen

if TYPE_CHECKING:
    from checkout_service.telemetry.tracing import Attribute, Attributes, Kind, Span, Tracer

log = structlog.get_logger(__name__)

_due: Final = NowAndThen()


class GuardedTracer:
    """A tracer that raises nothing, around one that may."""

    def __init__(self, inner: Tracer) -> None:
        self._inner = inner

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
        """As ``tracing.Tracer`` has it; None as well where it failed."""
        try:
            begun = self._inner.begin(
                name, kind=kind, attributes=attributes, parent=parent, links=links, began_ns=began_ns
            )
            return None if begun is None else _GuardedSpan(begun)
        except Exception as error:  # noqa: BLE001 (whatever it is, the work goes on)
            _note(error)
            return None

    def stop(self, within: float) -> None:
        """As ``tracing.Tracer`` has it."""
        _guarded(self._inner.stop, within)


class _GuardedSpan:
    __slots__ = ("_inner", "context", "span_id", "trace_id")

    def __init__(self, inner: Span) -> None:
        self._inner = inner
        # Read here, where an error still means that there is no span.
        self.context, self.trace_id, self.span_id = inner.context, inner.trace_id, inner.span_id

    def set(self, attribute: Attribute, value: str | int) -> None:
        _guarded(self._inner.set, attribute, value)

    def rename(self, name: str) -> None:
        _guarded(self._inner.rename, name)

    def link(self, context: str) -> None:
        _guarded(self._inner.link, context)

    def fail(self, error: str) -> None:
        _guarded(self._inner.fail, error)

    def end(self) -> None:
        _guarded(self._inner.end)


def _guarded(call: Callable[..., None], *given: object) -> None:
    try:
        call(*given)
    except Exception as error:  # noqa: BLE001 (whatever it is, the work goes on)
        _note(error)


def _note(error: Exception) -> None:
    trace_spans_total.labels("error").inc()
    if _due.is_now():
        log.warning("span_not_kept", reason=type(error).__name__)
