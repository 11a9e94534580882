"""The statements by which a replay takes the next webhooks of a command: a set to claim, or failed ones to mark.

Each looks through a window of the webhooks in one state, takes those that are meant, and writes into the command's run
how far it is. One that finds none of many has looked no further than its window.
"""

from __future__ import annotations

from typing import Final

from checkout_service.commands.models import RunState
from checkout_service.database.statements import Statement
from checkout_service.delivery_states import DeliveryState
from worker.webhooks.statements import CLAIMED, PLACE, at_place

_STATES: Final = {
    DeliveryState.FAILED: f"state = '{DeliveryState.FAILED}'",
    DeliveryState.REJECTED: f"state = '{DeliveryState.REJECTED}'",
    DeliveryState.IGNORED: f"state = '{DeliveryState.IGNORED}'",
    DeliveryState.APPLIED: f"state = '{DeliveryState.APPLIED}' AND mismatch",
}
"""States of which many are replayed, with what the planner finds their index by."""

# Looked through in the order of an index and no further, whatever the planner thinks of what is meant; only what is
# chosen is locked.
_PAGE: Final = """
    seen AS MATERIALIZED (
        SELECT id, replay_of IS NULL AND erased_at IS NULL
            AND (CAST(:detail AS text) IS NULL OR coalesce(starts_with(detail, :detail), false))
            AND (CAST(:provider AS text) IS NULL OR provider = :provider)
            AND (CAST(:provider_ref AS text) IS NULL OR coalesce(provider_ref = :provider_ref, false))
            AND (CAST(:came_from AS timestamptz) IS NULL OR received_at >= :came_from)
            AND (CAST(:came_until AS timestamptz) IS NULL OR received_at < :came_until) AS meant
        FROM webhook_deliveries WHERE {condition} AND id < :command AND id > :after
        ORDER BY id LIMIT :window
    ), chosen AS MATERIALIZED (
        SELECT id FROM seen WHERE meant ORDER BY id LIMIT :limit
    ), page AS (
        SELECT {place} FROM webhook_deliveries
        WHERE id = ANY(ARRAY(SELECT id FROM chosen)) AND {condition} AND replay_of IS NULL AND erased_at IS NULL
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    )
"""

_ADVANCE: Final = f"""
    UPDATE command_runs
    SET state = '{RunState.RUNNING}',
        after_id = coalesce(CASE WHEN (SELECT count(*) FROM chosen) >= :limit
            THEN (SELECT id FROM chosen ORDER BY id DESC LIMIT 1)
            ELSE (SELECT id FROM seen ORDER BY id DESC LIMIT 1) END, after_id),
        replayed = replayed + (SELECT count(*) FROM page),
        all_taken = (SELECT count(*) FROM chosen) < :limit AND (SELECT count(*) FROM seen) < :window,
        updated_at = now()
    WHERE id = :command
"""  # noqa: S608 (only our own constants)


def _page_of(state: DeliveryState) -> str:
    return _PAGE.format(condition=_STATES[state], place=PLACE)


_IN_SETS: Final = (DeliveryState.REJECTED, DeliveryState.IGNORED, DeliveryState.APPLIED)
"""Those that had a result."""

# Whoever holds one of these rows at this moment replays it for another command, or removes it. Attempts of earlier
# replays must not use up the one that follows, alone, where this worker dies: so one is left in any case.
CLAIM_SET: Final = {
    state: Statement(
        f"""
        WITH {_page_of(state)}, advanced AS ({_ADVANCE})
        UPDATE webhook_deliveries AS webhook
        SET state = '{DeliveryState.RECEIVED}', attempts = least(webhook.attempts + 1, :most_attempts),
            next_attempt_at = now() + :lease, replay_of = :command, updated_at = now()
        FROM page WHERE {at_place("page")}
        RETURNING {CLAIMED}
        """,  # noqa: S608 (only our own constants)
        binary=True,
    )
    for state in _IN_SETS
}
"""By state the statement that claims the next set."""

MARK_FAILED: Final = Statement(f"""
    WITH {_page_of(DeliveryState.FAILED)}, advanced AS ({_ADVANCE})
    UPDATE webhook_deliveries AS webhook SET replay_of = :command, updated_at = now()
    FROM page WHERE {at_place("page")}
    RETURNING webhook.id
""")  # noqa: S608 (only our own constants)
