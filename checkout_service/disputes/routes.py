"""/api/admin/disputes: staff see what is disputed, how much went, and until when evidence is taken."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response, url_for

from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import InsufficientScope, scoped
from checkout_service.api.compressing import compressed
from checkout_service.api.links import leads_to
from checkout_service.api.problems import Invalid
from checkout_service.api.responses import json_answer, show_time
from checkout_service.api.scopes import Scope
from checkout_service.cursors import BadCursorError
from checkout_service.disputes.queries import disputes_page
from checkout_service.disputes.schemas import EXAMPLE, DisputePageSchema, DisputesQuery
from checkout_service.payments.status import DisputeStatus

blueprint = Blueprint(
    "disputes", __name__, url_prefix="/api/admin/disputes", description="Chargebacks, and what comes before them."
)


@blueprint.get("")
@blueprint.doc(operationId="listDisputes")
@leads_to("adminGetPayment", payment_id="/data/0/payment_id")
@scoped(Scope.PAYMENTS_READ, of_tokens=(Scope.REFUNDS,))
@blueprint.arguments(DisputesQuery, location="query")
@blueprint.response(200, DisputePageSchema, example=EXAMPLE)
@blueprint.problems(Invalid, InsufficientScope)
@compressed
def list_disputes(query: dict[str, Any]) -> Response:
    """List disputes

    Takes the scope `payments:read`. The newest first; with `due_before` those whose evidence is due soonest.
    Keyset pages: pass next_cursor as cursor to go on, with the same filters. Evidence is sent in the provider's
    dashboard.
    """
    due_before: datetime | None = query["due_before"]
    status = None if query["status"] is None else DisputeStatus(query["status"])
    try:
        found = disputes_page(due_before=due_before, status=status, limit=query["limit"], cursor=query["cursor"])
    except BadCursorError as error:
        raise Invalid(errors=[{"pointer": "/cursor", "detail": "Not a cursor of this list."}]) from error
    headers = {"Cache-Control": "private, no-cache"}
    if found.next_cursor:
        filters = {"due_before": None if due_before is None else show_time(due_before), "status": query["status"]}
        following = url_for("disputes.list_disputes", limit=query["limit"], cursor=found.next_cursor, **filters)
        headers["Link"] = f'<{following}>; rel="next"'
    answer = {
        "data": [dispute.shown() for dispute in found.disputes],
        "next_cursor": found.next_cursor,
        "has_more": found.next_cursor is not None,
    }
    return json_answer(answer, headers=headers)
