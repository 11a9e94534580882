"""Rows of a CSV file as Adyen writes it: commas, UTF-8, cells in quotes where they need them; bounded, line by line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from hashlib import sha256
from typing import BinaryIO, Final

from checkout_service.providers.reports import LARGEST_FILE, LONGEST_LINE, UnreadableReportError

_MARK: Final = "\ufeff"

_OTHER_FILES: Final = (
    (b"PK\x03\x04", "this is a workbook (XLSX) or an archive: choose CSV for the report in the Customer Area"),
    (b"\xd0\xcf\x11\xe0", "this is a workbook (XLS): choose CSV for the report in the Customer Area"),
    (b"\x1f\x8b", "the file is packed (gzip): unpack it first"),
    (b"\xff\xfe", "the text is in UTF-16: choose CSV for the report in the Customer Area, and save nothing anew"),
    (b"\xfe\xff", "the text is in UTF-16: choose CSV for the report in the Customer Area, and save nothing anew"),
    (b"%PDF", "this is a PDF: choose CSV for the report in the Customer Area"),
)


class Lines:
    """The lines of a file as text; ``number`` is that of the last one, ``sha256`` of all bytes that were read.

    Raises UnreadableReportError for a line that is no text, is too long, or is in a file that is too large.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._readline = file.readline
        self._hash = sha256()
        self._left = LARGEST_FILE
        self.number = 0

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        line = self._readline(LONGEST_LINE + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._hash.update(line)
        self._left -= len(line)
        if len(line) > LONGEST_LINE or self._left < 0:
            raise UnreadableReportError(
                f"longer than {LONGEST_LINE} bytes"
                if self._left >= 0
                else f"the file has more than {LARGEST_FILE} bytes",
                line=self.number,
            )
        if self.number == 1:
            for beginning, words in _OTHER_FILES:
                if line.startswith(beginning):
                    raise UnreadableReportError(words)
        if b"\0" in line:
            raise UnreadableReportError("a zero byte", line=self.number)
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise UnreadableReportError("not in UTF-8", line=self.number) from error
        return text.removeprefix(_MARK) if self.number == 1 else text

    def sha256(self) -> bytes:
        return self._hash.digest()


def rows_of(lines: Lines) -> Iterator[tuple[int, list[str]]]:
    """Each row that has anything in it, with the number of its first line."""
    reader = csv.reader(lines, strict=True)
    before = 0
    try:
        for row in reader:
            if any(row):
                yield before + 1, row
            before = lines.number
    except csv.Error as error:
        raise UnreadableReportError(f"not as CSV is written ({error})", line=before + 1) from error
