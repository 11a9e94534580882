"""/api/admin/webhook-endpoints: where the shop wants its events, and what became of them there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from flask import Response, url_for

from checkout_service.api import problems
from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import InsufficientScope, caller, scoped
from checkout_service.api.compressing import compressed
from checkout_service.api.links import leads_to
from checkout_service.api.responses import LOCATED, json_answer
from checkout_service.api.scopes import Scope
from checkout_service.commands.models import Door
from checkout_service.commands.operations import Origin
from checkout_service.endpoints import examples, operations
from checkout_service.endpoints.deliveries import DeliveryStatus, deliveries_page
from checkout_service.endpoints.problems import (
    EndpointDisabled,
    NoSecretsKey,
    TooManyEndpoints,
    TooManySecrets,
    TooManyTestEvents,
)
from checkout_service.endpoints.queries import endpoint_of, endpoints_page
from checkout_service.endpoints.schemas import (
    DeliveriesQuery,
    DeliveryPageSchema,
    EndpointChangesSchema,
    EndpointPageSchema,
    EndpointSchema,
    EndpointsQuery,
    EndpointWithSecretSchema,
    NewEndpointSchema,
    RotatedSecretSchema,
    RotationSchema,
    TestSentSchema,
)
from checkout_service.endpoints.secrets import OLD_FOR
from checkout_service.endpoints.states import EndpointState, Payload, Signing
from checkout_service.events.types import TEST_TYPE
from checkout_service.publishing.background_publisher import background_publisher
from checkout_service.tasks import TaskName
from checkout_service.telemetry import logs

NOT_KEPT: Final = {"Cache-Control": "no-store"}
"""What has a secret, or changes from moment to moment."""

blueprint = Blueprint(
    "webhook_endpoints",
    __name__,
    url_prefix="/api/admin/webhook-endpoints",
    description="Where events are sent, and how that went.",
)


@blueprint.post("")
@blueprint.doc(operationId="createWebhookEndpoint")
@leads_to(
    *("getWebhookEndpoint", "updateWebhookEndpoint", "deleteWebhookEndpoint", "rotateWebhookEndpointSecret"),
    *("sendTestEvent", "listWebhookEndpointDeliveries", "replayEvents", "listEventReplays"),
    endpoint_id="/id",
)
@scoped(Scope.WEBHOOKS_WRITE)
@blueprint.arguments(
    NewEndpointSchema,
    example={"url": "https://shop.example.com/webhooks", "types": ["payment.paid"], "description": "the warehouse"},
)
@blueprint.response(201, EndpointWithSecretSchema, example=examples.WITH_SECRET, description="Made", headers=LOCATED)
@blueprint.problems(
    problems.MalformedBody,
    InsufficientScope,
    NoSecretsKey,
    TooManyEndpoints,
    problems.Invalid,
    problems.DatabaseUnavailable,
)
def post_endpoint(body: dict[str, Any]) -> Response:
    """Make a webhook endpoint

    Takes the scope `webhooks:write`. It gets events from now on; a replay sends those before. The secret is shown this
    once. Without `types`, or with null, it gets all types. The address must be https and lead to a public host.
    """
    made = operations.create_endpoint(
        url=body["url"],
        types=body.get("types"),
        description=body.get("description", ""),
        payload=Payload(body.get("payload", Payload.SNAPSHOT)),
        in_order=body.get("in_order", True),
        signing=Signing(body.get("signing", Signing.V1)),
        api_version=body.get("api_version"),
        origin=by_caller(),
    )
    location = {"Location": f"/api/admin/webhook-endpoints/{made.endpoint['id']}"}
    return json_answer(made.endpoint | {"secret": made.secret.reveal()}, status=201, headers=NOT_KEPT | location)


@blueprint.get("")
@blueprint.doc(operationId="listWebhookEndpoints")
@leads_to("getWebhookEndpoint", "listWebhookEndpointDeliveries", endpoint_id="/data/0/id")
@scoped(Scope.WEBHOOKS_WRITE)
@blueprint.arguments(EndpointsQuery, location="query")
@blueprint.response(200, EndpointPageSchema, example=examples.ENDPOINTS)
@blueprint.problems(problems.Invalid, InsufficientScope)
@compressed
def list_endpoints(query: dict[str, Any]) -> Response:
    """List webhook endpoints

    Takes the scope `webhooks:write`. Newest first, in keyset pages: pass next_cursor as cursor to go on.
    """
    state = None if query["state"] is None else EndpointState(query["state"])
    found = endpoints_page(limit=query["limit"], before=query["cursor"], state=state)
    return page_answer("webhook_endpoints.list_endpoints", query, found.endpoints, found.following)


@blueprint.get("/<uuid:endpoint_id>")
@blueprint.doc(operationId="getWebhookEndpoint")
@leads_to("updateWebhookEndpoint", "deleteWebhookEndpoint", endpoint_id="/id")
@scoped(Scope.WEBHOOKS_WRITE)
@blueprint.response(200, EndpointSchema, example=examples.ENDPOINT)
@blueprint.problems(problems.NotFound, InsufficientScope)
@compressed
def read_endpoint(endpoint_id: UUID) -> Response:
    """Read a webhook endpoint

    Takes the scope `webhooks:write`. What it gets, its state and why, and how far it is.
    """
    return json_answer(existing(endpoint_id), headers=NOT_KEPT)


@blueprint.patch("/<uuid:endpoint_id>")
@blueprint.doc(operationId="updateWebhookEndpoint")
@leads_to("getWebhookEndpoint", endpoint_id="/id")
@scoped(Scope.WEBHOOKS_WRITE)
@blueprint.arguments(EndpointChangesSchema, example={"state": "enabled"})
@blueprint.response(200, EndpointSchema, example=examples.ENDPOINT, description="Changed")
@blueprint.problems(
    problems.MalformedBody,
    InsufficientScope,
    problems.NotFound,
    problems.Invalid,
    problems.DatabaseUnavailable,
)
def patch_endpoint(body: dict[str, Any], endpoint_id: UUID) -> Response:
    """Change a webhook endpoint

    Takes the scope `webhooks:write`. What is not named stays. `state` `enabled` ends a suspension too and makes all
    that waits due at once; `disabled` sends nothing more. Other types count for what comes after the endpoint's place.
    """
    endpoint = operations.change_endpoint(endpoint_id, body, origin=by_caller())
    if endpoint["state"] == EndpointState.ENABLED:
        wake()
    return json_answer(endpoint, headers=NOT_KEPT)


@blueprint.delete("/<uuid:endpoint_id>")
@blueprint.doc(operationId="deleteWebhookEndpoint")
@leads_to("getWebhookEndpoint", endpoint_id="{endpoint_id}")
@scoped(Scope.WEBHOOKS_WRITE)
@blueprint.response(204, description="Deleted")
@blueprint.problems(InsufficientScope, problems.NotFound, problems.DatabaseUnavailable)
def delete_endpoint(endpoint_id: UUID) -> Response:
    """Delete a webhook endpoint

    Takes the scope `webhooks:write`. Nothing more is sent there; an attempt that is under way ends. Its secrets end,
    and its replays stop. It cannot be taken back.
    """
    operations.delete_endpoint(endpoint_id, origin=by_caller())
    return Response(status=204)


@blueprint.post("/<uuid:endpoint_id>/rotate-secret")
@blueprint.doc(operationId="rotateWebhookEndpointSecret")
@leads_to("getWebhookEndpoint", endpoint_id="{endpoint_id}")
@scoped(Scope.WEBHOOKS_WRITE)
@blueprint.arguments(RotationSchema, example={"expires_in": 86400})
@blueprint.response(200, RotatedSecretSchema, example=examples.ROTATED, description="The new secret, shown this once")
@blueprint.problems(
    problems.MalformedBody,
    InsufficientScope,
    problems.NotFound,
    NoSecretsKey,
    TooManySecrets,
    problems.Invalid,
    problems.DatabaseUnavailable,
)
def rotate_secret(body: dict[str, Any], endpoint_id: UUID) -> Response:
    """Rotate the secret

    Takes the scope `webhooks:write`. The new secret signs from now on, and those before go on signing beside it for
    `expires_in` seconds (a day unless you say otherwise, 7 days at most; 0 ends them at once): each event carries a
    signature of each, so its receiver may change over whenever it likes.
    """
    signing = body.get("signing")
    rotated = operations.rotate_secret(
        endpoint_id,
        old_for=timedelta(seconds=body["expires_in"]) if "expires_in" in body else OLD_FOR,
        signing=None if signing is None else Signing(signing),
        origin=by_caller(),
    )
    until = operations.show_end(rotated)
    return json_answer(rotated.endpoint | {"secret": rotated.secret.reveal(), "old_until": until}, headers=NOT_KEPT)


@blueprint.post("/<uuid:endpoint_id>/test")
@blueprint.doc(operationId="sendTestEvent")
@leads_to("listWebhookEndpointDeliveries", endpoint_id="{endpoint_id}")
@scoped(Scope.WEBHOOKS_WRITE)
@blueprint.response(202, TestSentSchema, example=examples.TEST_SENT, description="On its way")
@blueprint.problems(
    InsufficientScope, problems.NotFound, EndpointDisabled, TooManyTestEvents, problems.DatabaseUnavailable
)
def send_test(endpoint_id: UUID) -> Response:
    """Send a test event

    Takes the scope `webhooks:write`. An event of the type `webhook_endpoint.test` about the endpoint itself, whatever
    types it gets; it has no number and is not in the log. See what became of it in its deliveries, by `event`.
    """
    event_id = operations.send_test(endpoint_id, origin=by_caller())
    wake()
    return json_answer({"event_id": str(event_id), "type": TEST_TYPE}, status=202, headers=NOT_KEPT)


@blueprint.get("/<uuid:endpoint_id>/deliveries")
@blueprint.doc(operationId="listWebhookEndpointDeliveries")
@scoped(Scope.WEBHOOKS_WRITE)
@blueprint.arguments(DeliveriesQuery, location="query")
@blueprint.response(200, DeliveryPageSchema, example=examples.DELIVERIES)
@blueprint.problems(problems.NotFound, problems.Invalid, InsufficientScope)
@compressed
def list_deliveries(query: dict[str, Any], endpoint_id: UUID) -> Response:
    """List event deliveries

    Takes the scope `webhooks:write`. What waits, what failed and what was taken, the newest first, each with its newest
    attempts. Attempts are kept as long as events are. With `type` a page looks through the newest 10,000 of each kind,
    so it may hold fewer than limit, even none, while has_more says that there may be others.
    """
    endpoint = existing(endpoint_id)
    found = deliveries_page(
        endpoint_id,
        enabled=endpoint["state"] == EndpointState.ENABLED,
        limit=query["limit"],
        before=query["cursor"],
        status=None if query["state"] is None else DeliveryStatus(query["state"]),
        type=query["type"],
        event_id=query["event"],
    )
    address = {**query, "endpoint_id": endpoint_id}
    return page_answer("webhook_endpoints.list_deliveries", address, found.deliveries, found.following)


def by_caller(key: UUID | None = None) -> Origin:
    """The current request as the audit names it."""
    return Origin(key=key or uuid4(), door=Door.API, operator=caller().name)


def wake() -> None:
    """Have a sender look for what is due; its sweep does without."""
    background_publisher().send(TaskName.SEND_EVENTS, request_id=logs.request_id())


def existing(endpoint_id: UUID) -> dict[str, Any]:
    """The endpoint. Raises NotFound."""
    found = endpoint_of(endpoint_id)
    if found is None:
        raise problems.NotFound("There is no such webhook endpoint.")
    return found


def page_answer(
    endpoint: str, query: Mapping[str, Any], rows: list[dict[str, Any]], following: UUID | None
) -> Response:
    """A page of a list, with a link to the next one."""
    cursor = None if following is None else str(following)
    answer = json_answer({"data": rows, "next_cursor": cursor, "has_more": cursor is not None}, headers=NOT_KEPT)
    if cursor:
        given = {name: value for name, value in query.items() if value is not None}
        answer.headers["Link"] = f'<{url_for(endpoint, **{**given, "cursor": cursor})}>; rel="next"'
    return answer
