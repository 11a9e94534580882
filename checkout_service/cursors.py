"""Cursors of lists that are ordered by a moment and an id: where a page ended, as a text for an address.

A keyset page begins after the last row of the page before it, so rows that come or go meanwhile move no other row.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

LONGEST_PAGE: Final = 100
"""Payments or orders of a customer that one page shows at most."""

PAGE: Final = "(SELECT CAST(:limit AS bigint))"
"""What to write after LIMIT, of few rows. The parameter alone would have PostgreSQL take a plan for all lengths for
dearer than one for a short page, and so plan the statement anew each time it runs; of this it knows as little in either
case, and takes a tenth of the rows for the page. So what the page is taken from is to have a limit that is a number."""


class BadCursorError(ValueError):
    """A text that is no cursor of ours."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The row that a page ended with: its moment, which is aware, and its id, which tells rows of one moment apart."""

    moment: datetime
    id: UUID

    def __str__(self) -> str:
        """The cursor as callers get it: characters that an address takes as they are."""
        return base64.urlsafe_b64encode(f"{self.moment.isoformat()} {self.id}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor:
    """The cursor in a text that a caller sent back. Raises BadCursorError."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        moment, _, last = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").rpartition(" ")
        cursor = Cursor(datetime.fromisoformat(moment), UUID(last))
    except (ValueError, binascii.Error) as error:
        raise BadCursorError(text) from error
    # What else would be read as the same row is none of ours: digits of other scripts, say.
    if cursor.moment.tzinfo is None or str(cursor) != text:
        raise BadCursorError(text)
    return cursor
