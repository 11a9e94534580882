"""GET /ops/disputes: open disputes, the nearest deadline first; evidence is sent in the provider's dashboard."""

from __future__ import annotations

from typing import Final

from flask import request

from checkout_service.console.access import for_operators
from checkout_service.console.filters import read_choice
from checkout_service.console.page import ConsoleBlueprint, listing
from checkout_service.disputes.queries import nearest_disputes
from checkout_service.payments.status import DisputeStatus

blueprint = ConsoleBlueprint("console_disputes", __name__)

SHOWN: Final = 200
"""Disputes on the page; `payments disputes` and the API list further ones."""

OPEN: Final = (DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW)


@blueprint.get("/disputes")
@for_operators
def show_disputes() -> tuple[str, int]:
    """Disputes that are open, or all of one status."""
    names = [status.value for status in DisputeStatus]
    filters = read_choice(request.args, "status", names)
    chosen = [DisputeStatus(filters.chosen)] if filters.chosen else OPEN
    return listing(
        "disputes.html",
        faults=filters.faults,
        filters=filters,
        disputes=[] if filters.faults else nearest_disputes(statuses=chosen, limit=SHOWN),
        statuses=names,
        shown=SHOWN,
    )
