"""Builds to measure beside this one: a commit in a folder of its own, with the environment of its own lock."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from benchmarks.report import tell
from checkout_service.local.data_folder import ROOT

KEPT: Final = ROOT / ".bench"
"""Environments of other locks, by the lock: to build one takes a minute, and a pip that finds all of the lock."""

LAST_LINES = 12


NEEDED: Final = ("requirements.lock", "benchmarks/stand.py", "benchmarks/seeds.py")
"""What a commit has to have to be measured."""


class BuildError(Exception):
    """The commit cannot be built here; the message says what failed, and what would help."""


class SideError(Exception):
    """A side did not come to its end; what it said stands above."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """A tree and the Python whose packages are those of its lock."""

    name: str
    tree: Path
    python: Path

    def environment(self) -> dict[str, str]:
        """What its processes are started with: its modules, and its commands before any others."""
        path = f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return os.environ | {"PYTHONPATH": str(self.tree), "PATH": path}


def this() -> Build:
    """This tree, with the Python that runs."""
    return Build(name="this", tree=ROOT, python=Path(sys.executable))


def name_of_this() -> str:
    """What is measured here, for whoever reads the table: its commit, and whether that is all."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=normal")
    except BuildError:
        return "this tree, of no known commit"
    files = len(changed.splitlines())
    return f"{commit} and {files} files that are not committed" if files else commit


@contextmanager
def of_commit(commit: str) -> Iterator[Build]:
    """That commit, in a temporary folder; its environment is kept. Raises BuildError."""
    with tempfile.TemporaryDirectory(prefix="checkout-build-") as folder:
        tree = Path(folder)
        _lay_out(commit, tree)
        yield Build(name=commit, tree=tree, python=_python_for(tree / "requirements.lock", commit))


def _lay_out(commit: str, tree: Path) -> None:
    # By its hash, which no branch that moves meanwhile changes, and which is no option.
    try:
        found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    except BuildError as error:
        more = "" if str(error).endswith(": ") else f" ({error})"
        raise BuildError(
            f"git does not know the commit {commit}: fetch it (git fetch --unshallow), or name another{more}"
        ) from error
    with subprocess.Popen(["git", "archive", found], cwd=ROOT, stdout=subprocess.PIPE) as archive:
        unpacked = subprocess.run(["tar", "-x", "-C", str(tree)], stdin=archive.stdout, check=False)
    if archive.returncode or unpacked.returncode:
        raise BuildError(f"{commit} could not be laid out in {tree}: see what git and tar say above")
    if missing := [name for name in NEEDED if not (tree / name).is_file()]:
        raise BuildError(f"{commit} has no {missing[0]}: it is too old to be measured, or of another project")


def _python_for(lock: Path, commit: str) -> Path:
    """The Python of an environment with what this lock pins: this one, one that was kept, or a new one."""
    pinned = lock.read_bytes()
    if pinned == (ROOT / lock.name).read_bytes():
        return Path(sys.executable)
    version = "{}.{}".format(*sys.version_info[:2])
    folder = KEPT / sha256(pinned + version.encode()).hexdigest()[:16]
    KEPT.mkdir(exist_ok=True)
    # Of two at once the second finds what the first has built.
    with folder.with_suffix(".lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        return _built(folder, lock, commit)


def _built(folder: Path, lock: Path, commit: str) -> Path:
    python = folder / "bin" / "python"
    # One whose own Python was taken away since is none.
    if (folder / "complete").exists() and python.exists():
        return python
    tell(f"building the environment of {commit} by its lock, in {folder.relative_to(ROOT)}: once for each lock …")
    for step in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--require-hashes", "-r", str(lock)],
    ):
        done = _run(step)
        if done.returncode:
            heard = "\n".join(f"    {line}" for line in done.stderr.strip().splitlines()[-LAST_LINES:])
            raise BuildError(
                f"the environment of {commit} could not be built: `{' '.join(step[1:4])} …` ended with "
                f"{done.returncode}:\n{heard}\n  pip must find every package of that commit's requirements.lock: "
                "an index that has them all, or their files (PIP_FIND_LINKS)."
            )
    (folder / "complete").touch()
    return python


def _git(*arguments: str) -> str:
    """What git prints. Raises BuildError."""
    try:
        done = _run(["git", *arguments])
    except OSError as error:
        raise BuildError(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        raise BuildError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
