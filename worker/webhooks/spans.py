"""A span for each webhook of a set that came by a sampled request, in the trace of that request.

One task serves many webhooks, so the span of the task and that of a webhook are linked. Nothing is done where tracing
is off, or where no webhook of the set has a trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import UUID

from checkout_service.telemetry import tracing
from checkout_service.telemetry.tracing import Attribute, Kind, Span
from worker.webhooks.claims import Result
from worker.webhooks.reading import Reading

Spans = Mapping[UUID, Span]
"""By the id of the webhook."""


@contextmanager
def of_readings(readings: Iterable[Reading]) -> Iterator[Spans]:
    """The spans of those that are recorded now, which end with what is within."""
    spans = {}
    if tracing.is_on():
        task = tracing.current()
        for reading in readings:
            webhook = reading.webhook
            if webhook.trace_context is None:
                # Most of them, where a part of all requests is sampled.
                continue
            attributes: tracing.Attributes = {
                Attribute.PROVIDER: webhook.raw.provider,
                Attribute.ATTEMPTS: webhook.attempts,
            }
            begun = tracing.begin_of_row("webhook transition", Kind.CONSUMER, attributes, context=webhook.trace_context)
            if begun is not None:
                spans[webhook.id] = begun
                if task is not None:
                    task.link(begun.context)
    try:
        yield spans
    except BaseException as error:
        for span in spans.values():
            span.fail(type(error).__name__)
        raise
    finally:
        for span in spans.values():
            span.end()


def note_results(spans: Spans, written: Sequence[Result]) -> None:
    """Say which state each came to."""
    for result in written if spans else ():
        if span := spans.get(result.webhook.id):
            span.set(Attribute.STATE, result.state.value)


def note_openings(spans: Spans, opened_in: Mapping[UUID, str]) -> None:
    """Link each with the request that opened its payment."""
    for webhook_id, context in opened_in.items():
        if span := spans.get(webhook_id):
            span.link(context)
