"""What tests of settled money share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Customer, Servers
from tests.refunding import staff_of
from tests.settlements.entered import Books, books_of


@pytest.fixture
def books(servers: Servers) -> Iterator[Books]:
    with books_of(servers) as found:
        yield found


@pytest.fixture
def reader(customer: Customer) -> Customer:
    """A caller whose token has the scope of settled money, and no other."""
    return staff_of(customer, scope="payouts:read")
