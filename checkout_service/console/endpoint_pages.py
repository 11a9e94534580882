"""GET /ops/endpoints: where the shop wants its events, one of these with its attempts, and what can be done about it.

By the same operations as the API. A form's key is the command's: sent twice it is one command.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from checkout_service.api.problems import MalformedBody, NotFound
from checkout_service.console.access import for_operators
from checkout_service.console.filters import read_choice, read_id, read_moment, read_place
from checkout_service.console.page import ConsoleBlueprint, address, listing, origin, page
from checkout_service.endpoints import operations
from checkout_service.endpoints.deliveries import DeliveryPage, DeliveryStatus, deliveries_page
from checkout_service.endpoints.queries import endpoint_of, endpoints_page
from checkout_service.endpoints.replays import ReplayRequest, plan_replay, replays_page, request_replay, stop_replay
from checkout_service.endpoints.states import EndpointState
from checkout_service.events.types import EVENT_TYPES
from checkout_service.publishing.background_publisher import background_publisher
from checkout_service.spellings import parse_id
from checkout_service.tasks import TaskName

blueprint = ConsoleBlueprint("console_endpoints", __name__)

PAGE: Final = 50
DELIVERIES: Final = 25
REPLAYS: Final = 5
"""The newest replays are shown; the API lists all."""

_STATES: Final = [status.value for status in DeliveryStatus]


@blueprint.get("/endpoints")
@for_operators
def show_endpoints() -> str:
    """Webhook endpoints, newest first."""
    before = read_id(request.args.get("before"))
    found = endpoints_page(limit=PAGE, before=before)
    list_address = "console_endpoints.show_endpoints"
    return page(
        "endpoints.html",
        endpoints=found.endpoints,
        older=address(list_address, {}, before=str(found.following)) if found.following else None,
        first=address(list_address, {}) if before else None,
    )


@blueprint.get("/endpoints/<uuid:endpoint_id>")
@for_operators
def show_endpoint(endpoint_id: UUID) -> tuple[str, int]:
    """One endpoint with what was, or is to be, sent there."""
    endpoint = _existing(endpoint_id)
    filters = read_choice(request.args, "state", _STATES)
    chosen = DeliveryStatus(filters.chosen) if filters.chosen else None
    before = read_id(read_place(request.args, parse_id, filters.faults).before)
    enabled = endpoint["state"] == EndpointState.ENABLED
    found = (
        DeliveryPage(deliveries=[], following=None)
        if filters.faults
        else deliveries_page(endpoint_id, enabled=enabled, limit=DELIVERIES, before=before, status=chosen)
    )
    here, narrowed = "console_endpoints.show_endpoint", chosen.value if chosen else None
    return listing(
        "endpoint.html",
        faults=filters.faults,
        filters=filters,
        endpoint=endpoint,
        deliveries=found.deliveries,
        replays=replays_page(endpoint_id, limit=REPLAYS).replays,
        states=_STATES,
        state=chosen.value if chosen else "",
        older=url_for(here, endpoint_id=endpoint_id, state=narrowed, before=found.following)
        if found.following
        else None,
        first=url_for(here, endpoint_id=endpoint_id, state=narrowed) if before else None,
    )


@blueprint.post("/endpoints/<uuid:endpoint_id>/test")
@for_operators
def send_test(endpoint_id: UUID) -> AnyResponse:
    """Have a test event sent there."""
    operations.send_test(endpoint_id, origin=origin())
    return _back(endpoint_id)


@blueprint.post("/endpoints/<uuid:endpoint_id>/enable")
@for_operators
def enable_endpoint(endpoint_id: UUID) -> AnyResponse:
    """Have events sent there again, all that waits at once."""
    operations.enable_endpoint(endpoint_id, origin=origin())
    return _back(endpoint_id)


@blueprint.get("/endpoints/<uuid:endpoint_id>/disable")
@for_operators
def confirm_disabling(endpoint_id: UUID) -> str:
    """What it means to send nothing there."""
    endpoint = _existing(endpoint_id)
    return page("endpoint_disable.html", endpoint=endpoint, allowed=endpoint["state"] != EndpointState.DISABLED)


@blueprint.post("/endpoints/<uuid:endpoint_id>/disable")
@for_operators
def disable_endpoint(endpoint_id: UUID) -> AnyResponse:
    """Have nothing sent there until somebody enables it. Needs a note."""
    operations.disable_endpoint(endpoint_id, origin=origin(note_needed=True))
    return _back(endpoint_id)


@blueprint.get("/endpoints/<uuid:endpoint_id>/replay")
@for_operators
def confirm_replay(endpoint_id: UUID) -> str:
    """Which events to send once more and, once that is chosen, how many these are."""
    endpoint = _existing(endpoint_id)
    typed = {name: request.args.get(name, "").strip() for name in ("since", "type")}
    fault, chosen = None, None
    if typed["since"]:
        try:
            chosen = _request(endpoint_id, typed["since"], typed["type"], only_failed="failed" in request.args)
        except MalformedBody as error:
            fault = error.detail
    return page(
        "endpoint_replay.html",
        endpoint=endpoint,
        typed=typed,
        only_failed="failed" in request.args,
        types=endpoint["types"] or EVENT_TYPES,
        fault=fault,
        chosen=chosen,
        plan=plan_replay(chosen) if chosen else None,
        allowed=endpoint["state"] != EndpointState.DISABLED,
    )


@blueprint.post("/endpoints/<uuid:endpoint_id>/replay")
@for_operators
def replay_events(endpoint_id: UUID) -> AnyResponse:
    """Have the events sent once more. Needs a note."""
    given = origin(note_needed=True)
    chosen = _request(
        endpoint_id,
        request.form.get("since", "").strip(),
        request.form.get("type", "").strip(),
        only_failed="failed" in request.form,
    )
    request_replay(chosen, origin=given)
    return _back(endpoint_id)


@blueprint.post("/endpoints/<uuid:endpoint_id>/replays/<uuid:replay_id>/stop")
@for_operators
def stop(endpoint_id: UUID, replay_id: UUID) -> AnyResponse:
    """Have no further event of a replay sent."""
    stop_replay(endpoint_id, replay_id, origin=origin())
    return _back(endpoint_id)


def _existing(endpoint_id: UUID) -> dict[str, Any]:
    found = endpoint_of(endpoint_id)
    if found is None:
        raise NotFound(f"There is no webhook endpoint {endpoint_id}.")
    return found


def _request(endpoint_id: UUID, since: str, type_: str, *, only_failed: bool) -> ReplayRequest:
    """What a form asks for. Raises MalformedBody."""
    if type_ and type_ not in EVENT_TYPES:
        raise MalformedBody("There is no such type of event. Go back and choose one.")
    return ReplayRequest(
        endpoint_id=endpoint_id, since=_moment(since), types=[type_] if type_ else None, only_failed=only_failed
    )


def _moment(text: str) -> datetime:
    try:
        return read_moment(text[:100])
    except (ValueError, OverflowError):
        raise MalformedBody("Write 90s, 30m, 2h or 7d ago, or a time in UTC such as 2026-11-25 14:30.") from None


def _back(endpoint_id: UUID) -> AnyResponse:
    background_publisher().send(TaskName.SEND_EVENTS)
    return redirect(url_for("console_endpoints.show_endpoint", endpoint_id=endpoint_id), 303)
