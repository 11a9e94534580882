"""What tests of the TypeScript client need: node, and the packages that ``make node`` installs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT
from tests.in_node import find_node

PYTHON: Final = ROOT / "clients" / "python"
TYPESCRIPT: Final = ROOT / "clients" / "typescript"


InNode = Callable[..., list[str]]
"""The command that runs a program of the TypeScript client's packages."""


@pytest.fixture(scope="session")
def node() -> str:
    """The node of ``make node``, which the TypeScript client's packages are installed for."""
    return find_node("openapi-fetch", "openapi-typescript", "typescript", folder=TYPESCRIPT)


@pytest.fixture(scope="session")
def in_node(node: str) -> InNode:
    """Its command by the name of the program: the program itself would take the first node of PATH."""

    def command(program: str, *arguments: str) -> list[str]:
        return [node, str(TYPESCRIPT / "node_modules" / ".bin" / program), *arguments]

    return command


@pytest.fixture
def another_node(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first node of PATH is one that runs nothing of ours, as a system's old one."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "node").write_text("#!/bin/sh\nexit 9\n")
    (folder / "node").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def compiled(in_node: InNode, tmp_path: Path) -> Path:
    """A folder with the TypeScript client, its tests and its journey as node runs them; others check the types."""
    command = in_node("tsc", "--noCheck", "--declaration", "false", "--outDir", str(tmp_path / "made"))
    subprocess.run(command, cwd=TYPESCRIPT, check=True, timeout=200)
    # Node looks for packages beside the program.
    (tmp_path / "node_modules").symlink_to(TYPESCRIPT / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path / "made"
