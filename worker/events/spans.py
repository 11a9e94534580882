"""A span for each attempt of an event delivery, in the trace of what had the event written."""

from __future__ import annotations

from collections.abc import Awaitable

from checkout_service.events.posted import PostedEvent
from checkout_service.telemetry import tracing
from checkout_service.telemetry.tracing import Attribute, Kind
from worker.events.posting import Answer


async def traced(event: PostedEvent, attempt: Awaitable[Answer]) -> Answer:
    """What comes of the attempt. An event without a trace has no span: its task would have thousands."""
    attributes: tracing.Attributes = {Attribute.EVENT_TYPE: event.type, Attribute.METHOD: "POST"}
    span = tracing.begin_of_row("event delivery", Kind.CLIENT, attributes, context=event.trace_context)
    if span is None:
        return await attempt
    try:
        answer = await attempt
        if answer.status is not None:
            span.set(Attribute.STATUS_CODE, answer.status)
        if not answer.succeeded:
            span.fail(answer.error or str(answer.status))
    except BaseException as error:
        span.fail(type(error).__name__)
        raise
    finally:
        span.end()
    return answer
