"""What persons do about settled money: undo a match, settle an exception, say which payout an entry is part of.

Each writes the audit in the same transaction.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg


class UnknownMatchError(Exception):
    """No match has this id."""


class UnknownEntryError(Exception):
    """No current entry has this id."""


class UnknownPayoutError(Exception):
    """No payout has this id."""


class UndoneAlreadyError(Exception):
    """A match does not hold any more."""


class ResolvedAlreadyError(Exception):
    """Somebody has settled it already."""


class NoExceptionError(Exception):
    """A match that is no exception needs nobody to settle it."""


class OtherCurrencyError(Exception):
    """The entry and the payout are of different currencies, or of different providers and accounts."""


class LinkedAlreadyError(Exception):
    """The entry is part of another payout."""


def undo(connection: psycopg.Connection[Any], match_id: UUID, *, operator: str, why: str) -> None:
    """End a match: its entry is as one that nobody has matched. A transaction.

    Raises UnknownMatchError, UndoneAlreadyError and psycopg.Error.
    """
    raise NotImplementedError


def resolve(connection: psycopg.Connection[Any], match_id: UUID, *, operator: str, why: str) -> None:
    """Settle an exception: it is listed no more, and keeps no payout from being reconciled. A transaction.

    Raises UnknownMatchError, UndoneAlreadyError, ResolvedAlreadyError, NoExceptionError and psycopg.Error.
    """
    raise NotImplementedError


def link(connection: psycopg.Connection[Any], entry_id: UUID, payout_id: UUID, *, operator: str, why: str) -> None:
    """Say which payout an entry is part of: of a bank's, which payout it brought. A transaction.

    The same once more changes nothing. Raises UnknownEntryError, UnknownPayoutError, OtherCurrencyError,
    LinkedAlreadyError and psycopg.Error.
    """
    raise NotImplementedError
