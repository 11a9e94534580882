"""What tests of the TypeScript client need: node, and the packages that ``make node`` installs."""

from __future__ import annotations

import shutil
import subprocess
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


@pytest.fixture
def compiled(programs: Path, tmp_path: Path) -> Path:
    """A folder with the TypeScript client, its tests and its journey as node runs them; others check the types."""
    command = [str(programs / "tsc"), "--noCheck", "--declaration", "false", "--outDir", str(tmp_path / "made")]
    subprocess.run(command, cwd=TYPESCRIPT, check=True, timeout=200)
    # Node looks for packages beside the program.
    (tmp_path / "node_modules").symlink_to(TYPESCRIPT / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path / "made"
