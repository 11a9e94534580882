"""The rows of a CSV file of Stripe's, one at a time, with the line that each begins in: bounded, strict and hashed.

A file is UTF-8, with a mark of its byte order or without, and its fields may hold line ends. What is no such file is
UnreadableReportError, with the first line of the row.
"""

from __future__ import annotations

import csv
import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from checkout_service.providers.reports import LARGEST_FILE, LONGEST_LINE, Report, UnreadableReportError

_BYTE_ORDER: Final = b"\xef\xbb\xbf"

MOST_FAULTS: Final = 100
"""That are written down; more of them are counted."""

_PARTS: Final = 64
"""Into which names are divided, so that the search for equal ones takes little memory at once."""


class Rows:
    """A file's header, then its rows as ``(line, fields)``; ``sha256`` is of all its bytes once the last was read.

    Raises UnreadableReportError, at once for a header that is none.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._line = self._size = self._row_size = 0
        self._first = 1
        self._reader = csv.reader(self._lines(), strict=True)
        self.header = self._header()

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        width, reader = len(self.header), self._reader
        while True:
            self._first, self._row_size = self._line + 1, 0
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise UnreadableReportError(f"no CSV: {error}", line=self._first) from None
            if row is None:
                return
            if len(row) != width:
                if not row:
                    continue
                message = f"the row has {len(row)} fields, and the header {width}"
                raise UnreadableReportError(message, line=self._first)
            yield self._first, row

    @property
    def sha256(self) -> bytes:
        return self._digest.digest()

    def _header(self) -> Sequence[str]:
        try:
            names = [name.strip() for name in next(self._reader, [])]
        except csv.Error as error:
            raise UnreadableReportError(f"no CSV: {error}", line=1) from None
        if not any(names):
            raise UnreadableReportError("the file has no header", line=1)
        if len(names) == 1 and ";" in names[0]:
            message = "its columns are parted by ;, as a spreadsheet writes them: import the file as Stripe gave it"
            raise UnreadableReportError(message, line=1)
        doubled = next((name for name, times in Counter(names).items() if times > 1), None)
        if doubled is not None:
            raise UnreadableReportError(f"the column {doubled[:100]!r} is there more than once", line=1)
        return names

    def _lines(self) -> Iterator[str]:
        """The lines of the file, each with its end. One that has none is read no further than a row may be long."""
        read, digest = self._file.readline, self._digest
        while raw := read(LONGEST_LINE + 1):
            digest.update(raw)
            self._line += 1
            self._size += len(raw)
            self._row_size += len(raw)
            if self._row_size > LONGEST_LINE:
                raise UnreadableReportError(f"the row is longer than {LONGEST_LINE} bytes", line=self._first)
            if self._size > LARGEST_FILE:
                raise UnreadableReportError(f"the file is larger than {LARGEST_FILE} bytes", line=self._line)
            if b"\0" in raw:
                raise UnreadableReportError("there is a NUL: it is no text, or not in UTF-8", line=self._line)
            if self._line == 1:
                raw = raw.removeprefix(_BYTE_ORDER)
            try:
                yield raw.decode()
            except UnicodeDecodeError:
                raise UnreadableReportError("it is not in UTF-8", line=self._line) from None


class Seen:
    """Which names came before, some 16 bytes for each: the names themselves of a million rows would take 100 MB.

    Two names of one hash (64 bits, of a key that differs by process) would be taken for one: of a million rows once in
    some 30 million files.
    """

    def __init__(self) -> None:
        self._parts = [(array("q"), array("q")) for _ in range(_PARTS)]

    def add(self, name: str, line: int) -> None:
        number = hash(name)
        hashes, lines = self._parts[number % _PARTS]
        hashes.append(number)
        lines.append(line)

    def doubled(self) -> Iterator[tuple[int, int]]:
        """The lines of each name that came again: where first, and where again."""
        for hashes, lines in self._parts:
            if len(set(hashes)) == len(hashes):
                continue
            first: dict[int, int] = {}
            for number, line in zip(hashes, lines, strict=True):
                if number in first:
                    yield first[number], line
                else:
                    first[number] = line


class Faults:
    """The faults of a report, of which so many are written down and all are counted."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._more = 0

    def add(self, line: int, words: str) -> None:
        if len(self._report.faults) < MOST_FAULTS:
            self._report.faults.append(f"line {line}: {words}")
        else:
            self._more += 1

    def close(self) -> None:
        if self._more:
            self._report.faults.append(f"and {self._more} more")
