"""/api/admin/events: the log, for programs that read it by its numbers and miss nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, cast
from uuid import UUID

from flask import Flask, Response

from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import InsufficientScope, caller, scoped
from checkout_service.api.compressing import compressed
from checkout_service.api.links import leads_to
from checkout_service.api.problems import Invalid, NotFound
from checkout_service.api.responses import json_answer
from checkout_service.api.scopes import Scope
from checkout_service.events.posted import show_event
from checkout_service.events.problems import EventsAhead, EventsDropped
from checkout_service.events.queries import (
    DroppedEventsError,
    UnknownPlaceError,
    event_of,
    events_page,
    passed_by,
)
from checkout_service.events.schemas import (
    EVENT_EXAMPLE,
    PAGE_EXAMPLE,
    EventPageSchema,
    EventSchema,
    EventsQuery,
    NamedObject,
)
from checkout_service.server.long_polls import LOOKS_KEY, Seen, answer_at_change, seen_before

LOOK: Final = "events"
"""The name by which requests wait for events; types of events are their subject, and the version is a number."""

WAITING_OF_CALLER: Final = 8
WAITING_OF_ALL: Final = 200
"""Of the long polls of a process: each of them looks on whenever there are events of its types."""

blueprint = Blueprint(
    "events", __name__, url_prefix="/api/admin/events", description="What happened, as a log to read."
)


def connect_events(app: Flask) -> None:
    """Let the server look whether there are events that requests wait for."""

    def look(seen: Collection[Seen]) -> Collection[Seen]:
        with app.app_context():
            return passed_by(cast("Collection[tuple[frozenset[str] | None, int]]", seen))

    app.extensions.setdefault(LOOKS_KEY, {})[LOOK] = look


@blueprint.get("")
@blueprint.doc(operationId="listEvents")
@leads_to("getEvent", event_id="/data/0/id")
@scoped(Scope.EVENTS_READ)
@blueprint.arguments(EventsQuery, location="query")
@blueprint.response(200, EventPageSchema, example=PAGE_EXAMPLE)
@blueprint.problems(Invalid, InsufficientScope, EventsDropped, EventsAhead)
@compressed
def list_events(query: dict[str, Any]) -> Response:
    """Read the log of events

    Takes the scope `events:read`. Events after a number, oldest first; remember `last_seq` when you are done with a
    page, and pass it as `after`. An event gets its number once it is committed, so nothing ever appears behind a number
    that you passed. A page ends after `limit` events, after 1 MiB of objects, or after 10,000 numbers that were looked
    through: then it may be empty, and `last_seq` has moved. With `object` the whole log is looked at.

    With `wait` the answer comes as soon as there is such an event, or empty at the end. Kept are 30 days of events,
    unless the deployment says otherwise: a number from before is 410, one that is not given yet 409.
    """
    place = seen_before()
    named: NamedObject = query["object"] or NamedObject()
    try:
        page = events_page(
            query["after"] if place is None else place,
            types=query["types"],
            object_type=named.type,
            object_id=named.id,
            limit=query["limit"],
        )
    except DroppedEventsError as error:
        raise EventsDropped(oldest_seq=error.oldest_seq) from error
    except UnknownPlaceError as error:
        raise EventsAhead(newest_seq=error.newest_seq) from error
    shown = {"data": [show_event(event) for event in page.events], "last_seq": page.last_seq}
    answer = json_answer(shown, headers={"Cache-Control": "no-store"})
    if not query["wait"] or page.events or page.last_seq < page.newest_seq:
        return answer
    return answer_at_change(
        answer,
        look=LOOK,
        subject=None if query["types"] is None else frozenset(query["types"]),
        version=page.last_seq,
        seconds=query["wait"],
        shares={str(caller().user_id): WAITING_OF_CALLER, "events": WAITING_OF_ALL},
    )


@blueprint.get("/<uuid:event_id>")
@blueprint.doc(operationId="getEvent")
@scoped(Scope.EVENTS_READ)
@blueprint.response(200, EventSchema, example=EVENT_EXAMPLE)
@blueprint.problems(NotFound, InsufficientScope)
@compressed
def read_event(event_id: UUID) -> Response:
    """Read an event

    Takes the scope `events:read`. For whoever was posted its id alone; an event without a number yet is 404.
    """
    event = event_of(event_id)
    if event is None:
        raise NotFound("There is no such event, or it is no longer kept.")
    return json_answer(show_event(event), headers={"Cache-Control": "no-store"})
