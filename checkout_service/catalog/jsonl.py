"""Reads JSON Lines strictly and exactly: one line in memory at a time, numbers as they were written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import orjson

LONGEST_LINE: Final = 256 * 1024
"""Bytes; a line is one listing, and a file without line ends must not fill the memory."""

DEEPEST: Final = 20

# Longer numbers measure nothing, and far longer ones are refused by PostgreSQL.
_NUMBER = re.compile(r"-?\d{1,100}(\.\d{1,100})?([eE][+-]?\d{1,3})?", re.ASCII)


class BadLineError(ValueError):
    """A line that cannot be used; the message says why."""


class Number:
    """A JSON number with a point or an exponent, kept as it was written: a float would change it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; of one that is too long only as much as ``parse_json`` needs to refuse it."""
    while line := file.readline(LONGEST_LINE + 2):
        yield line


def parse_json(line: bytes) -> Any:
    """The value of one line, with Number for each number that is no integer. Raises BadLineError."""
    if len(line.rstrip(b"\r\n")) > LONGEST_LINE:
        raise BadLineError(f"longer than {LONGEST_LINE} bytes")
    try:
        return _decoder.decode(line.decode())
    except BadLineError:
        raise
    except UnicodeDecodeError as error:
        raise BadLineError(f"not UTF-8 at byte {error.start + 1}") from error
    except RecursionError as error:
        raise BadLineError("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise BadLineError(f"not JSON at character {error.pos + 1}: {error.msg}") from error
    except ValueError as error:
        # Python reads no integer of more than 4,300 digits.
        raise BadLineError("a number is too large") from error


def write_json(value: Any, where: str) -> str:
    """A value of ``parse_json`` as JSON that jsonb can hold, its numbers unchanged. Raises BadLineError."""
    _check(value, where, depth=1)
    try:
        return orjson.dumps(value, default=_as_written).decode()
    except orjson.JSONEncodeError as error:
        raise BadLineError(f"{where} holds an integer of more than 64 bits") from error


def check_text(text: str, where: str) -> None:
    """Raise BadLineError for text that PostgreSQL cannot hold."""
    if "\0" in text:
        raise BadLineError(f"{where} holds a NUL character")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise BadLineError(f"{where} holds half of a surrogate pair, which is no character")


def quoted(name: str) -> str:
    """A name out of the file, safe to print."""
    return json.dumps(name[:60])


def _refuse_constant(name: str) -> Any:
    raise BadLineError(f"not JSON: {name} is no number")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadLineError(f"the member {quoted(twice)} stands twice in one object")
    return members


def _check(value: Any, where: str, *, depth: int) -> None:
    if depth > DEEPEST:
        raise BadLineError(f"{where} is nested more than {DEEPEST} deep")
    if isinstance(value, str):
        check_text(value, where)
    elif isinstance(value, dict):
        for name, member in value.items():
            check_text(name, where)
            _check(member, where, depth=depth + 1)
    elif isinstance(value, list):
        for member in value:
            _check(member, where, depth=depth + 1)
    elif isinstance(value, Number) and not _NUMBER.fullmatch(value.text):
        raise BadLineError(f"{where} holds a number that is too large or too long")


def _as_written(value: Number) -> orjson.Fragment:
    return orjson.Fragment(value.text)


# Made once: json.loads with these arguments would make one for each line.
_decoder: Final = json.JSONDecoder(parse_float=Number, parse_constant=_refuse_constant, object_pairs_hook=_members)
