"""A wheel of this checkout, and an installation of it beside an empty folder, as somebody has who has no checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

LEFT_OUT = {"tests", "docs", "clients", "benchmarks", "findings", "deploy"}
"""Folders that no wheel is made of, and that are large."""


def source_files() -> list[str]:
    """What a clean checkout holds, by its paths; what nobody has committed yet is there too."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in found.split("\0") if path and (ROOT / path).is_file()]


def build(folder: Path) -> Path:
    """Copy the checkout to ``folder``/source and build its wheel there, by what is installed here."""
    source = folder / "source"
    for path in source_files():
        if path.partition("/")[0] not in LEFT_OUT:
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, source / path)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--wheel-dir", str(folder), "."],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Installed:
    """The package in ``target``, and an empty folder to run it in."""

    target: Path
    empty: Path

    @property
    def script(self) -> str:
        return str(self.target / "bin" / "checkout")

    def environment(self, **given: str) -> dict[str, str]:
        """Nothing but where the package is; what it depends on comes with the script's own Python."""
        return {"PYTHONPATH": str(self.target), **given}

    def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None, within: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [self.script, *arguments],
            cwd=self.empty,
            env=self.environment(**(environment or {})),
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )


def install(wheel: Path, folder: Path) -> Installed:
    """Install the wheel alone; nothing is fetched."""
    installed = Installed(folder / "target", folder / "empty")
    installed.empty.mkdir()
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run(
        [*command, "--disable-pip-version-check", "--target", str(installed.target), str(wheel)],
        check=True,
        capture_output=True,
    )
    return installed
