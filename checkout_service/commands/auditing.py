"""Writes a command into the audit by the statement that makes what it asks for: both are there, or neither is.

For what is done when it is written down: no run belongs to it, and what becomes of it stands with what was made.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from checkout_service.commands.models import LONGEST_OPERATOR, LONGEST_WHY, Action
from checkout_service.commands.operations import Origin

_WRITTEN: Final = """
    written AS (
        INSERT INTO audit (key, door, operator, action, subject, why, details)
        SELECT :audit_key, :audit_door, :audit_operator, '{action}', :audit_subject, :audit_why,
            jsonb_build_object('{named}', one.{key})
        FROM (SELECT {key} FROM made ORDER BY {key} LIMIT 1) AS one
    )
"""


def written(action: Action, *, named: str, key: str = "id") -> str:
    """A part of a WITH, behind one that is called made: the row of the audit about the first of what was made.

    ``details`` have its id, the column ``key`` of made, as ``named``.
    """
    return _WRITTEN.format(action=action.value, named=named, key=key)


def audited(insert: str, action: Action, *, named: str) -> str:
    """An INSERT with RETURNING, whose rows are those of this statement, with its row of the audit."""
    return f"WITH made AS ({insert}), {written(action, named=named)} SELECT * FROM made"  # noqa: S608 (our own parts)


def audit_values(origin: Origin, subject: UUID) -> dict[str, Any]:
    """The parameters of the row of the audit: who, which way, with which key and why, about what."""
    return {
        "audit_key": origin.key,
        "audit_door": origin.door,
        "audit_operator": origin.operator[:LONGEST_OPERATOR],
        "audit_subject": str(subject),
        "audit_why": origin.why[:LONGEST_WHY],
    }
