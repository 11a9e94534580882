"""/api/payments: what became of the money, for its customer and for staff; what is still open may be canceled."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Response, current_app, request, url_for

from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import caller, guests_too, is_staff, staff_too
from checkout_service.api.compressing import compressed
from checkout_service.api.links import leads_to
from checkout_service.api.problems import DatabaseUnavailable, Invalid, NotFound
from checkout_service.api.responses import LOCATED, json_answer
from checkout_service.api.scopes import Scope
from checkout_service.cursors import BadCursorError
from checkout_service.payments.cancel_requests import NoLongerOpen, request_to_cancel
from checkout_service.payments.changes import LOOK, offers_to_wait, shares_of, version_of
from checkout_service.payments.next_action import ActionType
from checkout_service.payments.queries import payment_of, payments_of
from checkout_service.payments.schemas import (
    EXAMPLE,
    PAGE_EXAMPLE,
    READ_EXAMPLE,
    PageQuery,
    PaymentPageSchema,
    PaymentWithTimelineSchema,
    ReadPaymentSchema,
    WaitingQuery,
)
from checkout_service.server.long_polls import answer_at_change

blueprint = Blueprint("payments", __name__, url_prefix="/api/payments", description="What became of the money.")


@blueprint.get("/<uuid:payment_id>")
@blueprint.doc(operationId="getPayment")
@leads_to("listRefunds", "createRefund", "cancelPayment", payment_id="/id")
@leads_to("getOrder", order_id="/order/id")
@guests_too(after_merge=True)
@staff_too(Scope.PAYMENTS_READ, of_tokens=(Scope.REFUNDS,))
@blueprint.arguments(WaitingQuery, location="query")
@blueprint.response(200, ReadPaymentSchema, example=READ_EXAMPLE)
@blueprint.alt_response(304, description="Not modified since the ETag in If-None-Match")
@blueprint.problems(NotFound, Invalid)
def read_payment(query: dict[str, Any], payment_id: UUID) -> Response:
    """Read a payment

    Its status, sums and timeline: what the provider reported, and the entries that it came to, the newest 200 of them;
    pass earlier_cursor as before for those before. For its customer, and for the scope `payments:read`. Poll it with
    If-None-Match: an unchanged payment answers 304 without a body, and with `wait` not before that time is over. Its
    customer reads in `next_action` what to do to pay it; such an answer is `no-store`.
    """
    user_id = None if is_staff() else caller().user_id
    waits = offers_to_wait(query["wait"])
    version = version_of(payment_id) if waits else 0  # before the payment: what changes in between is seen as a change
    try:
        payment = payment_of(
            payment_id=payment_id,
            user_id=user_id,
            before=query["before"],
            providers=current_app.extensions["providers"],
        )
    except BadCursorError as error:
        raise Invalid(errors=[{"pointer": "/before", "detail": "Not a cursor of this timeline."}]) from error
    if payment is None:
        raise NotFound("There is no such payment, or it is not yours.")
    # Who has the action can pay, so no cache keeps it. The ETag is for clients that remember it themselves.
    payable = payment.get("next_action", {}).get("type", ActionType.NONE) != ActionType.NONE
    answer = json_answer(payment, headers={"Cache-Control": "no-store" if payable else "private, no-cache"})
    answer.add_etag(weak=True)
    answer.make_conditional(request)
    if not waits or answer.status_code != HTTPStatus.NOT_MODIFIED:
        return answer
    shares = shares_of(caller(), request.environ, as_staff=user_id is None)
    return answer_at_change(
        answer, look=LOOK, subject=payment_id, version=version, seconds=query["wait"], shares=shares
    )


@blueprint.post("/<uuid:payment_id>/cancel")
@blueprint.doc(operationId="cancelPayment")
@leads_to("getPayment", payment_id="{payment_id}")
@guests_too()
@staff_too(Scope.REFUNDS)
@blueprint.response(
    202,
    PaymentWithTimelineSchema,
    example=EXAMPLE,
    description="The payment as it stands; a worker asks the provider",
    headers=LOCATED,
)
@blueprint.problems(NotFound, NoLongerOpen, DatabaseUnavailable)
def cancel_payment(payment_id: UUID) -> Response:
    """Cancel a payment that is still open

    For its customer, and for the scope `refunds`; takes no body. A worker makes sure at the provider
    that it can no longer be paid: GET tells when it is `canceled`, or that money came all the same. Asking again
    changes nothing.
    """
    payment = request_to_cancel(payment_id=payment_id, user_id=caller().user_id, anybodys=is_staff())
    headers = {"Cache-Control": "no-store", "Location": f"/api/payments/{payment_id}"}
    return json_answer(payment, status=202, headers=headers)


@blueprint.get("")
@blueprint.doc(operationId="listPayments")
@leads_to("getPayment", "listRefunds", payment_id="/data/0/id")
@guests_too(after_merge=True)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, PaymentPageSchema, example=PAGE_EXAMPLE)
@blueprint.problems(Invalid)
@compressed
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
