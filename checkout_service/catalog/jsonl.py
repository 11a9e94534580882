"""Reads JSON Lines strictly and exactly: one line in memory at a time, numbers as they were written.

It is not ``providers.strict_json``: numbers keep their text here, since attributes of specs are stored unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import orjson

from checkout_service.strict_json import StrictJsonError, line_decoder

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
        return _read_line(line)
    except StrictJsonError as error:
        if error.member is not None:
            raise BadLineError(f"the member {quoted(error.member)} stands twice in one object") from error
        if isinstance(error.__cause__, UnicodeDecodeError):
            raise BadLineError(f"not UTF-8 at byte {error.__cause__.start + 1}") from error
        at = "" if error.place is None else f" at character {error.place + 1}"
        raise BadLineError(f"not JSON{at}: {error.reason}") from error


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


_read_line: Final = line_decoder(Number)
