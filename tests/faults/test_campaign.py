"""A short cut of the campaign; ``make faults`` runs all of it."""

from __future__ import annotations

import pytest

from tests.faults.campaign import Campaign
from tests.faults.faults import fault
from tests.faults.house import House

PAYMENTS_A_SECOND = 15.0


@pytest.fixture(scope="module")
def campaign(shared_house: House) -> Campaign:
    shared_house.await_whole()
    return Campaign(shared_house, payments_a_second=PAYMENTS_A_SECOND)


@pytest.mark.parametrize(
    ("name", "busy"),
    [
        ("a web child: SIGKILL", True),
        pytest.param("the worker: frozen 5 s", False, marks=pytest.mark.slow),
        pytest.param("Valkey: SIGKILL, data lost", True, marks=pytest.mark.slow),
        ("PostgreSQL: immediate stop", True),
    ],
)
@pytest.mark.timeout(300)
def test_what_was_answered_is_true_whatever_fails(campaign: Campaign, name: str, busy: bool) -> None:
    done = campaign.strike(fault(name), busy=busy)

    assert done.deliveries > 0
    assert done.keys > 0
    assert not done.wrong
