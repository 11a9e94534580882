"""One scenario on three hosts. ``make cluster`` runs all."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cluster.hosts import missing
from tests.conftest import ROOT


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_primary_crashes_and_nothing_is_lost() -> None:
    if lacking := missing():
        pytest.skip(f"NO CLUSTER: missing here: {', '.join(lacking)}")
    command = [sys.executable, "-m", "tests.cluster", "crash", "of", "the", "primary"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, outcome
    assert outcome["acknowledged"] > 100
    assert (outcome["lost"], outcome["doubled"], outcome["differing"], outcome["held"]) == (0, 0, 0, True)
