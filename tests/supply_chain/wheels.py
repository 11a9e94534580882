"""The wheels that the image is made of: those of the lock that run in production, and the one of this checkout."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.supply_chain.lock import Pinned

PYTHON: Final = (3, 11)
"""The Python of Debian 12, which is the image's."""

REQUIREMENTS: Final = "requirements.txt"


def fetch_wheels(pinned: Sequence[Pinned], pip: Pinned, project: Path, folder: Path) -> None:
    """Fill the folder, and write there what is to be installed of it, each with its hashes.

    ``pip`` is fetched beside them: the image has none, and installs with this one. What has no wheel for this kind of
    machine is refused by pip. Ends the process with a line where it runs in another Python: the markers of the lock
    would choose other packages.
    """
    if sys.version_info[:2] != PYTHON:
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"the image has Python 3.11, and this is {found}: make the environment with it, make PYTHON=python3.11")
    folder.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(package.lines for package in pinned)
    _download(f"{lines}\n{pip.lines}\n", folder)
    own = _build(project, folder)
    name, version = own.name.split("-")[:2]
    digest = hashlib.sha256(own.read_bytes()).hexdigest()
    (folder / REQUIREMENTS).write_text(f"{lines}\n{name}=={version} --hash=sha256:{digest}\n", encoding="utf-8")


def _download(requirements: str, folder: Path) -> None:
    given = folder / REQUIREMENTS
    given.write_text(requirements, encoding="utf-8")
    command = ["download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes"]
    _pip(*command, "--only-binary", ":all:", "--dest", str(folder), "--requirement", str(given))


def _build(project: Path, folder: Path) -> Path:
    """The wheel of this checkout, built by the setuptools that is here."""
    before = set(folder.glob("checkout_service-*.whl"))
    _pip("wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir", str(folder), str(project))
    (own,) = set(folder.glob("checkout_service-*.whl")) - before
    return own


def _pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"pip {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
