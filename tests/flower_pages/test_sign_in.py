"""Who may sign in at Flower: what its setting may hold, and what a wrong one does."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT, Servers
from tests.flower_pages import stack as station


@pytest.mark.parametrize(
    ("listed", "words"),
    [(":", "has no user"), ("ops:a password, with a comma", "number 2 of 2 has no colon")],
)
def test_flower_does_not_start_with_what_lets_in_anybody(servers: Servers, listed: str, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker.app", "flower"],
        cwd=ROOT,
        env=station.environment(servers, FLOWER_BASIC_AUTH=listed),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"FLOWER_BASIC_AUTH: {words}" in done.stderr
    assert "comma" not in done.stderr.replace("holds no comma", "")
