"""/api/admin/orders/{id}/fulfilments and /cancel: staff hand over what was bought, or call it off."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from flask import Response, current_app

from checkout_service.api import problems
from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import InsufficientScope, caller, scoped
from checkout_service.api.idempotency_key import REPLAYED, documented, keyed
from checkout_service.api.links import leads_to
from checkout_service.api.responses import LOCATED, json_answer
from checkout_service.api.scopes import Scope
from checkout_service.captures.problems import CaptureTooLarge, OneCaptureOnly
from checkout_service.orders.canceling import CancellationRequest, cancel
from checkout_service.orders.fulfilling import FulfilmentRequest, Pieces, fulfil
from checkout_service.orders.problems import (
    CaptureOutstanding,
    FulfilmentTooLarge,
    NothingLeftToFulfil,
    OrderCanceled,
    OrderFulfilled,
    OrderOnHold,
    VoidOutstanding,
)
from checkout_service.orders.request_schemas import (
    CANCELLATION_EXAMPLE,
    FULFILMENT_EXAMPLE,
    CanceledOrderSchema,
    FulfilmentSchema,
    NewCancellationSchema,
    NewFulfilmentSchema,
)
from checkout_service.publishing.background_publisher import background_publisher
from checkout_service.tasks import TaskName
from checkout_service.telemetry import logs
from checkout_service.telemetry.metrics import fulfilment_requests_total, order_cancellation_requests_total

BEFORE: Final = (Scope.REFUNDS,)
"""Who may give money back also handed over what it was paid for, before there was a scope for it."""

blueprint = Blueprint(
    "order_requests",
    __name__,
    url_prefix="/api/admin/orders",
    tag="Fulfilment",
    description="Orders sent, or canceled.",
)


@blueprint.post("/<uuid:order_id>/fulfilments")
@blueprint.doc(operationId="createFulfilment")
@leads_to("adminGetOrder", order_id="/order_id")
@scoped(Scope.ORDERS_WRITE, of_tokens=BEFORE)
@keyed
@blueprint.doc(parameters=[documented("fulfilment")])
@blueprint.arguments(
    NewFulfilmentSchema,
    example={
        "lines": [{"line_id": "01a206b6-2617-7632-98bf-296e992e5fa1", "qty": 2}],
        "carrier": "DHL",
        "tracking": "00340434161094000001",
    },
)
@blueprint.response(201, FulfilmentSchema, example=FULFILMENT_EXAMPLE, description="Done", headers=LOCATED)
@blueprint.problems(
    problems.MissingIdempotencyKey,
    problems.MalformedIdempotencyKey,
    problems.MalformedBody,
    InsufficientScope,
    problems.NotFound,
    problems.OutOfStock,
    OrderCanceled,
    OrderOnHold,
    VoidOutstanding,
    NothingLeftToFulfil,
    FulfilmentTooLarge,
    CaptureTooLarge,
    OneCaptureOnly,
    problems.Invalid,
    problems.IdempotencyKeyReused,
    problems.DatabaseUnavailable,
    problems.StillInProgress,
)
def post_fulfilment(body: dict[str, Any], key: str, order_id: UUID) -> Response:
    """Fulfil an order

    Takes the scope `orders:write`. Of the lines that it names, or without `lines` of all that is left. The
    pieces leave the stock: those that are sold and held for this order, and those that it lacked of what is available
    now. Nothing is handed over that does not lie there (409 `out-of-stock`). With `capture` their price is captured,
    where money is only authorized; where an account captures only once, it is all that is open or nothing. It is done
    when the answer comes. The same Idempotency-Key with the same request gets the same answer, with
    `Idempotent-Replayed: true`.
    """
    lines = body.get("lines")
    given = fulfil(
        FulfilmentRequest(
            order_id=order_id,
            requested_by=caller().user_id,
            key=key,
            lines=None if lines is None else [Pieces(line["line_id"], line.get("qty")) for line in lines],
            carrier=body.get("carrier"),
            tracking=body.get("tracking"),
            capture=body.get("capture", False),
        ),
        current_app.extensions["settings"].accounts,
    )
    fulfilment_requests_total.labels("replayed" if given.replayed else "taken").inc()
    if given.capture_request_id is not None and not given.replayed:
        _send(TaskName.CAPTURE_PAYMENT, given.capture_request_id)
    return json_answer(given.fulfilment, status=201, headers=_headers(order_id, replayed=given.replayed))


@blueprint.post("/<uuid:order_id>/cancel")
@blueprint.doc(operationId="cancelOrder")
@leads_to("adminGetOrder", order_id="/order_id")
@leads_to("adminGetPayment", "listRefunds", payment_id="/payment_id")
@scoped(Scope.ORDERS_WRITE, of_tokens=BEFORE)
@keyed
@blueprint.doc(parameters=[documented("cancellation")])
@blueprint.arguments(NewCancellationSchema, example={"reason": "damaged"})
@blueprint.response(
    202, CanceledOrderSchema, example=CANCELLATION_EXAMPLE, description="Canceled; the money is next", headers=LOCATED
)
@blueprint.problems(
    problems.MissingIdempotencyKey,
    problems.MalformedIdempotencyKey,
    problems.MalformedBody,
    InsufficientScope,
    problems.NotFound,
    OrderCanceled,
    OrderFulfilled,
    CaptureOutstanding,
    problems.Invalid,
    problems.IdempotencyKeyReused,
    problems.DatabaseUnavailable,
    problems.StillInProgress,
)
def post_cancellation(body: dict[str, Any], key: str, order_id: UUID) -> Response:
    """Cancel an order

    Takes the scope `orders:write`. An order of which something was fulfilled is not canceled. Its pieces go
    back into the stock; what may still be given back of each capture becomes a refund, and what is authorized a void.
    Workers then ask the provider; a refund or a void that fails leaves the reason `cancellation_unpaid` on the payment.
    The same Idempotency-Key with the same request gets the same answer, with `Idempotent-Replayed: true`.
    """
    given = cancel(
        CancellationRequest(order_id=order_id, requested_by=caller().user_id, key=key, reason=body.get("reason"))
    )
    order_cancellation_requests_total.labels("replayed" if given.replayed else "taken").inc()
    if not given.replayed:
        for refund_id in given.refund_ids:
            _send(TaskName.REFUND_PAYMENT, refund_id)
        if given.void_id is not None:
            _send(TaskName.VOID_PAYMENT, given.void_id)
    return json_answer(given.cancellation, status=202, headers=_headers(order_id, replayed=given.replayed))


def _send(task: TaskName, row_id: UUID) -> None:
    background_publisher().send(task, str(row_id), logs.request_id())


def _headers(order_id: UUID, *, replayed: bool) -> dict[str, str]:
    return {"Cache-Control": "no-store", "Location": f"/api/admin/orders/{order_id}"} | (REPLAYED if replayed else {})
