"""Replays: staff have events sent to an endpoint once more, all since a moment or one, and stop that.

A replay is a row: the trigger event_replays_admit says from which number to which it goes and how many events that are
(migrations/endpoints/rules.sql), and the sender carries it out in a lane of its own. The events keep their ids.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.api.problems import IdempotencyKeyReused, Invalid, NotFound
from checkout_service.api.responses import show_time
from checkout_service.commands.models import Action
from checkout_service.commands.operations import Origin
from checkout_service.database.engine import Conflict, constraint_of, execute
from checkout_service.database.statements import Statement
from checkout_service.endpoints.operations import KEY_TAKEN, audit_values, audited, check_same, find_command
from checkout_service.endpoints.problems import EndpointDisabled, TooManyReplays

LONGEST_NAME: Final = 200

_COLUMNS: Final = """
    id, endpoint_id, event_id, since, types, only_failed, requested_by, state, stop_requested_at, from_seq, place,
    until_seq, sent, failed, events, more, created_at, updated_at
"""

_insert = Statement(f"""
    WITH made AS (
        INSERT INTO event_replays (endpoint_id, event_id, since, types, only_failed, requested_by)
        VALUES (CAST(:endpoint_id AS uuid), CAST(:event_id AS uuid), CAST(:since AS timestamptz),
            CAST(:types AS text[]), CAST(:only_failed AS boolean), CAST(:requested_by AS text))
        RETURNING *
    ), command AS ({
    audited(
        Action.REPLAY_EVENTS,
        subject="endpoint_id::text",
        source="made",
        details="CAST(:details AS jsonb) || jsonb_build_object('replay', id)",
    )
})
    SELECT {_COLUMNS} FROM made
""")  # noqa: S608 (only our own constants)

# What a replay would be, without the row.
_plan = Statement("""
    SELECT events, more FROM event_replay_plan(jsonb_populate_record(NULL::event_replays, CAST(:replay AS jsonb)))
""")

# The endpoint first, as its sender locks them.
_stop = Statement(f"""
    WITH endpoint AS MATERIALIZED (
        SELECT id FROM webhook_endpoints WHERE id = CAST(:endpoint_id AS uuid) FOR NO KEY UPDATE
    ), stopped AS (
        UPDATE event_replays AS replay SET stop_requested_at = now(), updated_at = now()
        FROM endpoint
        WHERE replay.id = CAST(:id AS uuid) AND replay.endpoint_id = endpoint.id AND stop_requested_at IS NULL
            AND state IN ('waiting', 'running')
        RETURNING replay.id, replay.endpoint_id
    ), command AS ({
    audited(
        Action.STOP_REPLAY,
        subject="endpoint_id::text",
        source="stopped",
        details="jsonb_build_object('replay', id)",
    )
})
    SELECT id FROM stopped
""")  # noqa: S608 (only our own constants)

_one = Statement(f"""
    SELECT {_COLUMNS} FROM event_replays WHERE id = CAST(:id AS uuid) AND endpoint_id = CAST(:endpoint_id AS uuid)
""")  # noqa: S608 (only our own constants)

_page = Statement(f"""
    SELECT {_COLUMNS} FROM event_replays
    WHERE endpoint_id = CAST(:endpoint_id AS uuid) AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid))
    ORDER BY endpoint_id DESC, id DESC LIMIT CAST(:limit AS integer)
""")  # noqa: S608 (only our own constants)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """What to send once more: one event, or all ``since`` an aware moment, of these types (None: all it takes)."""

    endpoint_id: UUID
    event_id: UUID | None = None
    since: datetime | None = None
    types: Sequence[str] | None = None
    only_failed: bool = False

    def to_json(self) -> dict[str, Any]:
        """The request in plain values, by which two with the same key are compared."""
        return {
            "endpoint_id": str(self.endpoint_id),
            "event_id": None if self.event_id is None else str(self.event_id),
            "since": None if self.since is None else show_time(self.since),
            "types": None if self.types is None else sorted(set(self.types)),
            "only_failed": self.only_failed,
        }


class ReplayAnswer(NamedTuple):
    """The replay as the API shows it, and whether it is an earlier answer again."""

    replay: dict[str, Any]
    replayed: bool


class Plan(NamedTuple):
    """How many events a replay is about; ``more`` where counting ended before it had seen all."""

    events: int
    more: bool


class ReplayPage(NamedTuple):
    """Replays, the newest first, and the id that the next page begins before, if there is one."""

    replays: list[dict[str, Any]]
    following: UUID | None


def plan_replay(request: ReplayRequest) -> Plan:
    """What a replay would be about. Raises NotFound, Invalid for an event that is not kept."""
    try:
        (row,) = execute(_plan, {"replay": json.dumps(request.to_json())})
    except Conflict as error:
        raise _problem(error) from error
    return Plan(row.events, bool(row.more))


def request_replay(request: ReplayRequest, *, origin: Origin) -> ReplayAnswer:
    """Have the events sent once more, or give the answer of the key again.

    Raises NotFound, Invalid for an event that is not kept, EndpointDisabled, TooManyReplays, IdempotencyKeyReused and
    DatabaseUnavailableError.
    """
    given = request.to_json()
    values = given | {"requested_by": origin.operator[:LONGEST_NAME]} | audit_values(origin, given)
    try:
        (row,) = execute(_insert, values)
    except Conflict as error:
        if constraint_of(error) != KEY_TAKEN:
            raise _problem(error) from error
    else:
        return ReplayAnswer(_show(row), replayed=False)
    check_same(origin, Action.REPLAY_EVENTS, str(request.endpoint_id))
    details = find_command(origin.key)["details"]
    replay_id = UUID(details.pop("replay"))
    if details != given:
        raise IdempotencyKeyReused("This Idempotency-Key belongs to another request: use a new key for a new replay.")
    return ReplayAnswer(replay_of(request.endpoint_id, replay_id), replayed=True)


def stop_replay(endpoint_id: UUID, replay_id: UUID, *, origin: Origin) -> dict[str, Any]:
    """Have no further event of a replay sent; the replay as it is then. Raises NotFound."""
    try:
        execute(_stop, {"id": replay_id, "endpoint_id": endpoint_id} | audit_values(origin))
    except Conflict as error:
        if constraint_of(error) != KEY_TAKEN:
            raise
        check_same(origin, Action.STOP_REPLAY, str(endpoint_id))
    return replay_of(endpoint_id, replay_id)


def replay_of(endpoint_id: UUID, replay_id: UUID) -> dict[str, Any]:
    """One replay of an endpoint. Raises NotFound."""
    rows = execute(_one, {"id": replay_id, "endpoint_id": endpoint_id})
    if not rows:
        raise NotFound("There is no such replay of this webhook endpoint.")
    return _show(rows[0])


def replays_page(endpoint_id: UUID, *, limit: int, before: UUID | None = None) -> ReplayPage:
    """A page of an endpoint's replays. Raises DatabaseUnavailableError."""
    rows = execute(_page, {"endpoint_id": endpoint_id, "before": before, "limit": limit + 1})
    return ReplayPage([_show(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None)


def _problem(error: Conflict) -> Exception:
    name = constraint_of(error)
    if name == "event_replays_endpoint_id_fkey":
        return NotFound("There is no such webhook endpoint.")
    if name == "event_replays_event_known":
        detail = "No event of this id is kept, or the endpoint has not come by it yet."
        return Invalid(errors=[{"pointer": "/event_id", "detail": detail}])
    if name == "webhook_endpoints_not_disabled":
        return EndpointDisabled()
    if name == "event_replays_few_open":
        return TooManyReplays()
    return error


def _show(row: Any) -> dict[str, Any]:
    stopping = row.stop_requested_at
    return {
        "id": str(row.id),
        "endpoint_id": str(row.endpoint_id),
        "event_id": None if row.event_id is None else str(row.event_id),
        "since": None if row.since is None else show_time(row.since),
        "types": row.types,
        "only_failed": row.only_failed,
        "requested_by": row.requested_by,
        "state": row.state,
        "stop_requested_at": None if stopping is None else show_time(stopping),
        "events": row.events,
        "more": row.more,
        "sent": row.sent,
        "failed": row.failed,
        "from_seq": row.from_seq,
        "place": row.place,
        "until_seq": row.until_seq,
        "created_at": show_time(row.created_at),
        "updated_at": show_time(row.updated_at),
    }
