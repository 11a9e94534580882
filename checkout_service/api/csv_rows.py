"""Rows of CSV (RFC 4180) as every file of the API has them, with cells that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

# What a spreadsheet takes for the beginning of a formula, or leaves out before one; of full width where it is Japanese.
# Where decimals have a comma, lists have a semicolon, and a spreadsheet begins a cell after each.
_FORMULA: Final = re.compile(r"^(?=[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n])|(?<=;)(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")


def harmless(text: str) -> str:
    """A cell that somebody else wrote: what a spreadsheet would run gets an apostrophe before it."""
    return _FORMULA.sub("'", text)


def written(rows: Iterable[Sequence[str | None]]) -> bytes:
    """The rows in UTF-8; each ends with CR LF, and None is an empty cell."""
    page = io.StringIO()
    csv.writer(page, lineterminator="\r\n").writerows(rows)
    return page.getvalue().encode("utf-8", "replace")
