"""/api/admin/webhook-endpoints/{id}/replay and /replays: events are sent once more."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID, uuid5

from flask import Response, request

from checkout_service.api import problems
from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import InsufficientScope, caller, scoped
from checkout_service.api.compressing import compressed
from checkout_service.api.idempotency_key import REPLAYED, documented, read_key
from checkout_service.api.links import leads_to
from checkout_service.api.responses import json_answer
from checkout_service.api.scopes import Scope
from checkout_service.endpoints import examples
from checkout_service.endpoints.problems import EndpointDisabled, TooManyReplays
from checkout_service.endpoints.replays import (
    ReplayRequest,
    plan_replay,
    replays_page,
    request_replay,
)
from checkout_service.endpoints.replays import stop_replay as stop
from checkout_service.endpoints.routes import NOT_KEPT, by_caller, existing, page_answer, wake
from checkout_service.endpoints.schemas import (
    CountedSchema,
    NewReplaySchema,
    ReplayPageSchema,
    ReplaySchema,
    ReplaysQuery,
)

CALLERS: Final = UUID("5e1f0c7a-52a4-5b53-9a3c-7d0f5f3d2b6e")
"""The namespace in which a caller and their Idempotency-Key become the key of a command."""

blueprint = Blueprint(
    "event_replays", __name__, url_prefix="/api/admin/webhook-endpoints", description="Events that are sent once more."
)


@blueprint.post("/<uuid:endpoint_id>/replay")
@blueprint.doc(operationId="replayEvents")
@leads_to("stopEventReplay", status=202, endpoint_id="/endpoint_id", replay_id="/id")
@leads_to("listEventReplays", endpoint_id="{endpoint_id}")
@scoped(Scope.WEBHOOKS_WRITE)
@blueprint.doc(parameters=[documented("replay") | {"required": False}])
@blueprint.arguments(NewReplaySchema, example={"since": "2026-11-25T04:05:06Z", "types": ["payment.paid"]})
@blueprint.response(202, ReplaySchema, example=examples.REPLAY, description="Written down; a sender does it next")
@blueprint.alt_response(
    200, schema=CountedSchema, example=examples.COUNTED, description="With dry_run: the count alone"
)
@blueprint.problems(
    problems.MalformedIdempotencyKey,
    problems.MalformedBody,
    InsufficientScope,
    problems.NotFound,
    EndpointDisabled,
    TooManyReplays,
    problems.Invalid,
    problems.IdempotencyKeyReused,
    problems.DatabaseUnavailable,
)
def post_replay(body: dict[str, Any], endpoint_id: UUID) -> Response:
    """Replay events

    Takes the scope `webhooks:write`. The events are sent once more with the same ids, in a lane of their own: in order
    within it, with no promise against those that are sent at the same time for the first time. All since a moment, up
    to where the endpoint is now, or the one of `event_id`. The same Idempotency-Key, if you send one, is the same
    replay.
    """
    request_ = ReplayRequest(
        endpoint_id=endpoint_id,
        event_id=body.get("event_id"),
        since=body.get("since"),
        types=body.get("types"),
        only_failed=body.get("only_failed", False),
    )
    sent = request.headers.get("Idempotency-Key")
    key = None if sent is None else uuid5(CALLERS, f"{caller().name} {read_key(sent)}")
    if body.get("dry_run"):
        plan = plan_replay(request_)
        return json_answer({"events": plan.events, "more": plan.more}, headers=NOT_KEPT)
    given = request_replay(request_, origin=by_caller(key))
    wake()
    return json_answer(given.replay, status=202, headers=NOT_KEPT | (REPLAYED if given.replayed else {}))


@blueprint.get("/<uuid:endpoint_id>/replays")
@blueprint.doc(operationId="listEventReplays")
@leads_to("stopEventReplay", endpoint_id="{endpoint_id}", replay_id="/data/0/id")
@scoped(Scope.WEBHOOKS_WRITE)
@blueprint.arguments(ReplaysQuery, location="query")
@blueprint.response(200, ReplayPageSchema, example=examples.REPLAYS)
@blueprint.problems(problems.NotFound, problems.Invalid, InsufficientScope)
@compressed
def list_replays(query: dict[str, Any], endpoint_id: UUID) -> Response:
    """List replays

    Takes the scope `webhooks:write`. Newest first, each with how far it is.
    """
    existing(endpoint_id)
    found = replays_page(endpoint_id, limit=query["limit"], before=query["cursor"])
    address = {**query, "endpoint_id": endpoint_id}
    return page_answer("event_replays.list_replays", address, found.replays, found.following)


@blueprint.post("/<uuid:endpoint_id>/replays/<uuid:replay_id>/stop")
@blueprint.doc(operationId="stopEventReplay")
@leads_to("listEventReplays", endpoint_id="{endpoint_id}")
@scoped(Scope.WEBHOOKS_WRITE)
@blueprint.response(202, ReplaySchema, example=examples.REPLAY, description="It stops")
@blueprint.problems(InsufficientScope, problems.NotFound, problems.DatabaseUnavailable)
def stop_replay(endpoint_id: UUID, replay_id: UUID) -> Response:
    """Stop a replay

    Takes the scope `webhooks:write`. No further event of it is begun. One that ended stays as it is.
    """
    replay = stop(endpoint_id, replay_id, origin=by_caller())
    wake()
    return json_answer(replay, status=202, headers=NOT_KEPT)
