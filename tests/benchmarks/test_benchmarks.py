"""Each figure can still be measured; how fast anything is, no test says."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from benchmarks.__main__ import ALONE, FIGURES
from tests.conftest import ROOT

NEED_WRK = {"receive", "shop", "end_to_end", "growth", "soak"}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("figure", [*FIGURES, *ALONE])
def test_figure_is_measured_and_shown_as_a_table(figure: str) -> None:
    if figure in NEED_WRK and shutil.which("wrk") is None:
        pytest.skip("wrk is not installed: apt-get install wrk")

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", figure, "--quick"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "| figure " in done.stdout, "no table was printed"


def test_unknown_figure_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "webhoooks"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "webhoooks" in done.stderr
    assert done.stdout == ""
