"""A set of webhooks, of which each came by a request of its own: none gets into another's trace."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from flask import Flask

from checkout_service.settings.tracing import TracingSettings
from checkout_service.telemetry import tracing, tracing_start
from tests.collector import Collector, collecting
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, insert_webhook, webhook
from worker.webhooks.task import process


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        tracing_start.start(TracingSettings.from_environment(), "checkout-test")
        yield collector
        tracing.stop()


def context_of(digit: str, flags: str = "01") -> str:
    return f"00-{digit * 32}-{digit * 16}-{flags}"


def insert_traced(sql: Sql, digit: str, flags: str = "01") -> tuple[UUID, str]:
    """A webhook that came by this trace, and the reference of its payment, which another one opened."""
    reference = insert_payment(sql)
    sql(
        "UPDATE payments SET trace_context = :context WHERE provider_ref = :ref", context=context_of("f"), ref=reference
    )
    delivery = insert_webhook(sql, webhook(reference))
    sql(
        "UPDATE webhook_deliveries SET trace_context = :context WHERE id = :id",
        context=context_of(digit, flags),
        id=delivery,
    )
    return UUID(str(delivery)), reference


TRACES_OF_EVENTS = """
    SELECT DISTINCT payment.provider_ref AS ref, substr(event.trace_context, 4, 32) AS trace_id
    FROM events AS event JOIN payments AS payment ON payment.id = event.lane
"""


def test_each_webhook_of_a_set_and_its_events_have_the_trace_that_it_came_by(
    sql: Sql, worker: Flask, collector: Collector
) -> None:
    traced = {digit: insert_traced(sql, digit) for digit in "123"}
    unsampled, without = insert_traced(sql, "4", "00"), insert_payment(sql)
    insert_webhook(sql, webhook(without))

    with tracing.span("task"):
        assert process(str(traced["1"][0])) == "5 webhooks"
    tracing.stop(within=30)

    found = {row.ref: row.trace_id for row in sql(TRACES_OF_EVENTS)}
    expected = {reference: digit * 32 for digit, (_, reference) in traced.items()}
    assert found == expected | {unsampled[1]: None, without: None}
    moved = {span.trace_id: span for span in collector.named("webhook transition")}
    assert {*moved} == {digit * 32 for digit in traced}
    (task,) = collector.named("task")
    assert sorted(task.links) == sorted(moved)
    for digit in traced:
        span = moved[digit * 32]
        assert (span.parent, span.attributes["checkout.webhook.state"]) == (digit * 16, "applied")
        assert {*span.links} == {task.trace_id, "f" * 32}


def test_an_event_is_of_the_span_that_wrote_it(sql: Sql, worker: Flask, collector: Collector) -> None:
    delivery, _ = insert_traced(sql, "7")
    process(str(delivery))
    tracing.stop(within=30)

    (span,) = collector.named("webhook transition")
    contexts = {row.trace_context for row in sql("SELECT trace_context FROM events")}
    assert contexts == {f"00-{span.trace_id}-{span.span_id}-01"}


def test_where_it_is_off_a_context_is_left_alone(sql: Sql, worker: Flask) -> None:
    delivery, _ = insert_traced(sql, "8")

    assert process(str(delivery)) == "1 webhooks"

    assert {row.trace_context for row in sql("SELECT trace_context FROM events")} == {None}
