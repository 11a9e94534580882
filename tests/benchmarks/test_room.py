"""The growth figure loads what fits the disk, and says so; what it loads is of its time."""

from __future__ import annotations

import itertools
import re
import shutil
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from benchmarks import history, room


@pytest.mark.parametrize(
    ("free", "rows", "payments"),
    [
        (2**50, 50_000_000, 5_000_000),
        (10 * 10**9, 2_333_333, 2_333_333),
        (40 * 10**9, 13_666_666, 5_000_000),
        (0, 0, 0),
    ],
)
def test_no_more_than_seven_tenths_of_what_is_free_are_filled(
    free: int, rows: int, payments: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    found = room.on_disk(most=50_000_000, payments=5_000_000)

    assert (found.rows, found.payments) == (rows, payments)
    assert rows * room.BYTES_A_ROW + payments * room.BYTES_A_PAYMENT <= room.SHARE * free
    assert ("in place of 50,000,000: that is what fits 70%" in str(found)) == (rows < 50_000_000)


def test_a_part_asks_for_no_fewer_rows_than_are_of_its_time() -> None:
    """And for a few more, which its statement leaves out by their time."""
    past = history.past_of(1_000, paid=10)
    assert past.began.time() == datetime.min.time()
    step = (past.ended - past.began) / past.count
    edges = [past.began + number * timedelta(days=7) for number in range(9)]

    for since, until in itertools.pairwise(edges):
        own = {number for number in range(past.count) if since <= past.began + number * step < until}
        query = history.webhooks_within(past, since, until)
        first, last = map(int, re.findall(r"generate_series\((-?\d+)::bigint, (-?\d+)::bigint\)", query)[0])
        assert own <= set(range(first, last + 1))
        assert last + 1 - first <= len(own) + 3
    assert edges[-1] > past.ended
