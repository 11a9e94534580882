"""Reads of operator commands: one, those about one thing, those that are under way, the audit page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from checkout_service.commands.models import OPEN, Action, Door, RunState, listed
from checkout_service.database.engine import execute

PAGE: Final = 50

_COMMANDS: Final = f"""
    SELECT audit.id, audit.created_at, audit.door, audit.operator, audit.action, audit.subject, audit.why,
        audit.details, run.state, run.message, run.replayed,
        (SELECT jsonb_object_agg(result.state, result.count) FROM command_results AS result
            WHERE result.command_id = audit.id) AS results,
        EXISTS (SELECT FROM audit AS other
            WHERE other.subject = audit.id::text AND other.action = '{Action.STOP}') AS stop_requested
    FROM ({{chosen}}) AS audit LEFT JOIN command_runs AS run ON run.id = audit.id
    ORDER BY audit.id DESC
"""  # noqa: S608 (only our own constants)

_CHOSEN: Final = {
    "one": "SELECT * FROM audit WHERE id = :id",
    "keyed": "SELECT * FROM audit WHERE key = :key",
    "about": "SELECT * FROM audit WHERE subject = :subject ORDER BY subject, id DESC LIMIT 20",
    "open": f"""
        SELECT audit.* FROM audit JOIN command_runs AS run USING (id)
        WHERE run.state IN ({listed(OPEN)}) ORDER BY audit.id DESC LIMIT 20
    """,  # noqa: S608 (only our own constants)
    "newest": "SELECT * FROM audit ORDER BY id DESC LIMIT :limit",
    "older": "SELECT * FROM audit WHERE id < :before ORDER BY id DESC LIMIT :limit",
}

_commands: Final = {name: text(_COMMANDS.format(chosen=chosen)) for name, chosen in _CHOSEN.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command and how far the worker is with it.

    ``state`` is None of what has no run. ``results`` counts webhooks by the state that they ended in.
    """

    id: UUID
    created_at: datetime
    door: Door
    operator: str
    action: Action
    subject: str
    why: str
    details: Mapping[str, Any]
    state: RunState | None
    message: str | None
    replayed: int
    results: Mapping[str, int]
    stop_requested: bool

    @property
    def open(self) -> bool:
        """Whether the worker has still something to do about it."""
        return self.state in OPEN

    @property
    def processed(self) -> int:
        """Webhooks of this replay that have a result."""
        return sum(self.results.values())


def find_command(command_id: UUID) -> Command | None:
    """One command, or None. Raises DatabaseUnavailableError, as all of these do."""
    found = _read("one", id=command_id)
    return found[0] if found else None


def command_by_key(key: UUID) -> Command | None:
    """The command that was given with this key, or None."""
    found = _read("keyed", key=key)
    return found[0] if found else None


def commands_about(subject: UUID) -> list[Command]:
    """The newest twenty about a webhook, a payment or another command, newest first."""
    return _read("about", subject=str(subject))


def open_commands() -> list[Command]:
    """The newest twenty that the worker is not done with."""
    return _read("open")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandsPage:
    """A page of the audit, newest first, and the id that the next page begins before, if there is one."""

    commands: Sequence[Command]
    following: str | None


def commands_page(*, before: UUID | None) -> CommandsPage:
    """The newest commands, or the newest of those before one."""
    cursor = {"before": before} if before else {}
    found = _read("older" if before else "newest", limit=PAGE + 1, **cursor)
    return CommandsPage(commands=found[:PAGE], following=str(found[PAGE - 1].id) if len(found) > PAGE else None)


def _read(chosen: str, **values: Any) -> list[Command]:
    return [
        Command(
            id=row.id,
            created_at=row.created_at,
            door=Door(row.door),
            operator=row.operator,
            action=Action(row.action),
            subject=row.subject,
            why=row.why,
            details=row.details,
            state=None if row.state is None else RunState(row.state),
            message=row.message,
            replayed=row.replayed or 0,
            results=row.results or {},
            stop_requested=row.stop_requested,
        )
        for row in execute(_commands[chosen], values)
    ]
