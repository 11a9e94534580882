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


@pytest.mark.parametrize("attack", [found for found in attacks() if found.quick], ids=lambda attack: attack.name)
@pytest.mark.timeout(120)
def test_what_was_promised_to_others_holds(house: House, attack: Attack) -> None:
    house.await_whole()

    found = attack.run(house)

    assert found.held, attack.line("redis", found)
