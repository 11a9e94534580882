"""Has a held file that nobody needs listed no more: what it tells of is here already, or came by mistake.

Nothing of it is entered, now or by a later file. Its lines stay, so that it can be held again.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import psycopg

from checkout_service.commands.models import Action
from checkout_service.settlement_words import FileState
from checkout_service.settlements.auditing import audit
from checkout_service.settlements.booking import begin, lock
from checkout_service.settlements.entered import NotDismissedError, NotHeldError, UnknownFileError

_BY_ID: Final = "SELECT name, state::text FROM settlement_files WHERE id = %(file)s"

_DISMISS: Final = f"""
    UPDATE settlement_files SET state = '{FileState.DISMISSED}', dismissed_by = %(operator)s, dismissed_why = %(why)s,
        updated_at = now()
    WHERE id = %(file)s
"""  # noqa: S608 (only our own constants)

_HOLD_AGAIN: Final = f"""
    UPDATE settlement_files SET state = '{FileState.HELD}', dismissed_by = NULL, dismissed_why = NULL,
        updated_at = now()
    WHERE id = %(file)s
"""  # noqa: S608 (only our own constants)


def dismiss(connection: psycopg.Connection[Any], file_id: UUID, *, operator: str, why: str) -> None:
    """Say that nobody needs a held file. A transaction, which writes the audit. The same bytes change nothing then.

    Raises UnknownFileError, NotHeldError and psycopg.Error.
    """
    with connection.transaction(), connection.cursor() as cursor:
        name, state = _locked(cursor, file_id)
        if state is not FileState.HELD:
            raise NotHeldError(f"{name} is {state}")
        cursor.execute(_DISMISS, {"file": file_id, "operator": operator, "why": why})
        audit(cursor, Action.DISMISS_FILE, subject=file_id, operator=operator, why=why, details={"name": name})


def hold_again(connection: psycopg.Connection[Any], file_id: UUID, *, operator: str, why: str) -> None:
    """Take a dismissal back: the file is held as it was, and tried again with the next one. A transaction, as above.

    Raises UnknownFileError, NotDismissedError and psycopg.Error.
    """
    with connection.transaction(), connection.cursor() as cursor:
        name, state = _locked(cursor, file_id)
        if state is not FileState.DISMISSED:
            raise NotDismissedError(f"{name} is {state}")
        cursor.execute(_HOLD_AGAIN, {"file": file_id})
        audit(cursor, Action.HOLD_FILE, subject=file_id, operator=operator, why=why, details={"name": name})


def _locked(cursor: psycopg.Cursor[Any], file_id: UUID) -> tuple[str, FileState]:
    begin(cursor)
    lock(cursor)
    found = cursor.execute(_BY_ID, {"file": file_id}).fetchone()
    if found is None:
        raise UnknownFileError(f"no file {file_id}")
    return found[0], FileState(found[1])
