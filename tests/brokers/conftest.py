"""One node for all tests of brokers: it takes some seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.brokers.rabbit import Rabbit, start_rabbit


@pytest.fixture(scope="module")
def rabbit() -> Iterator[Rabbit]:
    with start_rabbit() as node:
        yield node
