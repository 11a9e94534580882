"""Debian's promtool, and the files of deploy/observability."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Promtool = Callable[..., tuple[int, str]]


@pytest.fixture
def promtool(tmp_path: Path) -> Promtool:
    """Runs it: its exit status, and what it printed."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("NO PROMTOOL: install Debian's prometheus to have the rules and the scrape configuration tested")

    def run(*arguments: str | Path) -> tuple[int, str]:
        done = subprocess.run(
            [program, *map(str, arguments)],
            env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    return run
