"""Floods: unverified webhooks hold nobody up, and a backlog is worked off whatever its age.

``make faults`` runs the long one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.conftest import BOUND_OF_ROWS
from tests.faults.flood import Flood, dropped_so_far, insert_payments
from tests.faults.signers import SIGNERS, Signer
from tests.faults.stack import House, await_that

pytestmark = pytest.mark.slow

UNVERIFIED = 10_000
APPLIED_WITHIN = 5.0
BACKLOG = 10_000

DOWN_FOR = timedelta(minutes=20)
TOO_OLD = 10

_OLD_WEBHOOKS = """
    INSERT INTO webhook_deliveries (provider, headers, body, received_at, next_attempt_at)
    SELECT %(provider)s, headers, body, %(at)s, %(at)s
    FROM unnest(%(bodies)s::bytea[], %(headers)s::jsonb[]) AS webhook (body, headers)
"""
_STATES = """
    SELECT webhook.state, count(*) FROM webhook_deliveries AS webhook
    WHERE webhook.provider = %(provider)s AND webhook.received_at = %(at)s GROUP BY 1 ORDER BY 1
"""


@pytest.fixture
def _nothing_rejected(house: House) -> None:
    house.sql("DELETE FROM webhook_deliveries WHERE state = 'rejected'")


@pytest.mark.usefixtures("_nothing_rejected")
@pytest.mark.timeout(300)
def test_verified_webhooks_are_applied_within_seconds_amid_unverified_ones(house: House) -> None:
    figures = Flood(house, UNVERIFIED).run(within=240)

    assert figures.statuses == {202: UNVERIFIED}
    assert figures.verified > 0
    assert len(figures.lags) == figures.verified
    assert figures.p99 < APPLIED_WITHIN
    assert figures.rejected_rows == BOUND_OF_ROWS
    assert figures.dropped == UNVERIFIED - BOUND_OF_ROWS


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda signer: signer.provider)
@pytest.mark.usefixtures("_nothing_rejected")
@pytest.mark.timeout(300)
def test_a_backlog_of_twenty_minutes_is_applied_in_full(house: House, signer: Signer) -> None:
    """Where a signature says when, webhooks that were old when they came are refused beside it."""
    tokens = insert_payments(house, BACKLOG, provider=signer.provider)
    refused = insert_payments(house, TOO_OLD if signer.is_dated else 0, provider=signer.provider)
    received_at, before = datetime.now(UTC) - DOWN_FOR, dropped_so_far(house)
    with house.without("worker"):
        webhooks = [signer.sign(token, received_at, house.environment) for token in tokens]
        webhooks += [signer.sign(token, received_at - DOWN_FOR, house.environment) for token in refused]
        house.sql(
            _OLD_WEBHOOKS,
            provider=signer.provider,
            at=received_at,
            bodies=[webhook.body for webhook in webhooks],
            headers=[json.dumps(dict(webhook.headers)) for webhook in webhooks],
        )

    expected = [("applied", BACKLOG)] + [("rejected", TOO_OLD)] * signer.is_dated
    states = {"provider": signer.provider, "at": received_at}
    await_that(lambda: house.sql(_STATES, **states) == expected, f"the states are {expected}")
    house.await_whole()
    assert _paid(house, tokens) == BACKLOG
    assert _paid(house, refused) == 0
    assert dropped_so_far(house) == before


def _paid(house: House, tokens: list[str]) -> int:
    query = "SELECT count(*) FROM payments WHERE provider_ref = ANY(%(tokens)s) AND status = 'paid'"
    ((count,),) = house.sql(query, tokens=tokens)
    return int(count)
