"""A tracer that fails, wherever it is called: no webhook and no refund waits for it or is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from structlog.testing import capture_logs

from checkout_service.telemetry import guarded_tracer, request_log, tracing
from checkout_service.telemetry.metrics import trace_spans_total
from checkout_service.telemetry.now_and_then import NowAndThen
from tests.conftest import Sql
from tests.refunding import insert_refund, paid_payment, refund_event, refund_row
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, webhook
from tests.worker.scripted import ScriptedProvider
from worker.refunds.task import refund
from worker.webhooks.task import process

CONTEXT = f"00-{'a' * 32}-{'b' * 16}-01"


class BrokenSpan:
    """It begins, and no more can be done with it."""

    trace_id, span_id, context = "a" * 32, "c" * 16, f"00-{'a' * 32}-{'c' * 16}-01"

    def _fail(self, *given: Any) -> None:
        raise ValueError(given)

    set = rename = link = fail = end = _fail


class Broken:
    """``at_once``: every method raises. Else its spans begin, and each of their methods raises."""

    def __init__(self, *, at_once: bool) -> None:
        self.at_once = at_once
        self.calls = 0

    def begin(self, *_: Any, **__: Any) -> Any:
        self.calls += 1
        if self.at_once:
            raise TypeError("it cannot begin")
        return BrokenSpan()

    def stop(self, within: float) -> None:
        raise OSError(within)


@pytest.fixture(params=[True, False], ids=["nothing begins", "nothing can be said"])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    monkeypatch.setattr(guarded_tracer, "_due", NowAndThen())
    tracer = Broken(at_once=request.param)
    tracing.use(guarded_tracer.GuardedTracer(tracer))
    yield tracer
    tracing.stop()
    assert tracer.calls


def errors() -> float:
    return float(trace_spans_total.labels("error")._value.get())


def test_a_webhook_is_applied(sql: Sql, worker: Flask, broken: Broken) -> None:
    delivery = UUID(str(insert_webhook(sql, webhook(insert_payment(sql)))))
    sql("UPDATE webhook_deliveries SET trace_context = :context", context=CONTEXT)
    before = errors()

    with capture_logs() as lines, tracing.span("task"):
        process(str(delivery))

    assert state_of(sql, delivery) == "applied"
    assert errors() - before >= 2
    assert [line["event"] for line in lines].count("span_not_kept") == 1


def test_a_refund_is_made_once(sql: Sql, scripted: ScriptedProvider, broken: Broken) -> None:
    payment, reference = paid_payment(sql)
    refund_id = insert_refund(sql, payment)
    sql("UPDATE refunds SET trace_context = :context", context=CONTEXT)
    scripted.refunds[refund_id] = [refund_event(reference, "succeeded", refund_id=refund_id)]

    assert refund(str(refund_id)) == "succeeded"

    assert refund_row(sql, refund_id).now == "succeeded"
    assert len(scripted.refunded) == 1


def test_a_request_is_answered(broken: Broken) -> None:
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/api/cart", "HTTP_TRACEPARENT": CONTEXT}

    request_log.begin(environ)
    request_log.end(environ, route="/api/cart", status=500)

    assert tracing.current() is None
