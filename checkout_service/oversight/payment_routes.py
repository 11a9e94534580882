"""/api/admin/payments: what staff and programs find among all payments, and one with all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from flask import Response, request, url_for

from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import InsufficientScope, scoped
from checkout_service.api.compressing import compressed
from checkout_service.api.links import leads_to
from checkout_service.api.problems import Invalid, NotFound
from checkout_service.api.responses import json_answer, show_time
from checkout_service.api.scopes import Scope
from checkout_service.cursors import BadCursorError
from checkout_service.identity.subjects import customer_in
from checkout_service.oversight.payment_schemas import (
    PAGE_EXAMPLE,
    WHOLE_EXAMPLE,
    StaffPaymentPageSchema,
    StaffPaymentsQuery,
    WholePaymentSchema,
)
from checkout_service.oversight.payment_search import PaymentFilters, find_payments
from checkout_service.oversight.whole_payment import whole_payment
from checkout_service.payments.schemas import TimelineQuery
from checkout_service.payments.status import PaymentStatus

_MOMENTS: Final = ("since", "until", "updated_after")

blueprint = Blueprint(
    "staff_payments",
    __name__,
    url_prefix="/api/admin/payments",
    tag="Payments for staff",
    description="The payments of all customers.",
)


@blueprint.get("")
@blueprint.doc(operationId="adminListPayments")
@leads_to("adminGetPayment", "listCaptures", payment_id="/data/0/id")
@scoped(Scope.PAYMENTS_READ)
@blueprint.arguments(StaffPaymentsQuery, location="query")
@blueprint.response(200, StaffPaymentPageSchema, example=PAGE_EXAMPLE)
@blueprint.alt_response(304, description="Not modified since the ETag in If-None-Match")
@blueprint.problems(Invalid, InsufficientScope)
@compressed
def find_staff_payments(query: dict[str, Any]) -> Response:
    """Find payments

    Takes the scope `payments:read`. Everybody's payments that all filters let through, newest first, in keyset pages:
    pass next_cursor as cursor to go on, with the same filters. A page looks through 20,000 payments at most, so it may
    hold fewer than limit, even none, while has_more says that there may be others.

    With `updated_after` it is what changed since, the first change first: go through all pages, and ask later with the
    greatest `updated_at` that came. A payment that changes meanwhile comes once more; its `version` tells. `updated_at`
    is when the change began to be written, so one that was written for longer than another may appear behind a place
    that you passed: ask from a minute before that place, and leave out what you have by `id` and `version`. Who must
    miss no change at all reads the events (`/api/admin/events`), which have numbers without a gap.
    """
    filters = {name: query[name] for name in ("provider", "reference", *_MOMENTS)}
    filters["customer"] = customer_in(query)
    status = None if query["status"] is None else PaymentStatus(query["status"])
    try:
        found = find_payments(PaymentFilters(status=status, **filters), limit=query["limit"], cursor=query["cursor"])
    except BadCursorError as error:
        raise Invalid(errors=[{"pointer": "/cursor", "detail": "Not a cursor of this list."}]) from error
    answer = _with_etag(
        {"data": found.payments, "next_cursor": found.next_cursor, "has_more": found.next_cursor is not None}
    )
    if found.next_cursor:
        moments = {name: None if query[name] is None else show_time(query[name]) for name in _MOMENTS}
        link = url_for("staff_payments.find_staff_payments", **{**query, **moments, "cursor": found.next_cursor})
        answer.headers["Link"] = f'<{link}>; rel="next"'
    return answer


@blueprint.get("/<uuid:payment_id>")
@blueprint.doc(operationId="adminGetPayment")
@leads_to(
    *("listCaptures", "createCapture", "voidPayment", "createRefund", "listRefunds", "acceptPaymentAmount"),
    payment_id="/id",
)
@scoped(Scope.PAYMENTS_READ)
@blueprint.arguments(TimelineQuery, location="query")
@blueprint.response(200, WholePaymentSchema, example=WHOLE_EXAMPLE)
@blueprint.alt_response(304, description="Not modified since the ETag in If-None-Match")
@blueprint.problems(NotFound, Invalid, InsufficientScope)
@compressed
def read_staff_payment(query: dict[str, Any], payment_id: UUID) -> Response:
    """Read anybody's payment

    Takes the scope `payments:read`. What its customer sees and what staff know: `timeline` has all its entries
    (attempts, captures, refunds, disputes, voids, notices, acceptances, reviews) and the events behind them, the newest
    200; pass earlier_cursor as before for those before. And what was bought, its order, and the webhooks about it.
    """
    try:
        payment = whole_payment(payment_id=payment_id, before=query["before"])
    except BadCursorError as error:
        raise Invalid(errors=[{"pointer": "/before", "detail": "Not a cursor of this timeline."}]) from error
    if payment is None:
        raise NotFound("There is no such payment.")
    return _with_etag(payment)


def _with_etag(shown: Mapping[str, Any]) -> Response:
    answer = json_answer(shown, headers={"Cache-Control": "private, no-cache"})
    answer.add_etag(weak=True)
    answer.make_conditional(request)
    return answer
