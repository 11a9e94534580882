"""JSON from strangers: one reading of it, or none.

What two parsers could read differently is refused: floats, duplicate keys, and text that PostgreSQL's jsonb cannot
hold (NUL, lone surrogates).
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

from checkout_service.providers.base import UnreadableError

DEEPEST: Final = 100
"""Levels. Python, orjson and PostgreSQL each give up on deeper ones, but elsewhere and with errors of their own."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in the bytes; raises UnreadableError for anything else."""
    try:
        text = body.decode("utf-8")
        value = _DECODER.decode(text)
        if _written(value) != body:
            # Not as orjson writes it, which is the rule for most senders and would show that no key stands twice.
            value = _STRICT_DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"not JSON: {_brief(error)}") from error
    if not isinstance(value, dict):
        raise UnreadableError("not a JSON object")
    if body.count(b"[") + body.count(b"{") > DEEPEST and _too_deep(value):
        raise UnreadableError("not JSON: nested too deeply")
    return value


def canonical(value: dict[str, Any]) -> bytes:
    """The object with sorted keys and no spaces, in UTF-8; raises UnreadableError for text that cannot be kept."""
    try:
        encoded = _encode(value)
    except (UnicodeEncodeError, RecursionError) as error:
        raise UnreadableError(f"not writable as UTF-8: {_brief(error)}") from error
    # To look for the few bytes first costs a hundredth of the pattern.
    if b"\\u0000" in encoded and _NUL.search(encoded):
        raise UnreadableError("a NUL character")
    return encoded


def _written(value: Any) -> bytes | None:
    """Without spaces, in the order in which it came; None for what orjson does not write."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return None


def _encode(value: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # It writes the same bytes, ten times as fast, but not integers of more than 64 bits, nor lone surrogates.
        return _ENCODER.encode(value).encode("utf-8")


def _too_deep(value: dict[str, Any]) -> bool:
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _no_float(text: str) -> Any:
    raise ValueError("a number with a fraction or an exponent")


# Built once: the functions of json would build one for every letter.
_DECODER: Final = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)
_STRICT_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float)
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _brief(error: Exception) -> str:
    """The parser's own words without the letter's: nothing that a provider sent may reach a log."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at {error.pos}"
    if isinstance(error, UnicodeError):
        return "bytes or characters that are not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error)[:100]
