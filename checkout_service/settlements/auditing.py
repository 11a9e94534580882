"""Writes down what a person did about settled money, in the transaction that does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from checkout_service.commands.models import LONGEST_OPERATOR, LONGEST_WHY, Action, Door

_AUDIT: Final = """
    INSERT INTO audit (key, door, operator, action, subject, why, details)
    VALUES (%(key)s, %(door)s, %(operator)s, %(action)s, %(subject)s, %(why)s, %(details)s)
"""


def audit(
    cursor: psycopg.Cursor[Any],
    action: Action,
    *,
    subject: UUID,
    operator: str,
    why: str,
    details: Mapping[str, Any],
) -> None:
    """A row of the audit, by the command line; what is too long is cut. Raises psycopg.Error."""
    cursor.execute(
        _AUDIT,
        {
            "key": uuid4(),
            "door": Door.CLI.value,
            "operator": operator[:LONGEST_OPERATOR],
            "action": action.value,
            "subject": str(subject),
            "why": why[:LONGEST_WHY],
            "details": Jsonb(dict(details)),
        },
    )
