"""/api/payments: what became of the money, for its customer and for staff; what is still open may be canceled."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, request, url_for

from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import caller
from checkout_service.api.problems import DatabaseUnavailable, Invalid, NotFound
from checkout_service.api.responses import json_answer
from checkout_service.cursors import BadCursorError
from checkout_service.payments.cancel_requests import NoLongerOpen, request_to_cancel
from checkout_service.payments.queries import payment_of, payments_of
from checkout_service.payments.schemas import (
    EXAMPLE,
    PageQuery,
    PaymentPageSchema,
    PaymentWithTimelineSchema,
    TimelineQuery,
)
from checkout_service.publishing.background_publisher import background_publisher
from checkout_service.tasks import TaskName
from checkout_service.telemetry import logs

STAFF_SCOPE = "refunds"
"""Who may give money back may also read any payment, and see to it that none comes."""

blueprint = Blueprint("payments", __name__, url_prefix="/api/payments", description="What became of the money")


@blueprint.get("/<uuid:payment_id>")
@blueprint.arguments(TimelineQuery, location="query")
@blueprint.response(200, PaymentWithTimelineSchema)
@blueprint.alt_response(304, description="Not modified since the ETag in If-None-Match")
@blueprint.problems(NotFound, Invalid)
def read_payment(query: dict[str, Any], payment_id: UUID) -> Response:
    """Read a payment

    Its status, sums and timeline: what the provider reported, and the entries that it came to, the newest 200 of them;
    pass earlier_cursor as before for those before. For its customer, and for tokens with the scope `refunds`. Poll it
    with If-None-Match: an unchanged payment answers 304 without a body.
    """
    user_id = None if caller().may(STAFF_SCOPE) else caller().user_id
    try:
        payment = payment_of(payment_id=payment_id, user_id=user_id, before=query["before"])
    except BadCursorError as error:
        raise Invalid(errors=[{"pointer": "/before", "detail": "Not a cursor of this timeline."}]) from error
    if payment is None:
        raise NotFound("There is no such payment, or it is not yours.")
    answer = json_answer(payment, headers={"Cache-Control": "private, no-cache"})
    answer.add_etag()
    answer.make_conditional(request)
    return answer


@blueprint.post("/<uuid:payment_id>/cancel")
@blueprint.response(
    202, PaymentWithTimelineSchema, example=EXAMPLE, description="The payment as it stands; a worker asks the provider"
)
@blueprint.problems(NotFound, NoLongerOpen, DatabaseUnavailable)
def cancel_payment(payment_id: UUID) -> Response:
    """Cancel a payment that is still open

    For its customer, and for tokens with the scope `refunds`; takes no body. A worker makes sure at the provider
    that it can no longer be paid: GET tells when it is `canceled`, or that money came all the same. Asking again
    changes nothing.
    """
    user_id, anybodys = caller().user_id, caller().may(STAFF_SCOPE)
    requested = request_to_cancel(payment_id=payment_id, user_id=user_id, anybodys=anybodys)
    if requested.is_first:
        background_publisher().send(TaskName.CANCEL_PAYMENT, requested.payment["id"], logs.request_id())
    headers = {"Cache-Control": "no-store", "Location": f"/api/payments/{payment_id}"}
    return json_answer(requested.payment, status=202, headers=headers)


@blueprint.get("")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, PaymentPageSchema)
@blueprint.problems(Invalid)
def list_payments(query: dict[str, Any]) -> Response:
    """List payments

    The caller's payments, newest first, in keyset pages: pass next_cursor as cursor to go on.
    """
    try:
        found = payments_of(user_id=caller().user_id, limit=query["limit"], cursor=query["cursor"])
    except BadCursorError as error:
        raise Invalid(errors=[{"pointer": "/cursor", "detail": "Not a cursor of this list."}]) from error
    headers = {"Cache-Control": "private, no-cache"}
    if found.next_cursor:
        following = url_for("payments.list_payments", limit=query["limit"], cursor=found.next_cursor)
        headers["Link"] = f'<{following}>; rel="next"'
    has_more = found.next_cursor is not None
    answer = {"data": found.payments, "next_cursor": found.next_cursor, "has_more": has_more}
    return json_answer(answer, headers=headers)
