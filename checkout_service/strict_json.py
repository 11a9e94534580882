"""JSON from strangers: it is read in one way only, or refused.

Whatever two parsers could read differently is refused. Each caller chooses what a number with a fraction becomes:
``parse_value`` (bodies of our API) makes floats of it, ``parse_object`` (content that is signed) refuses it,
``parse_exact_object`` (providers' bodies, whose bytes are signed) makes Decimals, and ``line_decoder`` (the catalog's
files) whatever its caller needs. ``is_object`` only looks, for the webhook receiver, which must not lose a webhook that
is odd. Text that PostgreSQL cannot hold (NUL, half a character) is refused where all that was read may be kept; of a
provider's body ``storable`` leaves out these characters alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import orjson

DEEPEST: Final = 100
"""Levels. Python, orjson and PostgreSQL each give up on deeper ones, but elsewhere and with errors of their own."""

LARGEST_EXPONENT: Final = 300
"""Of a float, either way: beyond, it is no float any more."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_NOT_HELD: Final = re.compile("[\x00\ud800-\udfff]")
"""What neither text nor jsonb of PostgreSQL holds: NUL, and half a character (a surrogate without its other half)."""


class StrictJsonError(ValueError):
    """Not JSON, or JSON that could be read in two ways.

    The message holds nothing of what was sent, so it may be logged; ``reason`` is the message without its first words.
    Where the parser says at which character it stopped, ``place`` counts from 0, ``line`` and ``column`` from 1.
    ``member`` is the name that stands twice in an object: it is the sender's own.
    """

    def __init__(
        self,
        reason: str,
        *,
        place: int | None = None,
        line: int | None = None,
        column: int | None = None,
        member: str | None = None,
    ) -> None:
        super().__init__(f"not JSON: {reason}" if place is None else f"not JSON: {reason} at {place}")
        self.reason = reason
        self.place = place
        self.line = line
        self.column = column
        self.member = member


def is_object(body: bytes) -> bool:
    """Whether the bytes are a JSON object, for any reader at all.

    Duplicate keys, fractions and lone surrogates pass: whether such a body is understood is decided by who reads it.
    """
    try:
        return isinstance(orjson.loads(body), dict)
    except orjson.JSONDecodeError:
        pass
    # orjson is stricter than some providers' writers (a lone surrogate in a name): a second opinion before refusing.
    try:
        return isinstance(_TOLERANT.decode(body.decode("utf-8")), dict)
    except (ValueError, RecursionError):
        return False


def parse_value(body: bytes) -> Any:
    """Any JSON value, with floats for fractions; raises StrictJsonError.

    Refuses text that PostgreSQL cannot hold but for NUL, which its fields refuse by their own rules.
    """
    try:
        # The first refuses what the second lets through (NaN, lone surrogates, deep nesting). The second sees keys
        # that stand twice, and keeps whole numbers whole.
        orjson.loads(body)
        return _FLOATS.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise _refused(error) from error


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in the bytes, which has no fractions or exponents; raises StrictJsonError."""
    try:
        text = body.decode("utf-8")
        value, end = _NO_FLOATS.raw_decode(text) if text.startswith("{") else (None, 0)
        if end != len(text):
            # What stands around it is looked at, or is why it is refused.
            value = _NO_FLOATS.decode(text)
        if _written(value) != body:
            # Not as orjson writes it, which is the rule for most senders and would show that no key stands twice.
            value = _NO_FLOATS_UNIQUE.decode(text)
    except (ValueError, RecursionError) as error:
        raise _refused(error) from error
    return _object(value, body)


def parse_exact_object(body: bytes) -> dict[str, Any]:
    """The JSON object in the bytes, fractions as Decimal; raises StrictJsonError.

    A NUL or half a character in a text stays: somebody's name with such a one must not cost what else was said. Who
    uses a text refuses it there, and who keeps one writes ``storable`` of it.
    """
    try:
        value = _DECIMALS.decode(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _refused(error) from error
    return _object(value, body)


def storable(text: str) -> str:
    """The text without the characters that PostgreSQL cannot hold."""
    return _NOT_HELD.sub("", text)


def line_decoder(number: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """A reader of any JSON value in which ``number`` makes each fraction, given as it was written.

    The reader raises StrictJsonError. It is made once: json.loads would make a decoder for each line.
    """
    decoder = json.JSONDecoder(parse_float=number, parse_constant=_no_constant, object_pairs_hook=_unique)

    def parse_line(line: bytes) -> Any:
        try:
            return decoder.decode(line.decode())
        except (ValueError, RecursionError) as error:
            raise _refused(error) from error

    return parse_line


def canonical(value: dict[str, Any]) -> bytes:
    """The object with sorted keys and no spaces, in UTF-8; raises StrictJsonError for text that jsonb cannot hold."""
    try:
        encoded = _write_sorted(value)
    except UnicodeEncodeError as error:
        raise StrictJsonError("half a character, which UTF-8 cannot hold") from error
    except RecursionError as error:
        raise StrictJsonError("nested too deeply") from error
    # To look for the few bytes first costs a hundredth of the pattern.
    if b"\\u0000" in encoded and _NUL.search(encoded):
        raise StrictJsonError("a NUL character")
    return encoded


def _object(value: Any, body: bytes) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StrictJsonError("not an object")
    if body.count(b"[") + body.count(b"{") > DEEPEST and _too_deep(value):
        raise StrictJsonError("nested too deeply")
    return value


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
        return _SORTED.encode(value).encode("utf-8")


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
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise StrictJsonError("a key stands twice", member=twice)
    return value


def _no_float(text: str) -> Any:
    raise StrictJsonError("a number with a fraction or an exponent")


def _no_constant(text: str) -> Any:
    """Python reads NaN and Infinity, which JSON does not know (RFC 8259, section 6)."""
    raise StrictJsonError(f"{text} is no number")


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if len(text) > LARGEST_EXPONENT or (value and abs(value.adjusted()) > LARGEST_EXPONENT):
        raise StrictJsonError("a number that no float can hold")
    return value


# Built once: the functions of json would build one for every body.
_TOLERANT: Final = json.JSONDecoder(parse_constant=_no_constant)
_FLOATS: Final = json.JSONDecoder(object_pairs_hook=_unique)
_NO_FLOATS: Final = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)
_NO_FLOATS_UNIQUE: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float)
_DECIMALS: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_decimal, parse_constant=_no_constant)
_SORTED: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _refused(error: Exception) -> StrictJsonError:
    """The parser's own words without the sender's."""
    if isinstance(error, StrictJsonError):
        return StrictJsonError(error.reason, member=error.member)
    if isinstance(error, json.JSONDecodeError):
        return StrictJsonError(error.msg, place=error.pos, line=error.lineno, column=error.colno)
    if isinstance(error, UnicodeDecodeError):
        return StrictJsonError("bytes that are not UTF-8", place=error.start)
    if isinstance(error, RecursionError):
        return StrictJsonError("nested too deeply")
    return StrictJsonError("a number is too large")  # Python reads no integer of more than 4,300 digits
