"""A player of scenarios, one for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Sql
from tests.worker.conftest import MakeWorker
from tests.worker.money.playing import Player


@pytest.fixture
def player(sql: Sql, make_worker: MakeWorker) -> Iterator[Player]:
    made = Player(sql, make_worker)
    yield made
    made.close()
