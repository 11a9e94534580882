"""GET /ops/todo: all that waits for a person, each with where it is settled."""

from __future__ import annotations

from typing import Any, Final

from checkout_service.console.access import for_operators
from checkout_service.console.doubt_queries import all_doubts
from checkout_service.console.overview import MOST, figures
from checkout_service.console.page import ConsoleBlueprint, page
from checkout_service.console.todo_queries import failed_requests, outstanding_requests
from checkout_service.disputes.queries import nearest_disputes
from checkout_service.endpoints.queries import endpoints_page
from checkout_service.endpoints.states import EndpointState
from checkout_service.oversight.reasons import in_short
from checkout_service.payments.status import DisputeStatus
from checkout_service.settlement_words import MatchState
from checkout_service.settlements.exception_queries import COUNTED, OPEN_FOR_LONG, OpenCounts, open_counts
from checkout_service.settlements.remedies import OPEN_PAYOUT, REMEDIES

blueprint = ConsoleBlueprint("console_todo", __name__)

SHOWN: Final = 20
"""Disputes and endpoints on the page; their own pages have all."""

LOOKED_AT: Final = 100
"""Endpoints that are enabled and looked at, the newest: few shops have more than some."""


@blueprint.get("/todo")
@for_operators
def show_todo() -> str:
    """What is in doubt, flagged, refused, outstanding or suspended."""
    found, counts = figures(), open_counts()
    return page(
        "todo.html",
        doubts=all_doubts(),
        flags=[(reason, number, in_short(reason)) for reason, number in found["flags"]],
        most=MOST,
        webhooks=found["failed"],
        failed=failed_requests(),
        outstanding=outstanding_requests(),
        disputes=nearest_disputes(statuses=[DisputeStatus.NEEDS_RESPONSE], limit=SHOWN),
        endpoints=_endpoints(),
        settled=[(kind, number, REMEDIES[kind]) for kind, number in _unsettled(counts)],
        open_for_long=counts.open_for_long,
        open_days=OPEN_FOR_LONG,
        open_remedy=OPEN_PAYOUT,
        most_settled=COUNTED,
    )


def _unsettled(counts: OpenCounts) -> list[tuple[str, int]]:
    """Exceptions of settled money by kind, and held files. A fee of no payment can wait, so it is not among them."""
    found = counts.by_kind
    return [(kind, found[kind]) for kind in REMEDIES if found[kind] and kind != MatchState.UNOWNED_FEE]


def _endpoints() -> list[dict[str, Any]]:
    """Those to which nothing is sent at this moment, but for those that somebody disabled, and those that refused."""
    suspended = endpoints_page(limit=SHOWN, state=EndpointState.SUSPENDED).endpoints
    disabled = endpoints_page(limit=SHOWN, state=EndpointState.DISABLED).endpoints
    enabled = endpoints_page(limit=LOOKED_AT, state=EndpointState.ENABLED).endpoints
    return [
        *suspended,
        *(each for each in disabled if each["state_reason"] != "requested"),
        *(each for each in enabled if each["failed"]),
    ][:SHOWN]
