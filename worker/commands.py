"""The task ``commands.run``: carries out operators' commands, a bounded step at a time.

The command is a row of the audit, its run begins with it, and a lease on the run keeps two tasks apart. The message is
only a wake-up, and beat sends one too. Of a replay the webhooks are taken by ``webhooks.process``; this task wakes its
workers again while any is left, and closes the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from time import monotonic
from typing import Any, Final
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import text

from checkout_service.commands.models import OPEN, Action, RunState, listed
from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.delivery_states import PENDING
from checkout_service.payments.status import PaymentStatus
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName
from checkout_service.telemetry import tracing
from checkout_service.webhooks.queries import processable_ids
from checkout_service.webhooks.selection import Choice
from worker.context import settings
from worker.payments.cancelling import request_cancellation
from worker.payments.look_ups import look_up_now
from worker.payments.refund_settling import fail_refund, settle_made
from worker.payments.settling import NotDoneError, NotYetError, accept_amount, fail_capture, note_seen, take_over
from worker.webhooks.replays import end_stopped, mark_one, state_for_replay

WORK_FOR: Final = 8.0
"""Seconds after which a task lets payments be looked up and expired, and sends a wake-up for the rest."""

ERASE_FOR: Final = 3.0
"""Seconds of steps after which the others who wait have their turn."""

LEASE: Final = timedelta(seconds=60)
"""Longer than a step: a call to a slow provider takes ten seconds."""

LOOK_AGAIN: Final = timedelta(seconds=10)
"""After which a replay that goes on is looked at again, so that a lost message is made up for."""

BATCH: Final = 200
"""Messages that stand before other webhooks' wake-ups at a time: a fraction of a second for one worker."""

REMEMBERED: Final = timedelta(days=7)
"""How old a command may be when it is begun: one that was forgotten for longer nobody expects any more."""

# The one that waited longest: each step ends with a lease that is over, so that long runs take turns.
_lease = text(f"""
    UPDATE command_runs AS run SET leased_until = now() + :lease, updated_at = now()
    FROM audit
    WHERE run.id = ANY(ARRAY(
        SELECT id FROM command_runs
        WHERE state IN ({listed(OPEN)}) AND leased_until <= now()
            AND (state = '{RunState.RUNNING}' OR created_at > now() - CAST(:remembered AS interval))
        ORDER BY leased_until LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    )) AND audit.id = run.id
    RETURNING run.id, run.leased_until AS lease, run.after_id, run.state, now() - audit.created_at AS age,
        audit.action, audit.subject, audit.details, audit.key, run.trace_context,
        EXISTS (SELECT FROM audit AS other
            WHERE other.subject = run.id::text AND other.action = '{Action.STOP}') AS stop_requested
""")  # noqa: S608 (only our own constants)

_stopped = text(f"""
    SELECT run.id FROM command_runs AS run JOIN audit ON audit.subject = run.id::text
    WHERE run.state IN ({listed(OPEN)}) AND audit.action = '{Action.STOP}'
""")  # noqa: S608 (only our own constants)

# Only while the lease is ours, and never back from a state that another task wrote.
_advance = text(f"""
    UPDATE command_runs SET state = coalesce(CAST(:state AS text), state), message = coalesce(:message, message),
        after_id = coalesce(CAST(:after_id AS uuid), after_id), replayed = replayed + :taken,
        all_taken = all_taken OR :all_taken, leased_until = now() + CAST(:pause AS interval), updated_at = now()
    WHERE id = :id AND leased_until = :lease AND state IN ({listed(OPEN)})
""")  # noqa: S608 (only our own constants)

_payment = text("SELECT id, provider, provider_ref, status::text AS status FROM payments WHERE id = :id")

# Complete by itself: whatever ends it, the next call goes on (migrations/events/erasing.sql, and of all else
# migrations/orders/erasing.sql).
_erase_step = text("SELECT kind, touched, erased FROM person_erase_step(:command, make_interval(years => :years))")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedRun:
    """A run under lease. ``age`` is the time since the command was given."""

    id: UUID
    lease: datetime
    after_id: UUID | None
    state: RunState
    age: timedelta
    action: Action
    subject: str
    details: Mapping[str, Any]
    key: UUID
    trace_context: str | None
    stop_requested: bool


@shared_task(name=TaskName.RUN_COMMANDS)
def run_commands() -> str:
    """Take one step after another until no command waits or the time is over, then send a wake-up for the rest."""
    until = monotonic() + WORK_FOR
    steps = 0
    try:
        # At once, whoever has the lease: what was taken already ends by itself.
        for stopped in execute(_stopped):
            end_stopped(stopped.id)
        while rows := execute(_lease, {"lease": LEASE, "remembered": REMEMBERED}):
            row = rows[0]._asdict()
            words = {"state": RunState(row["state"]), "action": Action(row["action"])}
            _step(LeasedRun(**row | words))
            steps += 1
            if monotonic() > until:
                task_queue().enqueue(TaskName.RUN_COMMANDS)
                break
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
    except QueueUnavailableError as error:
        # Beat goes on with it, once its lease is over.
        log.warning("broker_unavailable", error=str(error))
    return f"took {steps} steps"


def _step(run: LeasedRun) -> None:
    try:
        attributes: tracing.Attributes = {tracing.Attribute.ACTION: run.action.value}
        with tracing.of_row("command step", tracing.Kind.INTERNAL, attributes, context=run.trace_context):
            _ACTIONS[run.action](run)
    except DatabaseLockedError:
        log.warning("command_held_by_another", command_id=str(run.id))
    except (DatabaseUnavailableError, QueueUnavailableError):
        raise
    except Exception as error:
        log.exception("command_not_carried_out", command_id=str(run.id))
        _write(run, state=RunState.REFUSED, message=f"it broke: {type(error).__name__}")


def _process(run: LeasedRun) -> None:
    """See to a webhook whose message was lost: mark it, so that the sweep sends another one."""
    if run.state is RunState.RUNNING:
        # Its worker may have died after the result and before it closed the run.
        end_stopped(run.id)
    elif run.age > LOOK_AGAIN and not mark_one(UUID(run.subject), command_id=run.id):
        found = state_for_replay(UUID(run.subject))
        if found is None:
            _write(run, state=RunState.REFUSED, message="there is no such webhook")
            return
        state, replayable = found
        if not replayable:
            _write(run, state=RunState.DONE, message=f"no replay was needed, it is {state}")
            return
    _write(run, pause=LOOK_AGAIN)


def _process_all(run: LeasedRun) -> None:
    """Wake workers for a replay again, or close its run."""
    choice = Choice.from_details(run.details["choice"])
    if choice.state in PENDING:
        _send_pending(run, choice)
        return
    end_stopped(run.id)
    task_queue().enqueue(TaskName.PROCESS_WEBHOOK, str(run.id))
    _write(run, pause=LOOK_AGAIN)


def _send_pending(run: LeasedRun, choice: Choice) -> None:
    """Send a message for each webhook that is due: it is no replay, since workers come to these by themselves."""
    if run.stop_requested:
        _write(run, state=RunState.STOPPED)
        return
    due = processable_ids(choice, below=run.id, after=run.after_id, limit=BATCH)
    for delivery_id in due:
        task_queue().enqueue(TaskName.PROCESS_WEBHOOK, str(delivery_id))
    if len(due) == BATCH:
        _write(run, state=RunState.RUNNING, after_id=due[-1], taken=len(due))
    else:
        _write(run, state=RunState.DONE, taken=len(due), all_taken=True, message="sent to the workers once more")


def _look_up(run: LeasedRun) -> None:
    found = execute(_payment, {"id": UUID(run.subject)})
    if not found:
        _write(run, state=RunState.REFUSED, message="there is no such payment")
        return
    payment = found[0]
    answer = look_up_now(payment.id, provider=payment.provider, status=PaymentStatus(payment.status))
    _write(run, state=RunState.DONE, message=answer)


def _review(run: LeasedRun) -> None:
    reasons, version = run.details["reason"], run.details.get("version")
    _settle(run, lambda payment_id: note_seen(payment_id, reasons=reasons, version=version, command_id=run.id))


def _accept(run: LeasedRun) -> None:
    amount = Decimal(run.details["amount"])
    _settle(run, lambda payment_id: accept_amount(payment_id, amount=amount, command_id=run.id))


def _fail_capture(run: LeasedRun) -> None:
    request_id = UUID(run.details["capture_request"])
    _settle(run, lambda payment_id: fail_capture(payment_id, request_id=request_id))


def _settle_refund(run: LeasedRun) -> None:
    refund_id = UUID(run.details["refund"])
    if run.details["made"]:
        reference = run.details["reference"]
        _settle(run, lambda payment_id: settle_made(payment_id, refund_id=refund_id, reference=reference))
    else:
        _settle(run, lambda payment_id: fail_refund(payment_id, refund_id=refund_id))


def _cancel(run: LeasedRun) -> None:
    requested_by = UUID(run.details["requested_by"])
    _settle(run, lambda payment_id: request_cancellation(payment_id, requested_by=requested_by))


def _take_over(run: LeasedRun) -> None:
    _settle(run, take_over)


def _erase(run: LeasedRun) -> None:
    """Take steps until nothing is left, somebody holds what is left, or others should have their turn."""
    until = monotonic() + ERASE_FOR
    while monotonic() < until:
        ((kind, _, erased),) = execute(_erase_step, {"command": run.id, "years": settings().orders_keep_years})
        if kind == "under_way":
            refusal = "something is under way with this person's payments: wait until they are settled, and try again"
            _write(run, state=RunState.REFUSED, message=refusal)
            return
        if kind == "done":
            message = f"{erased} rows erased" if erased else "nothing was held of this person"
            _write(run, state=RunState.DONE, message=message)
            return
        if kind == "held":
            break
    message = f"{erased} rows erased so far"
    _write(run, state=RunState.RUNNING, message=message, pause=LOOK_AGAIN if kind == "held" else timedelta(0))


def _settle(run: LeasedRun, decide: Callable[[UUID], str]) -> None:
    try:
        _write(run, state=RunState.DONE, message=decide(UUID(run.subject)))
    except NotYetError as error:
        _write(run, message=str(error), pause=LOOK_AGAIN)
    except NotDoneError as error:
        _write(run, state=RunState.REFUSED, message=str(error))


def _write(
    run: LeasedRun,
    *,
    state: RunState | None = None,
    message: str | None = None,
    after_id: UUID | None = None,
    taken: int = 0,
    all_taken: bool = False,
    pause: timedelta = timedelta(0),
) -> None:
    """Write how far the step came, unless its lease was over and somebody else has the run."""
    columns = {"state": state, "message": message, "after_id": after_id, "taken": taken, "all_taken": all_taken}
    execute(_advance, {"id": run.id, "lease": run.lease, "pause": pause, **columns})


_ACTIONS: Final[dict[Action, Callable[[LeasedRun], None]]] = {
    Action.PROCESS: _process,
    Action.PROCESS_ALL: _process_all,
    Action.LOOK_UP: _look_up,
    Action.REVIEW: _review,
    Action.ACCEPT: _accept,
    Action.FAIL_CAPTURE: _fail_capture,
    Action.SETTLE_REFUND: _settle_refund,
    Action.CANCEL: _cancel,
    Action.TAKE_OVER: _take_over,
    Action.ERASE: _erase,
}
