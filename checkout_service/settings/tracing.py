"""Whether spans are exported, by OpenTelemetry's own variables; what cannot be honoured is refused at start.

The SDK reads the rest of them itself: headers, timeouts, certificates, the batch's sizes, the limits of a span.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

from checkout_service.settings.errors import SettingsError

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

_COMPRESSIONS: Final = ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION")

_SECONDS: Final = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")

_WHOLE: Final = (
    *("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
    "OTEL_BSP_EXPORT_TIMEOUT",
)

_LONGEST: Final = 600_000
"""Milliseconds. A longer wait overflows a lock's at some point, and nobody means it."""

LONGEST_EXPORT: Final = 300.0
"""Seconds."""

LARGEST_LIMIT: Final = 1_000_000

_PROVIDERS: Final = (
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
)

RATIOS: Final = ("traceidratio", "parentbased_traceidratio")
"""Samplers that take OTEL_TRACES_SAMPLER_ARG."""

SAMPLERS: Final = ("always_on", "always_off", "parentbased_always_on", "parentbased_always_off", *RATIOS)

MISSING: Final = "needs the extra `traces` (opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http)"

QUEUE: Final = 2048
"""Spans that wait, where nothing is set: the SDK's own default."""

LARGEST_QUEUE: Final = 65_536
"""Spans; each takes about 3 kB."""


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Whether spans are exported. ``service`` is the name that the environment gives to all processes, if it does.

    ``queue`` is how many spans wait in a process.
    """

    on: bool
    service: str | None
    queue: int

    @classmethod
    def from_environment(cls) -> TracingSettings:
        """Read OTEL_*. Raises SettingsError with every fault, and where the packages are missing."""
        named = {
            name: value.strip() for name, value in os.environ.items() if name.startswith("OTEL_") and value.strip()
        }
        exporter = _exporter(named)
        faults = [f"{name} {fault}" for name, fault in _faults(named, exporter)]
        if faults:
            raise SettingsError("\n".join(faults))
        queue = int(named.get("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE)) if exporter == "otlp" else QUEUE
        return cls(on=exporter == "otlp", service=_service(named), queue=queue)


def may_be_on() -> bool:
    """Whether something is set that turns tracing on, or that is refused in its place."""
    return _exporter({name: value.strip() for name, value in os.environ.items() if value.strip()}) != "none"


def _exporter(named: Mapping[str, str]) -> str:
    if named.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return "none"
    return named.get("OTEL_TRACES_EXPORTER", "otlp" if any(name in named for name in ENDPOINTS) else "none")


def _faults(named: Mapping[str, str], exporter: str) -> Iterator[tuple[str, str]]:
    if exporter not in {"otlp", "none"}:
        yield "OTEL_TRACES_EXPORTER", "must be otlp or none"
    if exporter != "otlp":
        return
    if not _is_installed():
        yield "OTEL_TRACES_EXPORTER" if "OTEL_TRACES_EXPORTER" in named else ENDPOINTS[1], MISSING
    for names, is_wrong, fault in _RULES:
        for name in names:
            if name in named and is_wrong(named[name]):
                yield name, fault
    for name, value in named.items():
        # The SDK raises of what is none, of some when it is imported.
        if name.endswith("_LIMIT") and _no_limit(value):
            yield name, f"must be a whole number from 0 to {LARGEST_LIMIT}"
    size, batch = named.get("OTEL_BSP_MAX_QUEUE_SIZE", str(QUEUE)), named.get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512")
    if size.isdigit() and batch.isdigit() and int(batch) > int(size):
        yield "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "must not be more than OTEL_BSP_MAX_QUEUE_SIZE"
    if size.isdigit() and int(size) > LARGEST_QUEUE:
        yield "OTEL_BSP_MAX_QUEUE_SIZE", f"must be {LARGEST_QUEUE} at most"
    argument = named.get("OTEL_TRACES_SAMPLER_ARG")
    if named.get("OTEL_TRACES_SAMPLER") in RATIOS and argument is not None and not _is_ratio(argument):
        yield "OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1"


def _is_installed() -> bool:
    try:
        return bool(find_spec("opentelemetry.sdk") and find_spec("opentelemetry.exporter.otlp.proto.http"))
    except ModuleNotFoundError:  # of what is above it
        return False


def _no_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme not in {"http", "https"} or not parts.hostname or bool(parts.port == 0)
    except ValueError:
        return True


def _is_ratio(value: str) -> bool:
    try:
        return 0 <= float(value) <= 1
    except ValueError:
        return False


def _no_time(value: str) -> bool:
    try:
        return not 0 < float(value) <= LONGEST_EXPORT
    except ValueError:
        return True


def _no_limit(value: str) -> bool:
    is_number = value.isascii() and value.isdigit() and len(value) < 12
    return not (is_number and int(value) <= LARGEST_LIMIT)


def _too_long(value: str) -> bool:
    return not _no_whole_number(value) and (len(value) > 12 or int(value) > _LONGEST)


def _no_whole_number(value: str) -> bool:
    return not (value.isascii() and value.isdigit() and int(value[:12]) > 0)


def _no_propagators(value: str) -> bool:
    known = {each.strip() for each in value.split(",")}
    return not known <= {"tracecontext", "baggage", "none"}


_RULES: Final[tuple[tuple[tuple[str, ...], Callable[[str], bool], str], ...]] = (
    (ENDPOINTS, _no_url, "must be an address, http:// or https://"),
    (_PROTOCOLS, lambda value: value != "http/protobuf", "must be http/protobuf: this service has no other exporter"),
    (_COMPRESSIONS, lambda value: value not in {"none", "gzip", "deflate"}, "must be none, gzip or deflate"),
    (_SECONDS, _no_time, f"must be a number of seconds, {LONGEST_EXPORT:.0f} at most"),
    (_WHOLE, _no_whole_number, "must be a whole number above 0"),
    (("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT"), _too_long, f"must be {_LONGEST} milliseconds at most"),
    (_PROVIDERS, bool, "must be left out: what the exporter sends with is this service's own"),
    (("OTEL_TRACES_SAMPLER",), lambda value: value not in SAMPLERS, f"must be one of {', '.join(SAMPLERS)}"),
    (("OTEL_PROPAGATORS",), _no_propagators, "must be tracecontext: no other header is read"),
)


def _service(named: Mapping[str, str]) -> str | None:
    if name := named.get("OTEL_SERVICE_NAME"):
        return name
    pairs = (pair.partition("=") for pair in named.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return next((value.strip() for key, _, value in pairs if key.strip() == "service.name" and value.strip()), None)
