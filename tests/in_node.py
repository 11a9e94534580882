"""What tests run in node: the program and the packages that ``make node`` installs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT

PROGRAM: Final = ROOT / ".node" / "bin" / "node"

PACKAGES: Final = ROOT / ".node"
"""The folder whose ``node_modules`` has what tests/node/package.json names."""


def find_node(*packages: str, folder: Path = PACKAGES) -> str:
    """The program, by which the packages of this folder are run. Skips, and says so, where one of them is missing."""
    missing = [name for name in packages if not (folder / "node_modules" / name).is_dir()]
    if missing or not os.access(PROGRAM, os.X_OK):
        pytest.skip(f"not there: {', '.join(missing) or 'node'}; make node installs it")
    return str(PROGRAM)
