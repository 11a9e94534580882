"""Enters a report of settled money: all of it in one transaction, or nothing.

Its lines are copied into a table of their own, proved there, and become entries only where each section adds up. What
does not prove itself is held.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg

from checkout_service.providers.reports import Report
from checkout_service.settlements.entered import Entered


def enter(
    connection: psycopg.Connection[Any],
    report: Report,
    *,
    provider: str,
    account: str,
    operator: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Entered:
    """Read the report to its end and enter it, or hold it; a transaction of its own.

    ``connection`` is one of the role of settlements, in autocommit. ``account`` is the one that the report was read
    for, '' where the report says it. ``progress`` is called each second with the number of lines read. The same bytes
    again change nothing. Raises UnreadableReportError, FileOfAnotherError and psycopg.Error; after any error, and after
    KeyboardInterrupt, nothing of it is there.
    """
    raise NotImplementedError


def accept(connection: psycopg.Connection[Any], file_id: UUID, *, operator: str, why: str) -> Entered:
    """Enter a file that is held, as it is: an operator has seen what does not add up. Writes the audit.

    Raises UnknownFileError, NotHeldError and psycopg.Error.
    """
    raise NotImplementedError
