"""Turns tracing on in one process, where OTEL_* says so; the exporter is loaded then and not before."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

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


def load(given: Given) -> None:
    """Load what spans take, and start nothing: children that are forked share its pages."""
    if given.on:
        show()
        import_module("checkout_service.telemetry.otlp")


def start(given: Given, process: str) -> None:
    """Begin spans from now on; once in each process that works, after the fork. ``process`` is what it is called."""
    if given.on:
        show()
        from checkout_service.telemetry.otlp import OtlpTracer

        tracing.use(OtlpTracer(given.service, process, queue=given.queue))
