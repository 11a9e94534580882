"""Replays: webhooks in a final state that a command has processed again, one or many.

A webhook under replay carries the command's id until its result is written. One that was rejected or ignored, or
applied with a mismatch, had a result: of those a command takes whole sets. One that failed had none, so it may be
poison: a command marks it, and a task of its own processes it. See docs/decisions/0011-a-replay-is-a-row.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import Connection, text

from checkout_service.commands.models import OPEN, Action, Door, RunState, listed
from checkout_service.database.engine import execute, transaction
from checkout_service.database.errors import DatabaseLockedError
from checkout_service.database.statements import Statement
from checkout_service.delivery_states import DeliveryState
from checkout_service.webhooks.selection import Choice
from worker.context import settings
from worker.webhooks.claims import LEASE, ClaimedWebhook, Result, claimed_webhook
from worker.webhooks.replay_sets import CLAIM_SET, MARK_FAILED
from worker.webhooks.statements import CLAIMED, PLACE, SET, at_place

REPLAY_SET: Final = SET
"""Webhooks a replay takes at most at once. New ones wait for as long as that takes: a fraction of a second."""

WINDOW: Final = 2_500
"""Webhooks of its state that a replay looks through at most for a set: few of millions may be meant."""

MARKED: Final = 200
"""Failed webhooks that may be marked at a time. Each is a message, which stands before other wake-ups. Where sets of a
command have left as many to tasks of their own, no further set is taken for now."""

FLOWER: Final = "flower"
"""Names the operator where Flower does not."""

log = structlog.get_logger(__name__)

_REPLAYABLE: Final = f"""(
    erased_at IS NULL AND (
        state IN ('{DeliveryState.FAILED}', '{DeliveryState.REJECTED}', '{DeliveryState.IGNORED}')
        OR state = '{DeliveryState.APPLIED}' AND mismatch)
)"""

_STOPPED: Final = f"""
    EXISTS (SELECT FROM audit WHERE subject = run.id::text AND action = '{Action.STOP}')
"""

# The command is found by the key, which the task has as its id; what nobody wrote down came through Flower. A key that
# is known and whose run has begun is the same message once more.
_CLAIM_ONE: Final = Statement(
    f"""
    WITH own AS (
        SELECT {PLACE} FROM webhook_deliveries
        WHERE id = :id AND replay_of IS NULL AND {_REPLAYABLE}
        FOR NO KEY UPDATE SKIP LOCKED
    ), known AS (
        SELECT id FROM audit WHERE key = :key
    ), entered AS (
        INSERT INTO audit (key, door, operator, action, subject, why)
        SELECT :key, '{Door.FLOWER}', :operator, '{Action.PROCESS}', CAST(:id AS text), ''
        FROM own
        ON CONFLICT (key) DO NOTHING
        RETURNING id
    ), begun AS (
        INSERT INTO command_runs (id, state, replayed, all_taken)
        SELECT id, '{RunState.RUNNING}', 1, true FROM entered
        RETURNING id
    ), taken AS (
        UPDATE command_runs SET state = '{RunState.RUNNING}', replayed = 1, all_taken = true, updated_at = now()
        WHERE id = (SELECT id FROM known) AND state = '{RunState.WAITING}' AND EXISTS (SELECT FROM own)
            AND EXISTS (
                SELECT FROM audit WHERE key = :key AND action = '{Action.PROCESS}' AND subject = CAST(:id AS text))
        RETURNING id
    )
    UPDATE webhook_deliveries AS webhook
    SET state = '{DeliveryState.RECEIVED}', attempts = webhook.attempts + 1, next_attempt_at = now() + :lease,
        replay_of = command.id, updated_at = now()
    FROM own, (SELECT id FROM begun UNION ALL SELECT id FROM taken) AS command
    WHERE {at_place("own")}
    RETURNING {CLAIMED}
    """,  # noqa: S608 (only our own constants)
    binary=True,
)

_lock_waiting = text(f"""
    SELECT id FROM command_runs WHERE id = :command AND state = '{RunState.WAITING}' FOR NO KEY UPDATE
""")  # noqa: S608 (only our own constants)

# Who holds the webhook may be about to lock the run, so this does not wait for it.
_mark_one = text(f"""
    UPDATE webhook_deliveries SET replay_of = :command, updated_at = now()
    WHERE id = ANY(ARRAY(
        SELECT id FROM webhook_deliveries
        WHERE id = :id AND replay_of IS NULL AND {_REPLAYABLE} FOR NO KEY UPDATE SKIP LOCKED
    ))
    RETURNING id
""")  # noqa: S608 (only our own constants)

_state_for_replay = text(f"""
    SELECT state, replay_of IS NOT NULL OR {_REPLAYABLE} AS replayable FROM webhook_deliveries WHERE id = :id
""")  # noqa: S608 (only our own constants)

_advance_one = text(f"""
    UPDATE command_runs SET state = '{RunState.RUNNING}', replayed = 1, all_taken = true, updated_at = now()
    WHERE id = :command
""")  # noqa: S608 (only our own constants)

_close_unneeded = text(f"""
    UPDATE command_runs SET state = '{RunState.DONE}', message = 'no replay was needed, it was due by itself',
        updated_at = now()
    WHERE state = '{RunState.WAITING}' AND id = (
        SELECT id FROM audit WHERE key = :key AND action = '{Action.PROCESS}' AND subject = CAST(:id AS text)
    )
""")  # noqa: S608 (only our own constants)

# Held to the end of the transaction, so that two workers do not take the same set. As with any first claim, nobody
# waits until it is on disk: what PostgreSQL forgets in a crash are this claim, the cursor beside it and all results.
_LOCK_RUN: Final = Statement(f"""
    SELECT run.id, run.after_id, run.replayed, audit.details, {_STOPPED} AS stopped,
        set_config('synchronous_commit', 'off', true) AS synchronous_commit
    FROM command_runs AS run JOIN audit ON audit.id = run.id
    WHERE run.id = :command AND audit.action = '{Action.PROCESS_ALL}' AND run.state IN ({listed(OPEN)})
        AND NOT run.all_taken
    FOR NO KEY UPDATE OF run
""")  # noqa: S608 (only our own constants)

_IS_OPEN: Final = Statement(f"""
    SELECT run.id FROM command_runs AS run JOIN audit ON audit.id = run.id
    WHERE run.id = :command AND audit.action = '{Action.PROCESS_ALL}' AND run.state IN ({listed(OPEN)})
""")  # noqa: S608 (only our own constants)

# Those under lease are in a set, or alone with a task.
_count_alone = text("""
    SELECT count(*) AS alone FROM (
        SELECT FROM webhook_deliveries WHERE replay_of = :command AND next_attempt_at <= now() LIMIT :most
    ) AS due
""")

_glance = text("""
    SELECT all_taken, (SELECT count(*) FROM webhook_deliveries WHERE replay_of = run.id) AS marked
    FROM command_runs AS run WHERE id = :command
""")

_all_taken = text("SELECT all_taken FROM command_runs WHERE id = :command")

_count_marked = text("SELECT count(*) AS marked FROM webhook_deliveries WHERE replay_of = :command")

# In this order, so that two sets with webhooks of the same two commands do not wait for each other.
_count = Statement("""
    INSERT INTO command_results (command_id, state, count)
    SELECT * FROM unnest(CAST(:commands AS uuid[]), CAST(:states AS text[]), CAST(:counts AS integer[]))
    ORDER BY 1, 2
    ON CONFLICT (command_id, state) DO UPDATE SET count = command_results.count + excluded.count, updated_at = now()
""")

_unmark = text(f"""
    UPDATE webhook_deliveries SET replay_of = NULL, updated_at = now()
    WHERE id = ANY(ARRAY(
        SELECT id FROM webhook_deliveries
        WHERE replay_of = :command AND state = '{DeliveryState.FAILED}'
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ))
""")  # noqa: S608 (only our own constants)

# Before the next one, whose look at the webhooks is then as new as the run: whoever takes webhooks holds this lock.
_lock_runs = text("SELECT id FROM command_runs WHERE id = ANY(:commands) ORDER BY id FOR NO KEY UPDATE")

_finish = text(f"""
    UPDATE command_runs AS run
    SET state = CASE WHEN run.all_taken THEN '{RunState.DONE}' ELSE '{RunState.STOPPED}' END, updated_at = now()
    WHERE run.id = ANY(:commands) AND run.state IN ({listed(OPEN)}) AND (run.all_taken OR {_STOPPED})
        AND NOT EXISTS (SELECT FROM webhook_deliveries AS webhook WHERE webhook.replay_of = run.id)
    RETURNING run.id
""")  # noqa: S608 (only our own constants)

_is_stopped = text(f"SELECT {_STOPPED} AS stopped FROM command_runs AS run WHERE run.id = :command")  # noqa: S608


def claim_one(delivery_id: UUID, *, key: UUID, operator: str) -> ClaimedWebhook | None:
    """Lease one webhook in a final state for the command with this key; None where there is nothing to do.

    Where no command has the key, the same statement writes one down, with the door ``flower``. A command takes its
    webhook once: the same message again gets None. Raises DatabaseUnavailableError.
    """
    rows = execute(_CLAIM_ONE, {"id": delivery_id, "key": key, "operator": operator, "lease": LEASE})
    return claimed_webhook(rows[0]) if rows else None


def close_unneeded(delivery_id: UUID, *, key: UUID) -> None:
    """Close the run of the command with this key, whose webhook is pending and was claimed like any other.

    Left open, it would be replayed as well, should it fail now. Raises DatabaseUnavailableError.
    """
    execute(_close_unneeded, {"id": delivery_id, "key": key})


def mark_one(delivery_id: UUID, *, command_id: UUID) -> bool:
    """Mark a webhook for a command whose message did not come through; False where it cannot be replayed now.

    The sweep then sends a task for it. Raises DatabaseUnavailableError and DatabaseLockedError.
    """
    with transaction() as connection:
        values = {"id": delivery_id, "command": command_id}
        if not connection.execute(_lock_waiting, values).all() or not connection.execute(_mark_one, values).all():
            return False
        connection.execute(_advance_one, values)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a step of a replay took: a set under lease, or webhooks that it marked, each for a task of its own.

    ``more`` is whether it found none of those that are meant, and has not looked through all.
    """

    claimed: Sequence[ClaimedWebhook] = ()
    marked: Sequence[UUID] = ()
    more: bool = False

    def __bool__(self) -> bool:
        return bool(self.claimed or self.marked or self.more)


def take(command_id: UUID) -> Taken:
    """Take the next webhooks of a command, oldest first; nothing where no replay of many has this id, or none is left.

    One transaction: the webhooks, and in the command's run how far it is. Raises DatabaseUnavailableError, and
    ValueError or TypeError where the command's selection cannot be read.
    """
    try:
        return _take(command_id)
    except DatabaseLockedError:
        log.warning("command_held_by_another", command_ids=[str(command_id)])
        return Taken()


def top_up(command_id: UUID) -> Sequence[UUID]:
    """Mark further failed webhooks of a command where few of them are left; those that are marked now."""
    glance = execute(_glance, {"command": command_id})
    if not glance or glance[0].all_taken or glance[0].marked > MARKED // 2:
        return ()
    return take(command_id).marked


def _take(command_id: UUID) -> Taken:
    with transaction() as connection:
        rows = _LOCK_RUN.within(connection, {"command": command_id})
        if not rows or rows[0].stopped:
            return Taken()
        run = rows[0]
        choice = Choice.from_details(run.details["choice"])
        if choice.state is DeliveryState.FAILED:
            return _mark_failed(connection, run, choice)
        if choice.state in CLAIM_SET:
            return _claim_page(connection, run, choice)
    return Taken()


def state_for_replay(delivery_id: UUID) -> tuple[DeliveryState, bool] | None:
    """The state of a webhook, and whether it can be replayed, now or when another replay of it is over."""
    rows = execute(_state_for_replay, {"id": delivery_id})
    return (DeliveryState(rows[0].state), rows[0].replayable) if rows else None


def replays_many(command_id: UUID) -> bool:
    """Whether this is the id of a command that replays many webhooks and is not over."""
    return bool(execute(_IS_OPEN, {"command": command_id}))


def finish(command_ids: Sequence[UUID]) -> None:
    """Close the runs that are over: none of their webhooks is left to take, and each that was taken has a result.

    One that another worker holds for too long is left to the next task, or to commands.run. Raises
    DatabaseUnavailableError.
    """
    values = {"commands": list(command_ids)}
    try:
        with transaction() as connection:
            connection.execute(_lock_runs, values)
            connection.execute(_finish, values)
    except DatabaseLockedError:
        log.warning("command_held_by_another", command_ids=[str(command_id) for command_id in command_ids])


def end_stopped(command_id: UUID) -> None:
    """Give back what a stopped command marked and nobody took; close its run once the others have a result."""
    ((stopped,),) = execute(_is_stopped, {"command": command_id}) or ((False,),)
    if stopped:
        execute(_unmark, {"command": command_id})
    finish([command_id])


def count_results(connection: Connection, written: Sequence[Result]) -> None:
    """Count the results of replays, in the transaction that wrote them."""
    counts = Counter(
        (result.webhook.replay_of, result.state.value)
        for result in written
        if result.webhook.replay_of is not None and result.state is not DeliveryState.RECEIVED
    )
    if counts:
        commands, states = zip(*counts, strict=True)
        values = {"commands": list(commands), "states": list(states), "counts": list(counts.values())}
        _count.within(connection, values)


def _claim_page(connection: Connection, run: Any, choice: Choice) -> Taken:
    """Claim the next set, unless sets before it left many to tasks of their own: the sweep finds what is due in order.

    Otherwise all of a replay whose webhooks have to be looked up would stand there, and no stop could end it.
    """
    if connection.execute(_count_alone, {"command": run.id, "most": MARKED}).scalar_one() >= MARKED:
        return Taken()
    values = _values(run, choice, REPLAY_SET) | {
        "lease": LEASE,
        "most_attempts": max(settings().webhook_max_attempts, 2) - 1,
    }
    rows = CLAIM_SET[choice.state].within(connection, values)
    claimed = [claimed_webhook(row, in_set=True) for row in sorted(rows, key=lambda row: row.id)]
    return Taken(claimed=claimed, more=not claimed and _has_more(connection, run))


def _mark_failed(connection: Connection, run: Any, choice: Choice) -> Taken:
    """Mark the next failed ones, unless enough are marked: these are on their way to tasks of their own."""
    waiting = connection.execute(_count_marked, {"command": run.id}).scalar_one()
    room = MARKED - waiting
    if room < MARKED // 2:
        return Taken()
    marked = sorted(row.id for row in MARK_FAILED.within(connection, _values(run, choice, room)))
    return Taken(marked=marked, more=not marked and _has_more(connection, run))


def _has_more(connection: Connection, run: Any) -> bool:
    return not connection.execute(_all_taken, {"command": run.id}).scalar_one()


def _values(run: Any, choice: Choice, limit: int) -> dict[str, Any]:
    moments: dict[str, datetime | None] = {"came_from": choice.came_from, "came_until": choice.came_until}
    return {
        "command": run.id,
        "after": run.after_id or UUID(int=0),
        "provider": choice.provider,
        "provider_ref": choice.provider_ref,
        "detail": None if choice.reason is None else choice.reason.detail_prefix,
        "limit": limit,
        "window": WINDOW,
        **moments,
    }
