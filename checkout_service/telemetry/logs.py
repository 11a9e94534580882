"""Structured logs: one line an event, JSON in production, each with the id of the request it belongs to.

Both tiers use it, so nothing here knows Flask or Celery. Everything goes to standard error, which leaves standard
output to the commands. Whatever looks like a secret is replaced by *** before a line is written.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, MutableMapping
from contextvars import ContextVar
from functools import lru_cache
from os import urandom
from select import PIPE_BUF
from typing import Any, Final, NamedTuple

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from checkout_service.telemetry import plain_log, tracing
from checkout_service.telemetry.optional import COLOURS, show

show(COLOURS)

STRUCK_OUT: Final = "***"

_request_id: ContextVar[str] = ContextVar("request_id", default="")

# Where a client mixed its headers up it is a secret, which would stand in every line.
_ACCEPTABLE_ID = re.compile(r"(?!.*(?:csk_|cct_|eyJ))[A-Za-z0-9._~:/+=@-]{1,128}\Z")
_SECRET_KEY = re.compile(r"authorization|cookie|secret|signature|token|password|passwd|api_?key|credential", re.I)
# Each takes a time that grows with the text and no faster: strangers write some of it.
_WORD = re.compile(r"[^\s'\"]++")
_USER_OF_ADDRESS = re.compile(r"://[^/:@]*+:")
_SECRET_IN_TEXT = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"
    r"|(?P<name>(?:password|passwd|secrets?|signature|api_?key|token)['\"]?\s*[=:]\s*['\"]?)[^\s'\",;&}]+"
    r"|\beyJ[\w-]{8,8192}+\.[\w-]{1,8192}+\.[\w-]*"
    r"|(?<![0-9A-Za-z])(?P<key>csk_[0-9A-Za-z]{8})[0-9A-Za-z]{1,64}"
    r"|(?<![0-9A-Za-z])cct_[0-9A-Za-z]{1,64}",
    re.I,
)

_DRAWN: Final = 64
"""So many ids of requests are drawn at once: to ask the system for one lets another thread have the interpreter."""

_new_ids: list[str] = []
os.register_at_fork(after_in_child=_new_ids.clear)

_processors: list[Processor] = []
_json_lines = False
_process = ""


def configure(*, production: bool) -> None:
    """Route structlog and the standard library's loggers to standard error; JSON lines in production."""
    global _json_lines  # noqa: PLW0603 (logging is one for the process, as structlog's own configuration is)
    _json_lines = production
    plain_log.configure(production=production)
    render: Processor
    if production:
        render = structlog.processors.JSONRenderer(serializer=_json)
    else:
        # Plain tracebacks: the fancy ones print local variables, and with them secrets.
        render = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    about: list[Processor] = [structlog.processors.add_log_level, _add_process, _add_request_id, _add_time]
    # In place: loggers that are in use already keep this very list.
    _processors[:] = [structlog.processors.format_exc_info, strike_out, *about, render]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_StandardError,
        cache_logger_on_first_use=True,
    )
    handler = _StandardErrorHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                structlog.processors.format_exc_info,
                strike_out,
                *about,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [kept for kept in root.handlers if not isinstance(kept, _StandardErrorHandler)] + [handler]
    root.setLevel(logging.INFO)
    # We write one line for every call to a provider ourselves, with less in it.
    for noisy in ("httpx", "httpcore", "urllib3", "kombu"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def name_process(name: str) -> None:
    """From here on every line of this process says which one it is: for one of several that write into one log."""
    global _process  # noqa: PLW0603 (logging is one for the process)
    _process = name


def begin(request_id: str | None) -> str:
    """From here on every line of this context carries the id: the given one if it is harmless text, else a new one."""
    chosen = request_id if request_id and _ACCEPTABLE_ID.match(request_id) else _new_id()
    _request_id.set(chosen)
    return chosen


class RequestLine(NamedTuple):
    """What the line of a finished request says."""

    method: str
    route: str
    status: int
    seconds: float
    request_id: str
    key_prefix: str | None = None
    """Of the API key that it came with, if it did."""


def write_requests(lines: Iterable[RequestLine]) -> None:
    """Write the lines of requests that are finished at this moment, in as few pieces as go out whole.

    All processes of a host may write into one pipe, and what is longer than it takes at once would come out in two
    parts, with others' lines in between. They do not pass through the processors, which cost ten times as much: nothing
    in them can be a secret.
    """
    now = plain_log.now()
    piece: list[str] = []
    room = PIPE_BUF
    for line in lines:
        text = _render_request(line, now)
        size = 1 + (len(text) if text.isascii() else len(text.encode(errors="replace")))
        if size > room and piece:
            plain_log.write("\n".join(piece))
            piece, room = [], PIPE_BUF
        piece.append(text)
        room -= size
    if piece:
        plain_log.write("\n".join(piece))


def request_id() -> str:
    """The id of the current request of this context; empty if there is none."""
    return _request_id.get()


def strike_out(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace every value that is a secret by its key or by its form, at any depth."""
    for key, value in event.items():
        if _names_secret(key):
            event[key] = STRUCK_OUT
        elif isinstance(value, str):
            event[key] = strike_out_of_text(value)
        elif not isinstance(value, (int, float, bool, type(None))):
            event[key] = _strike_out_inside(value)
    return event


def strike_out_of_text(text: str) -> str:
    """The text without passwords in URLs, bearer tokens and the like. Of an API key its prefix is left."""
    # Every pattern needs one of these; most values of most lines have none.
    if not any(mark in text for mark in (":", "=", " ", "eyJ", "csk_", "cct_")):
        return text
    if "://" in text and "@" in text:
        text = _WORD.sub(_without_password, text)
    return _SECRET_IN_TEXT.sub(
        lambda found: (found["scheme"] or found["name"] or found["key"] or "") + STRUCK_OUT, text
    )


def _without_password(word: re.Match[str]) -> str:
    """The word, without the password of an address. It goes to the last @: it may hold one, and any other mark."""
    text = word[0]
    end = text.rfind("@")
    user = _USER_OF_ADDRESS.search(text, 0, max(end, 0))
    return text if user is None or user.end() == end else text[: user.end()] + STRUCK_OUT + text[end:]


def _strike_out_inside(value: Any) -> Any:
    if isinstance(value, str):
        return strike_out_of_text(value)
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, MutableMapping):
        return {
            key: STRUCK_OUT if isinstance(key, str) and _names_secret(key) else _strike_out_inside(inner)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_strike_out_inside(inner) for inner in value]
    if isinstance(value, (int, float, type(None))):
        return value
    return strike_out_of_text(str(value))


@lru_cache(maxsize=512)
def _names_secret(key: str) -> bool:
    return bool(_SECRET_KEY.search(key))


def _add_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if _process:
        event.setdefault("process", _process)
    return event


def _add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if current := _request_id.get():
        event["request_id"] = current
    if tracing.is_on():
        event.update(tracing.ids())
    return event


def _add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = plain_log.now()
    return event


def _new_id() -> str:
    try:
        return _new_ids.pop()
    except IndexError:
        drawn = urandom(16 * _DRAWN)
        first, *others = (drawn[at : at + 16].hex() for at in range(0, len(drawn), 16))
        _new_ids.extend(others)
        return first


def _render_request(about: RequestLine, now: str) -> str:
    line: dict[str, Any] = {
        "event": "request",
        "method": about.method,
        "route": about.route,
        "status": about.status,
        "ms": round(about.seconds * 1000, 2),
        "level": "info",
        "request_id": about.request_id,
        "timestamp": now,
    }
    if about.key_prefix is not None:
        line["key_prefix"] = about.key_prefix
    if tracing.is_on():
        line |= tracing.ids()
    if _json_lines:
        return _json(line)
    names = ("method", "route", "status", "ms", "request_id", "key_prefix", "trace_id", "span_id")
    shown = " ".join(f"{name}={line[name]}" for name in names if name in line)
    return f"{line['timestamp']} [{line['level']:<9}] {line['event']:<30} {shown}"


def _json(event: EventDict, **_options: Any) -> str:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # A lone surrogate, as strangers send it. It is escaped: a log line must never fail the work that it reports on.
        return json.dumps(event, default=str)


class _StandardError:
    """Writes lines to what is standard error at that moment."""

    def __init__(self, *_arguments: Any) -> None:
        pass

    def msg(self, line: str) -> None:
        plain_log.write(line)

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


class _StandardErrorHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 (logging's own rule: a line that cannot be written stops nobody)
            self.handleError(record)
