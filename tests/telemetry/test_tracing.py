"""Spans: off, nothing is loaded; on, a collector that is slow or away delays nobody and floods no log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from checkout_service.local.processes import ProcessError
from checkout_service.settings.errors import SettingsError
from checkout_service.settings.tracing import SAMPLERS, TracingSettings
from checkout_service.telemetry import request_log, tracing, tracing_start
from checkout_service.telemetry.metrics import trace_spans_total
from checkout_service.telemetry.tracing import Attribute, Kind
from tests.collector import Collector, collecting
from tests.conftest import ROOT, Servers, Sql
from tests.flower_pages import stack
from tests.webhook_bodies import insert_payment, webhook

OTHER = f"00-{'a' * 32}-{'b' * 16}"

PROGRAMS = {
    "web": "import wsgi, serve, checkout_service.server.granian_server, checkout_service.cache",
    "worker": "from worker.app import app; app.Worker; app.loader.import_default_modules(); import celery.bin.celery",
    "beat": "from worker.app import app; app.loader.import_default_modules(); import celery.beat, celery.bin.celery",
}
"""What each loads; with Celery's command comes Flower, and with that redis-py, which looks for OpenTelemetry."""

STARTED = """
import sys
from checkout_service.settings.tracing import TracingSettings
from checkout_service.telemetry import tracing, tracing_start
tracing_start.load(TracingSettings.from_environment())
tracing_start.start(TracingSettings.from_environment(), "a process")
loaded = sorted(name for name, module in sys.modules.items() if module and name.startswith(("opentelemetry", "google")))
print(loaded, "redis" in sys.modules, tracing.is_on())
"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def collector(settings: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        settings.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        settings.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield collector
        collector.thawed.set()
        tracing.stop()


def start() -> None:
    tracing_start.start(TracingSettings.from_environment(), "checkout-test")
    assert tracing.is_on()


def counted(outcome: str) -> float:
    return float(trace_spans_total.labels(outcome)._value.get())


@pytest.mark.parametrize("process", PROGRAMS)
@pytest.mark.parametrize(
    "given", [{}, {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, {"OTEL_TRACES_EXPORTER": "none"}]
)
def test_where_it_is_off_nothing_of_it_is_loaded(process: str, given: dict[str, str], servers: Servers) -> None:
    environment = {**stack.environment(servers), **given}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS[process] + STARTED],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["[] True False"], done.stderr


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "must be http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "must be http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "must be an address"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://[", "must be an address"),
        ("OTEL_TRACES_EXPORTER", "console", "must be otlp or none"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "must be one of"),
        ("OTEL_PROPAGATORS", "b3", "must be tracecontext"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "must be none, gzip or deflate"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "must be a number of seconds"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "must be a whole number"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1000000", "must be 65536 at most"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", "must not be more than"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "abc", "must be a whole number from 0"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "x", "must be a whole number from 0"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "unset", "must be a whole number from 0"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1", "must be a whole number from 0"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "9" * 30, "must be a whole number from 0"),
        ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "nobody", "must be left out"),
        ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER", "nobody", "must be left out"),
        ("OTEL_BSP_SCHEDULE_DELAY", "600001", "must be 600000 milliseconds at most"),
        ("OTEL_BSP_SCHEDULE_DELAY", "9" * 30, "must be 600000 milliseconds at most"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "1000000", "must be 600000 milliseconds at most"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "301", "must be a number of seconds, 300 at most"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1e300", "must be a number of seconds, 300 at most"),
    ],
)
def test_what_cannot_be_honoured_is_refused(settings: pytest.MonkeyPatch, name: str, value: str, fault: str) -> None:
    settings.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    settings.setenv(name, value)

    with pytest.raises(SettingsError) as raised:
        TracingSettings.from_environment()

    assert str(raised.value).startswith(f"{name} ")
    assert fault in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("ratio", ["", "-0.1", "1.1", "nan", "a tenth"])
def test_a_ratio_is_from_0_to_1(settings: pytest.MonkeyPatch, ratio: str) -> None:
    settings.setenv("OTEL_TRACES_EXPORTER", "otlp")
    settings.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    settings.setenv("OTEL_TRACES_SAMPLER_ARG", ratio)
    if not ratio:
        assert TracingSettings.from_environment().on
        return
    with pytest.raises(SettingsError, match="OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1"):
        TracingSettings.from_environment()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_each_standard_sampler_is_taken(settings: pytest.MonkeyPatch, sampler: str) -> None:
    settings.setenv("OTEL_TRACES_EXPORTER", "otlp")
    settings.setenv("OTEL_TRACES_SAMPLER", sampler)

    assert TracingSettings.from_environment().on


@pytest.mark.parametrize("flags", ["00", "01"])
def test_a_caller_decides_neither_for_nor_against_a_sample(
    collector: Collector, settings: pytest.MonkeyPatch, flags: str
) -> None:
    settings.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    start()
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/cart", "HTTP_TRACEPARENT": f"{OTHER}-{flags}"}
    request_log.begin(environ)
    assert tracing.context() is None
    with tracing.span("within") as within:
        assert within is None
    request_log.end(environ, route="/api/cart", status=200)
    tracing.stop()
    settings.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_on")
    start()
    again = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/cart", "HTTP_TRACEPARENT": f"{OTHER}-{flags}"}
    request_log.begin(again)
    request_log.end(again, route="/api/cart", status=200)
    tracing.stop()

    (taken,) = collector.spans
    assert (taken.name, taken.parent, taken.links) == ("GET /api/cart", "", ["a" * 32])
    assert taken.trace_id != "a" * 32


@pytest.mark.parametrize(
    "header", ["", "x", f"{OTHER}-01-more", f"00-{'0' * 32}-{'b' * 16}-01", f"ff{OTHER[2:]}-01", "é" * 55]
)
def test_what_is_no_traceparent_is_no_link(collector: Collector, header: str) -> None:
    start()
    environ = {"REQUEST_METHOD": "BREW", "PATH_INFO": "/api/cart", "HTTP_TRACEPARENT": header}
    request_log.begin(environ)
    request_log.end(environ, route="unmatched", status=405)
    tracing.stop()

    (taken,) = collector.spans
    assert (taken.name, taken.links) == ("_OTHER unmatched", [])


def test_a_probe_has_nothing_of_a_request_that_never_ended(collector: Collector) -> None:
    start()
    request_log.begin({"REQUEST_METHOD": "GET", "PATH_INFO": "/api/cart"})
    assert tracing.current() is not None

    request_log.begin({"REQUEST_METHOD": "GET", "PATH_INFO": "/readyz"})

    assert tracing.current() is None
    assert tracing.ids() == {}


def test_an_error_is_its_class_and_nothing_of_its_message(collector: Collector) -> None:
    start()
    with (
        pytest.raises(ValueError, match="Ada"),
        tracing.span("work", attributes={Attribute.TASK: "Ada Lovelace, 1843"}),
    ):
        raise ValueError("Ada Lovelace, ada@example.org")
    tracing.stop()

    (taken,) = collector.spans
    assert taken.failed
    assert taken.attributes == {"error.type": "ValueError"}
    assert "Ada" not in json.dumps(taken.whole)


def test_a_row_goes_on_with_its_trace_and_the_task_is_a_link(collector: Collector) -> None:
    start()
    with tracing.span("task") as task, tracing.of_row("row", Kind.INTERNAL, {}, context=f"{OTHER}-01") as row:
        assert task is not None
        assert row is not None
        assert tracing.ids() == {"trace_id": "a" * 32, "span_id": row.span_id}
    with tracing.unsampled(), tracing.of_row("alone", Kind.INTERNAL, {}, context=None) as alone:
        assert alone is None
    tracing.stop()

    spans = {span.name: span for span in collector.spans}
    assert {*spans} == {"row", "task"}
    assert (spans["row"].trace_id, spans["row"].parent) == ("a" * 32, "b" * 16)
    assert spans["row"].links == [spans["task"].trace_id]


def test_what_finds_the_queue_full_is_dropped_and_nobody_waits_for_a_frozen_collector(
    collector: Collector, settings: pytest.MonkeyPatch
) -> None:
    """It does not answer before the end of this test, which therefore waits for nothing of it."""
    settings.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16")
    settings.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    collector.frozen.set()
    before = counted("dropped")
    start()
    with capture_logs() as lines:
        for _ in range(200):
            with tracing.span("work"):
                pass
    assert [line["event"] for line in lines] == ["spans_dropped"]
    # Of 200 one batch is on its way, and as many wait as may.
    assert 200 - 2 * 16 <= counted("dropped") - before < 200
    tracing.stop(within=0.1)

    assert not collector.thawed.is_set()
    assert collector.spans == []


def test_what_a_collector_refuses_is_counted_and_logged_once(
    collector: Collector, capfd: pytest.CaptureFixture[str]
) -> None:
    collector.status = 400
    before = counted("failed")
    start()
    with capture_logs() as lines:
        for number in (1, 2, 3):
            with tracing.span("work"):
                pass
            collector.eventually(lambda expected=number: counted("failed") - before == expected)
        tracing.stop()

    # A thread of an earlier test may write as well, of something else.
    assert [line["event"] for line in lines if "span" in line["event"]] == ["spans_not_exported"]
    assert "export" not in capfd.readouterr().err


@pytest.mark.parametrize("value", ["", "  ", "16"])
def test_a_limit_that_is_blank_is_none(collector: Collector, settings: pytest.MonkeyPatch, value: str) -> None:
    settings.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", value)
    settings.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", value)
    start()
    with tracing.span("work"):
        pass
    tracing.stop(within=30)

    assert [span.name for span in collector.spans] == ["work"]


def test_what_only_the_sdk_refuses_leaves_tracing_off_and_the_process_serves(
    collector: Collector, settings: pytest.MonkeyPatch
) -> None:
    settings.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere")
    given = TracingSettings.from_environment()
    settings.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "nobody looked")
    with capture_logs() as lines:
        tracing_start.load(given)
        tracing_start.start(given, "checkout-test")

    assert not tracing.is_on()
    assert [line["event"] for line in lines] == ["tracing_not_started"]


@pytest.mark.parametrize("process", ["web", "worker"])
def test_a_process_refuses_a_limit_before_it_has_children(process: str, servers: Servers, tmp_path: Path) -> None:
    settings = stack.environment(servers, OTEL_TRACES_EXPORTER="otlp", OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="abc")

    refused = pytest.raises(ProcessError, match="OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT must be a whole number")
    with refused, stack.run(tmp_path, settings, process):
        pass


def test_what_ended_is_exported_at_the_end(collector: Collector, settings: pytest.MonkeyPatch) -> None:
    settings.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    before = counted("sent")
    start()
    with tracing.span("work"):
        pass
    tracing.stop(within=30)

    assert [span.name for span in collector.spans] == ["work"]
    assert counted("sent") - before == 1
    assert not tracing.is_on()


def test_what_web_and_worker_have_not_exported_yet_is_at_their_end(
    collector: Collector, sql: Sql, servers: Servers, tmp_path: Path
) -> None:
    """Within ten minutes nothing is exported by itself."""
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    settings = stack.environment(servers, **traces)
    with stack.run(tmp_path, settings, "web", "worker"):
        address, sent = f"http://127.0.0.1:{settings['PORT']}/api/payments/webhook", webhook(insert_payment(sql))
        answer = httpx.post(address, content=sent, headers={"Content-Type": "application/json"}, timeout=30)
        assert answer.status_code == 202, answer.text
        stack.eventually(lambda: sql("SELECT state FROM webhook_deliveries")[0].state == "applied")
        assert collector.spans == []

    (request,) = collector.named("POST /api/payments/webhook")
    (moved,) = collector.named("webhook transition")
    assert (moved.trace_id, moved.parent) == (request.trace_id, request.span_id)


@pytest.mark.parametrize("process", ["web", "worker"])
def test_a_process_that_cannot_honour_what_is_set_says_so_and_ends(
    process: str, servers: Servers, tmp_path: Path
) -> None:
    settings = stack.environment(servers, OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")

    refused = pytest.raises(ProcessError, match="OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf")
    with refused, stack.run(tmp_path, settings, process):
        pass
