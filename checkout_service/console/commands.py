"""Takes operators' orders: each is a row of the audit before anything is done about it.

The row's key is made when the form is shown, so a form that is sent twice is one order. What the worker carries out it
finds in the audit itself; the message is only a wake-up. The trigger audit_guard lets nobody change or delete a row
(migrations/baseline/commands.sql).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from checkout_service.api.problems import Problem, Unavailable
from checkout_service.database.engine import execute
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName
from checkout_service.webhooks.selection import Choice

LONGEST_NOTE: Final = 2000
PAGE: Final = 50

_keep = text("""
    INSERT INTO audit (key, operator, action, subject, why, details)
    VALUES (:key, :operator, :action, :subject, :why, CAST(:details AS jsonb))
    ON CONFLICT (key) DO NOTHING
    RETURNING id
""")

_kept = text("SELECT id, operator, action, subject, details FROM audit WHERE key = :key")

_ORDERS: Final = """
    SELECT audit.id, audit.created_at, audit.operator, audit.action, audit.subject, audit.why, audit.details,
        run.state, run.message, run.replayed, run.results, run.updated_at AS moved_at,
        EXISTS (SELECT FROM audit AS word WHERE word.subject = audit.id::text AND word.action = 'stop') AS to_be_stopped
    FROM ({chosen}) AS audit LEFT JOIN command_runs AS run ON run.id = audit.id
    ORDER BY audit.id DESC
"""

_CHOSEN: Final = {
    "one": "SELECT * FROM audit WHERE id = :id",
    "about": "SELECT * FROM audit WHERE subject = :subject ORDER BY subject, id DESC LIMIT 20",
    "running": "SELECT audit.* FROM audit JOIN command_runs AS run USING (id) WHERE run.state = 'running' LIMIT 20",
    "newest": "SELECT * FROM audit ORDER BY id DESC LIMIT :limit",
    "older": "SELECT * FROM audit WHERE id < :before ORDER BY id DESC LIMIT :limit",
}

_orders: Final = {name: text(_ORDERS.format(chosen=chosen)) for name, chosen in _CHOSEN.items()}


class OrderNotSent(Unavailable):
    """It is in the audit; what can be found there will be done, and sending it again does no harm."""

    slug = "command-not-sent"
    title = "The broker does not answer"
    default_detail = "Your order is kept in the audit, but no worker was told. Send it again in a moment."


class KeyTaken(Problem):
    """The key of a form belongs to another order; only somebody who makes keys up comes here."""

    status = 409
    slug = "command-key-taken"
    title = "This form was used before"
    default_detail = "Another order was sent with this form. Go back, reload the page, and try again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """Who orders with which form, and why."""

    key: UUID
    operator: str
    why: str = ""


def process(delivery_id: UUID, *, ordered: Ordered) -> str:
    """Have one webhook processed (again), as Flower's Retry does; the id of the task. Raises OrderNotSent."""
    _keep_order(ordered, "process", str(delivery_id))
    return _ring(TaskName.PROCESS_WEBHOOK, str(delivery_id), watched=True)


def process_all(choice: Choice, *, counted: int, ordered: Ordered) -> UUID:
    """Have the worker process all webhooks of the choice that are there now; the run's id."""
    kept = _keep_order(ordered, "process_all", "", {"choice": choice.written(), "counted": counted})
    _ring_gently()
    return kept


def stop(run_id: UUID, *, ordered: Ordered) -> None:
    """Have the worker end a run after the batch that it is at."""
    _keep_order(ordered, "stop", str(run_id))


def look_up(payment_id: UUID, *, ordered: Ordered) -> UUID:
    """Have the worker ask the provider about a payment; the order's id."""
    kept = _keep_order(ordered, "look_up", str(payment_id))
    _ring_gently()
    return kept


def review(payment_id: UUID, *, reason: str, ordered: Ordered) -> UUID:
    """Have the worker take this flag off a payment, which a person has looked at; the order's id."""
    kept = _keep_order(ordered, "review", str(payment_id), {"reason": reason})
    _ring_gently()
    return kept


def order(order_id: UUID) -> Row[Any] | None:
    """One order and how far the worker is with it."""
    rows = execute(_orders["one"], {"id": order_id})
    return rows[0] if rows else None


def orders_about(subject: UUID) -> Sequence[Row[Any]]:
    """What was ordered about a webhook or payment, newest first."""
    return execute(_orders["about"], {"subject": str(subject)})


def running() -> Sequence[Row[Any]]:
    """The orders that the worker is at."""
    return execute(_orders["running"])


def orders_page(*, before: UUID | None) -> tuple[Sequence[Row[Any]], str | None]:
    """A page of the audit, newest first, and where the next one begins."""
    place = {"before": before} if before else {}
    found = execute(_orders["older" if before else "newest"], {"limit": PAGE + 1, **place})
    return found[:PAGE], str(found[PAGE - 1].id) if len(found) > PAGE else None


def _keep_order(ordered: Ordered, action: str, subject: str, details: dict[str, Any] | None = None) -> UUID:
    """Commit the order, or find it where this form was sent before; its id.

    Raises KeyTaken and DatabaseUnavailableError.
    """
    written = {"key": ordered.key, "operator": ordered.operator, "action": action, "subject": subject}
    meant = json.dumps(details or {})
    rows = execute(_keep, {**written, "why": ordered.why[:LONGEST_NOTE], "details": meant})
    if not rows:
        rows = execute(_kept, {"key": ordered.key})
        if (rows[0].operator, rows[0].action, rows[0].subject) != (ordered.operator, action, subject):
            raise KeyTaken
    found: UUID = rows[0].id
    return found


def _ring(task: TaskName, *arguments: str, watched: bool = False) -> str:
    try:
        return task_queue().enqueue(task, *arguments, watched=watched)
    except QueueUnavailableError as error:
        raise OrderNotSent from error


def _ring_gently() -> None:
    """Beat finds the order within seconds where the broker is away."""
    try:
        task_queue().enqueue(TaskName.RUN_COMMANDS)
    except QueueUnavailableError:
        return
