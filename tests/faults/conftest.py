"""One house a broker for the single faults of a file. It ends with the file, or it would work beside all later ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.brokers.rabbit import MISSING, is_installed
from tests.faults import signers
from tests.faults.stack import House, open_house

BOUND_OF_ROWS = 2000


@pytest.fixture(scope="module")
def shared_house() -> Iterator[House]:
    with open_house(REJECTED_MAX_ROWS=str(BOUND_OF_ROWS), **signers.settings()) as house:
        yield house


@pytest.fixture(scope="module")
def house_on_rabbitmq() -> Iterator[House]:
    if not is_installed():
        pytest.skip(MISSING)
    with open_house("amqp") as house:
        yield house


@pytest.fixture
def house(shared_house: House) -> House:
    """The house, found whole; a process that a test before this one struck may still be starting."""
    shared_house.await_whole()
    return shared_house
