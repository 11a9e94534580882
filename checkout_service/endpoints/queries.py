"""Reads of webhook endpoints, as the API shows them; deleted ones are not among them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.endpoints.states import EndpointState

COUNTED: Final = 10_000
"""So many deliveries that wait or failed are counted of an endpoint at most (webhook_endpoint_body)."""

_one = Statement("""
    SELECT webhook_endpoint_body(id) AS body FROM webhook_endpoints WHERE id = CAST(:id AS uuid) AND deleted_at IS NULL
""")

_page = Statement("""
    SELECT id, webhook_endpoint_body(id) AS body FROM (
        SELECT id FROM webhook_endpoints
        WHERE deleted_at IS NULL AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid))
            AND (CAST(:state AS text) IS NULL OR state = CAST(CAST(:state AS text) AS endpoint_state))
        ORDER BY id DESC LIMIT CAST(:limit AS integer)
    ) AS known ORDER BY id DESC
""")


class EndpointPage(NamedTuple):
    """Endpoints, the newest first, and the id that the next page begins before, if there is one."""

    endpoints: list[dict[str, Any]]
    following: UUID | None


def endpoint_of(endpoint_id: UUID) -> dict[str, Any] | None:
    """One endpoint, or None. Raises DatabaseUnavailableError."""
    rows = execute(_one, {"id": endpoint_id})
    return rows[0].body if rows else None


def endpoints_page(*, limit: int, before: UUID | None = None, state: EndpointState | None = None) -> EndpointPage:
    """A page of the endpoints. Raises DatabaseUnavailableError."""
    values = {"before": before, "state": None if state is None else state.value, "limit": limit + 1}
    rows = execute(_page, values)
    return EndpointPage([row.body for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None)
