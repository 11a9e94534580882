"""Writes operator commands down, then wakes the worker.

A command and its run are one statement. The messages are only wake-ups: beat has the worker look for what it missed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text

from checkout_service.commands.models import LONGEST_OPERATOR, LONGEST_WHY, WITH_RUN, Action, Door
from checkout_service.database.engine import execute
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName
from checkout_service.telemetry import tracing

_insert = text("""
    WITH command AS (
        INSERT INTO audit (key, door, operator, action, subject, why, details)
        VALUES (:key, :door, :operator, :action, :subject, :why, CAST(:details AS jsonb))
        ON CONFLICT (key) DO NOTHING
        RETURNING id
    ), run AS (
        INSERT INTO command_runs (id, trace_context)
        SELECT id, :trace_context FROM command WHERE CAST(:with_run AS boolean)
    )
    SELECT id FROM command
""")

_by_key = text("SELECT id, door, operator, action, subject FROM audit WHERE key = :key")


class KeyTakenError(Exception):
    """The key belongs to another command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who gives a command, through which door, with which key, and why. What is too long is cut."""

    key: UUID
    door: Door
    operator: str
    why: str = ""


def process(delivery_id: UUID, *, origin: Origin) -> UUID:
    """Have one webhook processed again by a task of its own; the id of that task.

    Raises KeyTakenError, DatabaseUnavailableError, and QueueUnavailableError: then the command is written down, and a
    worker finds it within seconds.
    """
    _write(origin, Action.PROCESS, str(delivery_id))
    task_queue().enqueue(TaskName.PROCESS_WEBHOOK, str(delivery_id), watched=True, task_id=str(origin.key))
    return origin.key


def process_all(selection: Mapping[str, str], *, counted: int, origin: Origin) -> UUID:
    """Have all webhooks processed again that match now; the command's id.

    ``selection`` is what ``webhooks.selection.Choice.to_details`` gives, ``counted`` how many matched. Raises
    KeyTakenError and DatabaseUnavailableError.
    """
    command_id = _write(origin, Action.PROCESS_ALL, "", {"choice": dict(selection), "counted": counted})
    _wake(TaskName.PROCESS_WEBHOOK, str(command_id))
    # Operators see this one in Flower: its id is the command's key.
    _wake(TaskName.RUN_COMMANDS, task_id=str(origin.key))
    return command_id


def stop(command_id: UUID, *, origin: Origin) -> None:
    """End a replay: of its webhooks no further one is taken. Raises KeyTakenError and DatabaseUnavailableError."""
    _write(origin, Action.STOP, str(command_id))
    _wake(TaskName.RUN_COMMANDS)


def look_up(payment_id: UUID, *, origin: Origin) -> UUID:
    """Have the worker ask the provider about a payment; the command's id.

    Raises KeyTakenError and DatabaseUnavailableError.
    """
    command_id = _write(origin, Action.LOOK_UP, str(payment_id))
    _wake(TaskName.RUN_COMMANDS)
    return command_id


def review(payment_id: UUID, *, reason: str, version: int | None = None, origin: Origin) -> UUID:
    """Have the worker note that a person saw these reasons, with the amounts of now; the command's id.

    An echo raises nothing after that, new money does. ``version`` is that of the payment that the person saw: the
    worker refuses where it moved since. Raises KeyTakenError and DatabaseUnavailableError.
    """
    seen = {"reason": reason} if version is None else {"reason": reason, "version": version}
    command_id = _write(origin, Action.REVIEW, str(payment_id), seen)
    _wake(TaskName.RUN_COMMANDS)
    return command_id


def accept(payment_id: UUID, *, amount: Decimal, origin: Origin) -> UUID:
    """Have the worker accept ``amount``, of the payment's currency, in place of the payment's; the command's id.

    The payment's own amount stays what it is. Raises KeyTakenError and DatabaseUnavailableError.
    """
    command_id = _write(origin, Action.ACCEPT, str(payment_id), {"amount": str(amount)})
    _wake(TaskName.RUN_COMMANDS)
    return command_id


def fail_capture(payment_id: UUID, *, request_id: UUID, origin: Origin) -> UUID:
    """Have the worker end a capture of this payment that is in doubt as failed; the command's id.

    Raises KeyTakenError and DatabaseUnavailableError.
    """
    command_id = _write(origin, Action.FAIL_CAPTURE, str(payment_id), {"capture_request": str(request_id)})
    _wake(TaskName.RUN_COMMANDS)
    return command_id


def settle_refund(payment_id: UUID, *, refund_id: UUID, reference: str | None, origin: Origin) -> UUID:
    """Have the worker end a refund of this payment that is in doubt; the command's id.

    It was made where there is a ``reference``, what the provider calls it; without one it was not, and has failed.
    Raises KeyTakenError and DatabaseUnavailableError.
    """
    details: dict[str, Any] = {"refund": str(refund_id), "made": reference is not None}
    if reference is not None:
        details["reference"] = reference
    command_id = _write(origin, Action.SETTLE_REFUND, str(payment_id), details)
    _wake(TaskName.RUN_COMMANDS)
    return command_id


def cancel(payment_id: UUID, *, requested_by: UUID, origin: Origin) -> UUID:
    """Have the worker ask the provider to cancel a payment, once more where that was given up; the command's id.

    ``requested_by`` is the id of the operator's requests. Raises KeyTakenError and DatabaseUnavailableError.
    """
    command_id = _write(origin, Action.CANCEL, str(payment_id), {"requested_by": str(requested_by)})
    _wake(TaskName.RUN_COMMANDS)
    return command_id


def take_over(payment_id: UUID, *, origin: Origin) -> UUID:
    """Have the worker give this payment the order of another one for the same filling of the cart; the command's id.

    Raises KeyTakenError and DatabaseUnavailableError.
    """
    command_id = _write(origin, Action.TAKE_OVER, str(payment_id))
    _wake(TaskName.RUN_COMMANDS)
    return command_id


def erase(user_id: UUID, *, origin: Origin) -> UUID:
    """Have the worker erase what names this person; the command's id.

    Raises KeyTakenError and DatabaseUnavailableError.
    """
    command_id = _write(origin, Action.ERASE, str(user_id))
    _wake(TaskName.RUN_COMMANDS)
    return command_id


def note_sign_in(operator_id: UUID, *, role: str, origin: Origin) -> None:
    """Write down that somebody signed in at the console, under the id of their requests.

    Raises KeyTakenError and DatabaseUnavailableError.
    """
    _write(origin, Action.SIGN_IN, str(operator_id), {"role": role})


def wake_for_replay(command_id: UUID) -> None:
    """Have workers take the webhooks of a replay, once more. Never fails: beat finds it too."""
    _wake(TaskName.PROCESS_WEBHOOK, str(command_id))
    _wake(TaskName.RUN_COMMANDS)


def _write(origin: Origin, action: Action, subject: str, details: Mapping[str, Any] | None = None) -> UUID:
    """Commit the command, or find it where this key came before; its id."""
    operator = origin.operator[:LONGEST_OPERATOR]
    columns = {
        "key": origin.key,
        "door": origin.door,
        "operator": operator,
        "action": action,
        "subject": subject,
        "why": origin.why[:LONGEST_WHY],
        "details": json.dumps(details or {}),
        "with_run": action in WITH_RUN,
        "trace_context": tracing.context(),
    }
    rows = execute(_insert, columns)
    if not rows:
        rows = execute(_by_key, {"key": origin.key})
        found = rows[0]
        if (found.door, found.operator, found.action, found.subject) != (origin.door, operator, action, subject):
            raise KeyTakenError
    command_id: UUID = rows[0].id
    return command_id


def _wake(task: TaskName, *arguments: str, task_id: str | None = None) -> None:
    try:
        task_queue().enqueue(task, *arguments, watched=task_id is not None, task_id=task_id)
    except QueueUnavailableError:
        return
