"""/api/payments/{id}/refunds: staff give money back, and customers see that it is on its way."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, request

from checkout_service.api import problems
from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import InsufficientScope, caller, guests_too, is_staff, scoped, staff_too
from checkout_service.api.compressing import compressed
from checkout_service.api.idempotency_key import REPLAYED, documented, keyed
from checkout_service.api.links import leads_to
from checkout_service.api.responses import LOCATED, json_answer
from checkout_service.api.scopes import Scope
from checkout_service.publishing.background_publisher import background_publisher
from checkout_service.refunds.operations import PiecesBack, RefundRequest, request_refund
from checkout_service.refunds.problems import (
    NothingLeftToRefund,
    NotRefundable,
    RefundLinesTooLarge,
    RefundTooLarge,
)
from checkout_service.refunds.queries import refunds_of
from checkout_service.refunds.schemas import EXAMPLE, NewRefundSchema, RefundSchema, RefundsSchema
from checkout_service.tasks import TaskName
from checkout_service.telemetry import logs
from checkout_service.telemetry.metrics import refund_requests_total

blueprint = Blueprint("refunds", __name__, url_prefix="/api/payments", description="Money given back.")


@blueprint.post("/<uuid:payment_id>/refunds")
@blueprint.doc(operationId="createRefund")
@leads_to("listRefunds", "adminGetPayment", payment_id="/payment_id")
@scoped(Scope.REFUNDS)
@keyed
@blueprint.doc(parameters=[documented("refund")])
@blueprint.arguments(NewRefundSchema, example={"amount": "40.00", "reason": "returned"})
@blueprint.response(
    202, RefundSchema, example=EXAMPLE, description="Stored; the provider is asked next", headers=LOCATED
)
@blueprint.problems(
    problems.MissingIdempotencyKey,
    problems.MalformedIdempotencyKey,
    problems.MalformedBody,
    InsufficientScope,
    problems.NotFound,
    NotRefundable,
    NothingLeftToRefund,
    RefundTooLarge,
    RefundLinesTooLarge,
    problems.Invalid,
    problems.IdempotencyKeyReused,
    problems.DatabaseUnavailable,
    problems.StillInProgress,
)
def post_refund(body: dict[str, Any], key: str, payment_id: UUID) -> Response:
    """Ask for a refund

    Takes the scope `refunds`; the payment may be anybody's. Partial, or without `amount` all that is left.
    With `lines` it is the price of these pieces of the payment's order, no more of a line than were bought.
    With `capture_id` it is of that capture alone. Money that came by several captures is given back of the oldest that
    has enough, or of several: then `parts` lists them, each a refund of its own in the list of refunds.
    The answer says that the refund is stored. A worker then sends it to the provider, and GET shows its status.
    The same Idempotency-Key with the same request gets the same answer, with `Idempotent-Replayed: true`; a key
    belongs to its caller, whatever the payment.
    """
    lines = body.get("lines")
    given = request_refund(
        RefundRequest(
            payment_id=payment_id,
            requested_by=caller().user_id,
            key=key,
            amount=body.get("amount"),
            reason=body.get("reason"),
            capture_id=body.get("capture_id"),
            lines=None if lines is None else [PiecesBack(line["line_id"], line["qty"]) for line in lines],
        )
    )
    refund_requests_total.labels("replayed" if given.replayed else "taken").inc()
    headers = {"Cache-Control": "no-store", "Location": f"/api/payments/{payment_id}/refunds"}
    if given.replayed:
        headers |= REPLAYED
    else:
        for refund_id in given.ids:
            background_publisher().send(TaskName.REFUND_PAYMENT, str(refund_id), logs.request_id())
    return json_answer(given.refund, status=202, headers=headers)


@blueprint.get("/<uuid:payment_id>/refunds")
@blueprint.doc(operationId="listRefunds")
@guests_too(after_merge=True)
@staff_too(Scope.REFUNDS, Scope.PAYMENTS_READ)
@blueprint.response(200, RefundsSchema, example={"data": [EXAMPLE]})
@blueprint.alt_response(304, description="Not modified since the ETag in If-None-Match")
@blueprint.problems(problems.NotFound)
@compressed
def list_refunds(payment_id: UUID) -> Response:
    """List a payment's refunds

    For its customer, and for the scopes `refunds` and `payments:read`. Those made in the provider's dashboard are
    among them.
    """
    found = refunds_of(payment_id=payment_id, user_id=caller().user_id)
    staff = is_staff()
    if found is None or (not found.is_theirs and not staff):
        raise problems.NotFound("There is no such payment, or it is not yours.")
    if not staff:
        for refund in found.refunds:
            refund["provider_answer"] = None
    answer = json_answer({"data": found.refunds}, headers={"Cache-Control": "private, no-cache"})
    answer.add_etag(weak=True)
    answer.make_conditional(request)
    return answer
