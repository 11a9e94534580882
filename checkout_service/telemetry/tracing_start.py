"""Turns tracing on in one process, where OTEL_* says so; the exporter is loaded then and not before."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Protocol

import structlog

from checkout_service.telemetry import tracing
from checkout_service.telemetry.optional import show


class Given(Protocol):
    """What of ``settings.tracing.TracingSettings`` is read here."""

    @property
    def on(self) -> bool:
        """Whether spans are exported."""

    @property
    def service(self) -> str | None:
        """The name that the environment gives to all processes, if it does."""

    @property
    def queue(self) -> int:
        """How many spans wait, at most."""


log = structlog.get_logger(__name__)


def load(given: Given) -> None:
    """Load what spans take, and start nothing: children that are forked share its pages."""
    if given.on:
        _prepare()
        try:
            import_module("checkout_service.telemetry.otlp")
        except Exception:  # whatever it is, the process serves without spans
            log.exception("tracing_not_started")


def start(given: Given, process: str) -> None:
    """Begin spans from now on; once in each process that works, after the fork. ``process`` is what it is called.

    Where that fails the process goes on without spans, and its log says so.
    """
    if given.on:
        _prepare()
        try:
            guarded = import_module("checkout_service.telemetry.guarded_tracer")
            otlp = import_module("checkout_service.telemetry.otlp")
            tracing.use(guarded.GuardedTracer(otlp.OtlpTracer(given.service, process, queue=given.queue)))
        except Exception:  # whatever it is, the process serves without spans
            log.exception("tracing_not_started")


def _prepare() -> None:
    show()
    # To us a setting that is blank is not set. The SDK would read some as a number, and fail.
    for name in [name for name, value in os.environ.items() if name.startswith("OTEL_") and not value.strip()]:
        del os.environ[name]
