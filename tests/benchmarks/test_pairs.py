"""Pairs of turns are judged by their ratios; where the disk is noisy, by processor time."""

from __future__ import annotations

import pytest

from benchmarks.pairs import judge

QUICK = {"rate": 200.0, "web": 100.0, "postgres": 50.0, "others": 0.1}
SLOW = {"rate": 100.0, "web": 200.0, "postgres": 100.0, "others": 0.3}


def test_a_machine_that_is_slow_for_both_sides_of_a_pair_changes_nothing() -> None:
    half = {name: value / 2 for name, value in QUICK.items()}
    slower = {name: value / 2 for name, value in SLOW.items()}

    judged = judge([(QUICK, SLOW), (half, slower), (QUICK, SLOW)])

    assert not judged.is_noisy
    assert (judged.ratio, judged.rate.median, judged.spent.median) == (2.0, 2.0, 0.5)
    assert judged.others == pytest.approx(0.125)


def test_rates_that_say_otherwise_in_each_pair_give_way_to_processor_time() -> None:
    disk_slept = QUICK | {"rate": 100.0}

    judged = judge([(QUICK, SLOW), (disk_slept, SLOW), (QUICK, SLOW)])

    assert judged.is_noisy
    assert judged.ratio == 2.0
    assert "processor time" in str(judged)


def test_the_medians_of_ratios_count_and_not_the_ratio_of_medians() -> None:
    pairs = [(QUICK | {"rate": own}, SLOW | {"rate": other}) for own, other in ((100, 100), (11, 10), (1_200, 1_000))]

    assert judge(pairs).rate.median == pytest.approx(1.1)


def test_nothing_is_judged_without_a_pair() -> None:
    with pytest.raises(ValueError, match="no pair"):
        judge([])
