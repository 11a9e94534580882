"""JSON from strangers: one reading of it, or none.

What two parsers could read differently is refused: duplicate keys, and text that PostgreSQL's jsonb cannot hold (NUL,
lone surrogates). Floats too where the content is signed; where its bytes are, they are read as Decimal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import orjson

from checkout_service.providers.base import UnreadableError

DEEPEST: Final = 100
"""Levels. Python, orjson and PostgreSQL each give up on deeper ones, but elsewhere and with errors of their own."""

LARGEST_EXPONENT: Final = 300
"""Of a float, either way: beyond, it is no float any more."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in the bytes, which has no floats; raises UnreadableError for anything else."""
    try:
        text = body.decode("utf-8")
        value = _DECODER.decode(text)
        if _written(value) != body:
            # Not as orjson writes it, which is the rule for most senders and would show that no key stands twice.
            value = _STRICT_DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"not JSON: {_brief(error)}") from error
    return _object(value, body)


def parse_with_floats(body: bytes) -> dict[str, Any]:
    """The JSON object in the bytes, floats as Decimal; raises UnreadableError for what jsonb cannot hold."""
    try:
        value = _object(_FLOAT_DECODER.decode(body.decode("utf-8")), body)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"not JSON: {_brief(error)}") from error
    if b"\\u" in body:  # otherwise there is neither a NUL nor half a character: both can only be written as escapes
        _encoded(value, _write_with_floats)
    return value


def canonical(value: dict[str, Any]) -> bytes:
    """The object with sorted keys and no spaces, in UTF-8; raises UnreadableError for text that cannot be kept."""
    return _encoded(value, _write_sorted)


def _object(value: Any, body: bytes) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableError("not a JSON object")
    if body.count(b"[") + body.count(b"{") > DEEPEST and _too_deep(value):
        raise UnreadableError("not JSON: nested too deeply")
    return value


def _encoded(value: dict[str, Any], write: Callable[[dict[str, Any]], bytes]) -> bytes:
    try:
        encoded = write(value)
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


def _write_sorted(value: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # It writes the same bytes, ten times as fast, but not integers of more than 64 bits, nor lone surrogates.
        return _ENCODER.encode(value).encode("utf-8")


def _write_with_floats(value: dict[str, Any]) -> bytes:
    return _FLOAT_ENCODER.encode(value).encode("utf-8")


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


def _no_constant(text: str) -> Any:
    raise ValueError("a number that is none")


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if len(text) > LARGEST_EXPONENT or (value and abs(value.adjusted()) > LARGEST_EXPONENT):
        raise ValueError("a number that no float can hold")
    return value


# Built once: the functions of json would build one for every webhook.
_DECODER: Final = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)
_STRICT_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float)
_FLOAT_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_decimal, parse_constant=_no_constant)
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_FLOAT_ENCODER: Final = json.JSONEncoder(default=str, ensure_ascii=False)


def _brief(error: Exception) -> str:
    """The parser's own words without the webhook's: nothing that a provider sent may reach a log."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at {error.pos}"
    if isinstance(error, UnicodeError):
        return "bytes or characters that are not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error)[:100]
