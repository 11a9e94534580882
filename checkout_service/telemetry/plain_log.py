"""Lines of a process that does without structlog, which takes 6 MiB: the one above the web's master is there for as
long as the service, and writes next to nothing.

They look as those of ``logs``, which writes by the same ``write``, but for colours. Their values are the process's own:
nothing is struck out of them.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

_TO_QUOTE: Final = frozenset(" \t=\r\n\"'")

_json_lines = False


def configure(*, production: bool) -> None:
    """Have lines written as JSON in production; ``logs.configure`` calls this."""
    global _json_lines  # noqa: PLW0603 (the log is one for the process)
    _json_lines = production


class PlainLog:
    """Takes what a logger of structlog takes."""

    def info(self, event: str, **about: object) -> None:
        _write_event("info", event, about)

    def warning(self, event: str, **about: object) -> None:
        _write_event("warning", event, about)

    def error(self, event: str, **about: object) -> None:
        _write_event("error", event, about)


def now() -> str:
    """The time of a line."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write(line: str) -> None:
    """Write a line to what is standard error at that moment. Never raises."""
    # Nobody may be reading the log any more. That is no reason to refuse a customer.
    with suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")


def _write_event(level: str, event: str, about: dict[str, Any]) -> None:
    if _json_lines:
        line = {"event": event, **about, "level": level, "timestamp": now()}
        write(json.dumps(line, separators=(",", ":"), default=str))
        return
    fields = " ".join(f"{name}={_shown(about[name])}" for name in sorted(about))
    write(f"{now()} [{level:<9}] {event:<30} {fields}".rstrip())


def _shown(value: object) -> str:
    text = str(value)
    return repr(text) if _TO_QUOTE & set(text) else text
