"""What tests of the TypeScript client need: node, and the packages that ``make node`` installs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT

PYTHON: Final = ROOT / "clients" / "python"
TYPESCRIPT: Final = ROOT / "clients" / "typescript"


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of the programs of the TypeScript client's packages."""
    folder = TYPESCRIPT / "node_modules" / ".bin"
    if shutil.which("node") is None or not folder.is_dir():
        pytest.skip("node is missing, or clients/typescript/node_modules, which `make node` installs")
    return folder
