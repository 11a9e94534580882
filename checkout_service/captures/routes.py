"""/api/admin/payments/{id}/captures and /void: staff take what is authorized, or give it back."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from flask import Response, current_app, request

from checkout_service.api import problems
from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import InsufficientScope, caller, scoped
from checkout_service.api.compressing import compressed
from checkout_service.api.idempotency_key import REPLAYED, documented, keyed
from checkout_service.api.links import leads_to
from checkout_service.api.responses import LOCATED, json_answer
from checkout_service.api.scopes import Scope
from checkout_service.captures.operations import (
    CaptureOrder,
    Given,
    VoidOrder,
    captures_several,
    request_capture,
    request_void,
)
from checkout_service.captures.problems import CaptureTooLarge, NotCapturable, NotVoidable, OneCaptureOnly
from checkout_service.captures.queries import captures_of
from checkout_service.captures.schemas import (
    CAPTURES_EXAMPLE,
    REQUEST_EXAMPLE,
    VOID_EXAMPLE,
    CaptureRequestSchema,
    CapturesSchema,
    NewCaptureSchema,
    VoidSchema,
)
from checkout_service.publishing.background_publisher import background_publisher
from checkout_service.tasks import TaskName
from checkout_service.telemetry import logs
from checkout_service.telemetry.metrics import capture_requests_total, void_requests_total

BEFORE: Final = (Scope.REFUNDS,)
"""Who may give money back also took what was promised, before there was a scope for it."""

blueprint = Blueprint(
    "captures", __name__, url_prefix="/api/admin/payments", description="Money that is authorized: taken, or released."
)


@blueprint.post("/<uuid:payment_id>/captures")
@blueprint.doc(operationId="createCapture")
@leads_to("listCaptures", "adminGetPayment", payment_id="{payment_id}")
@scoped(Scope.CAPTURES, of_tokens=BEFORE)
@keyed
@blueprint.doc(parameters=[documented("capture")])
@blueprint.arguments(NewCaptureSchema, example={"amount": "200.00", "final": True})
@blueprint.response(
    202,
    CaptureRequestSchema,
    example=REQUEST_EXAMPLE,
    description="Stored; the provider is asked next",
    headers=LOCATED,
)
@blueprint.problems(
    problems.MissingIdempotencyKey,
    problems.MalformedIdempotencyKey,
    problems.MalformedBody,
    InsufficientScope,
    problems.NotFound,
    NotCapturable,
    CaptureTooLarge,
    OneCaptureOnly,
    problems.Invalid,
    problems.IdempotencyKeyReused,
    problems.DatabaseUnavailable,
    problems.StillInProgress,
)
def post_capture(body: dict[str, Any], key: str, payment_id: UUID) -> Response:
    """Capture what is authorized

    Takes the scope `captures`. Partial, or without `amount` all that is open. The answer says that the
    request is stored, and what it releases: where an account captures only once, a partial capture closes the rest.
    A worker then sends it to the provider, and GET shows its status. The same Idempotency-Key with the same request
    gets the same answer, with `Idempotent-Replayed: true`.
    """
    order = CaptureOrder(
        payment_id=payment_id,
        requested_by=caller().user_id,
        key=key,
        amount=body.get("amount"),
        final=body.get("final"),
        authorization_id=body.get("authorization_id"),
    )
    given = request_capture(order, current_app.extensions["settings"].accounts)
    capture_requests_total.labels("replayed" if given.replayed else "taken").inc()
    return _answered(given, TaskName.CAPTURE_PAYMENT, payment_id)


@blueprint.post("/<uuid:payment_id>/void")
@blueprint.doc(operationId="voidPayment")
@leads_to("listCaptures", "adminGetPayment", payment_id="{payment_id}")
@scoped(Scope.CAPTURES, of_tokens=BEFORE)
@keyed
@blueprint.doc(parameters=[documented("void")])
@blueprint.response(
    202, VoidSchema, example=VOID_EXAMPLE, description="Stored; the provider is asked next", headers=LOCATED
)
@blueprint.problems(
    problems.MissingIdempotencyKey,
    problems.MalformedIdempotencyKey,
    InsufficientScope,
    problems.NotFound,
    NotVoidable,
    problems.IdempotencyKeyReused,
    problems.DatabaseUnavailable,
    problems.StillInProgress,
)
def post_void(key: str, payment_id: UUID) -> Response:
    """Release what is authorized

    Takes the scope `captures`, and no body. All that is authorized and was not captured is given back; a
    capture that is under way comes first. A worker then asks the provider, and GET shows its status.
    """
    given = request_void(VoidOrder(payment_id=payment_id, requested_by=caller().user_id, key=key))
    void_requests_total.labels("replayed" if given.replayed else "taken").inc()
    return _answered(given, TaskName.VOID_PAYMENT, payment_id)


@blueprint.get("/<uuid:payment_id>/captures")
@blueprint.doc(operationId="listCaptures")
@scoped(Scope.PAYMENTS_READ, Scope.CAPTURES, of_tokens=BEFORE)
@blueprint.response(200, CapturesSchema, example=CAPTURES_EXAMPLE)
@blueprint.alt_response(304, description="Not modified since the ETag in If-None-Match")
@blueprint.problems(InsufficientScope, problems.NotFound)
@compressed
def list_captures(payment_id: UUID) -> Response:
    """List a payment's captures

    Takes the scope `payments:read` or `captures`. What came and what of it may be given back, what was asked for and
    what became of it, and what is still open, with its end.
    """
    found = captures_of(payment_id=payment_id)
    if found is None:
        raise problems.NotFound("There is no such payment.")
    several = captures_several(found.provider, current_app.extensions["settings"].accounts)
    answer = json_answer({**found.shown, "several_captures": several}, headers={"Cache-Control": "private, no-cache"})
    answer.add_etag(weak=True)
    answer.make_conditional(request)
    return answer


def _answered(given: Given, task: TaskName, payment_id: UUID) -> Response:
    headers = {"Cache-Control": "no-store", "Location": f"/api/admin/payments/{payment_id}/captures"}
    if given.replayed:
        headers |= REPLAYED
    else:
        background_publisher().send(task, given.answer["id"], logs.request_id())
    return json_answer(given.answer, status=202, headers=headers)
