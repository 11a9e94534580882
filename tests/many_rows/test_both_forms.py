"""The tests of webhooks, on a table that is in parts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

FOLDERS = ("tests/worker/webhooks", "tests/webhooks", "tests/oversight", "tests/privacy", "tests/races/test_worker.py")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("folder", FOLDERS)
def test_what_holds_of_webhooks_holds_of_webhooks_in_parts(folder: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", folder],
        cwd=ROOT,
        env=os.environ | {"WEBHOOKS_IN_PARTS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-5000:]
