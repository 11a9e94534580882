"""The pages of webhook endpoints in every state, as a browser shows them: as ``test_looks`` looks at the others."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page

from tests.conftest import Sql
from tests.console.test_looks import address, browser, context, look_at, page
from tests.endpoints.conftest import WriteAttempt, WritePending, attempt, pending
from tests.events.rows import insert_event
from tests.pages.browser import DESKTOP, PHONE

__all__ = ["address", "attempt", "browser", "context", "page", "pending"]  # fixtures

LONG = "https://shop.example.com/" + "hooks-of-the-harbour-shop/" * 6


@pytest.fixture
def paths(sql: Sql, pending: WritePending, attempt: WriteAttempt) -> dict[str, str]:
    """Endpoints in each state, one of them with deliveries in each state and with replays, and all their pages."""
    for _ in range(3):
        insert_event(sql)
    rows = sql(
        """INSERT INTO webhook_endpoints (url, description, state, state_reason)
        SELECT :url, 'The warehouse', state::endpoint_state,
            CASE WHEN state = 'disabled' THEN 'requested' END
        FROM unnest(ARRAY['enabled', 'suspended', 'disabled']) AS state RETURNING id, state::text AS state""",
        url=LONG,
    )
    ids = {row.state: str(row.id) for row in rows}
    busy = ids["suspended"]
    for number in range(30):
        event = pending(busy, seq=number + 1, state="failed" if number % 7 == 0 else "waiting")
        attempt(busy, event, status=503 if number % 2 else None, answer=b"down " * 60 if number % 2 else None)
    attempt(busy, uuid4(), status=204)
    sql(
        """INSERT INTO event_replays (endpoint_id, since, from_seq, place, until_seq, events, requested_by)
        VALUES (:id, now() - interval '2 hours', 0, 0, 3, 3, 'mira')""",
        id=busy,
    )
    found = f"/ops/endpoints/{ids['enabled']}/replay"
    return {
        "endpoints": "/ops/endpoints",
        **{f"endpoint-{state}": f"/ops/endpoints/{endpoint}" for state, endpoint in ids.items()},
        "endpoint-failed": f"/ops/endpoints/{busy}?state=failed",
        "endpoint-none": f"/ops/endpoints/{ids['enabled']}?state=failed",
        "endpoint-gone": f"/ops/endpoints/{uuid4()}",
        "disable": f"/ops/endpoints/{ids['enabled']}/disable",
        "disable-not": f"/ops/endpoints/{ids['disabled']}/disable",
        "replay": found,
        "replay-counted": f"{found}?since=2h&type=payment.paid",
        "replay-none": f"{found}?since=2h&type=refund.failed",
        "replay-fault": f"{found}?since=soon",
        "replay-not": f"/ops/endpoints/{ids['disabled']}/replay",
    }


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_of_endpoints_is_accessible_and_fits(
    page: Page, address: str, paths: dict[str, str], size: dict[str, int], tmp_path: Path
) -> None:
    look_at(page, address, paths, size=size, folder=tmp_path, shown=())
