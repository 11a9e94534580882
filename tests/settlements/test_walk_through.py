"""The walk through settled money in the docs is what a shell does, and ends as the page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, Sql
from tests.settlements.commands import Commands, run

__all__ = ["run"]  # a fixture

_PAGE = ROOT / "docs" / "settlements.md"


def test_the_walk_through_of_the_docs_ends_as_it_says(run: Commands, sql: Sql, tmp_path: Path) -> None:
    block = _PAGE.read_text().partition("## Try it on this machine")[2].partition("```sh\n")[2].partition("```")[0]
    first, _, steps = block.partition("\n")
    assert first == "set -a; . .data/environment; set +a"
    command = f"{sys.executable} -m checkout_service.command_line settlements"
    assert steps.count(".venv/bin/checkout settlements") == 7
    steps = steps.replace("/tmp/", f"{tmp_path}/").replace(".venv/bin/checkout settlements", command)
    environment = {**run.settings, "PATH": os.defpath}

    done = subprocess.run(
        ["/bin/sh", "-c", steps], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "lines.csv: held (" in done.stderr
    assert "what is expected is not known" in done.stdout
    assert "which was held, is entered by it" in done.stdout
    assert "po_1Walk2026: 2 unknown_here resolved" in done.stdout
    last = done.stdout.rpartition("po_1Walk2026  ")[2]
    assert "29.00 EUR: paid there, reconciled here\n" in last
    assert "at the bank: 29.00 EUR" in last
