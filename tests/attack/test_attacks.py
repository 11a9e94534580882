"""The short cut of ``make attack``: what a few seconds can show, against real processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attack.attacks import SETTINGS, Attack, attacks
from tests.faults.stack import House, open_house


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with open_house(**SETTINGS) as house:
        yield house


QUICK = [
    pytest.param(found, id=found.name, marks=[pytest.mark.slow] if found.timed else [])
    for found in attacks()
    if found.quick
]
"""Those that are judged by how long others waited need a machine of their own: they are for ``make test-slow``."""


@pytest.mark.parametrize("attack", QUICK)
@pytest.mark.timeout(120)
def test_what_was_promised_to_others_holds(house: House, attack: Attack) -> None:
    house.await_whole()

    found = attack.run(house)

    assert found.held, attack.line("redis", found)
