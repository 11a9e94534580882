"""Floods: forgeries hold nobody up, and a backlog is worked off whatever its age; ``make faults`` runs the long one."""

from __future__ import annotations

import pytest

from tests.faults.conftest import BOUND_OF_ROWS
from tests.faults.flood import Flood, dropped_so_far, genuine, insert_payments
from tests.faults.house import House, await_that

pytestmark = pytest.mark.slow

FORGERIES = 10_000
APPLIED_WITHIN = 5.0
BACKLOG = 10_000

_OLD_LETTERS = """
    INSERT INTO webhook_deliveries (provider, body, received_at, next_attempt_at)
    SELECT 'mock', body, now() - interval '20 minutes', now() - interval '20 minutes'
    FROM unnest(%(bodies)s::bytea[]) AS body
"""


@pytest.fixture
def _nothing_rejected(house: House) -> None:
    house.sql("DELETE FROM webhook_deliveries WHERE state = 'rejected'")


@pytest.mark.usefixtures("_nothing_rejected")
@pytest.mark.timeout(300)
def test_genuine_letters_are_applied_within_seconds_amid_forged_ones(house: House) -> None:
    figures = Flood(house, FORGERIES).run(within=240)

    assert figures.statuses == {202: FORGERIES}
    assert figures.genuine > 0
    assert len(figures.lags) == figures.genuine
    assert figures.p99 < APPLIED_WITHIN
    assert figures.rejected_rows == BOUND_OF_ROWS
    assert figures.dropped == FORGERIES - BOUND_OF_ROWS


@pytest.mark.timeout(300)
def test_a_backlog_of_twenty_minutes_is_applied_in_full(house: House) -> None:
    tokens = insert_payments(house, BACKLOG)
    with house.without("worker"):
        house.sql(_OLD_LETTERS, bodies=[genuine(house, token) for token in tokens])

    states = "SELECT state, count(*) FROM webhook_deliveries WHERE provider_ref = ANY(%(tokens)s) GROUP BY state"
    await_that(lambda: house.sql(states, tokens=tokens) == [("applied", BACKLOG)], "all are applied")
    ((paid,),) = house.sql(
        "SELECT count(*) FROM payments WHERE provider_ref = ANY(%(tokens)s) AND status = 'paid'", tokens=tokens
    )
    assert paid == BACKLOG
    house.await_whole()
    assert dropped_so_far(house) == 0
