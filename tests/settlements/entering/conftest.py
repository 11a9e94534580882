"""A connection of the role of settlements, on real tables, as each command has one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import Servers
from tests.settlements.entering.reports import connect


@pytest.fixture
def settlements(servers: Servers) -> Iterator[psycopg.Connection[Any]]:
    """Of the role that writes settled money, in autocommit."""
    with connect(servers) as connection:
        yield connection
