"""The wheels that the image is made of: those of the lock that run in production, and the one of this checkout.

The image's Python is another one than this, and needs other packages. So who needs whom is read from the wheels.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from tests.supply_chain.lock import Pinned, applies, production_requirements, read_lock

PYTHON: Final = (3, 11)
DEBIAN: Final = {"python_version": "3.11", "python_full_version": "3.11.2", "implementation_version": "3.11.2"}
"""The Python of Debian 12, which is the image's: the wheels' names tell 3.11 alone, their markers more."""

REQUIREMENTS: Final = "requirements.txt"

_OF_A_WHEEL: Final = ("checkout_service/", "worker/", "migrations/", "pyproject.toml", "README.md", "LICENSE")
"""What a wheel is made of: folders, and files at the top."""

_MOVED: Final = ("checkout_service/migrations/", "migrations/")
"""Where the wheel has what a checkout has at its top."""


def fetch_wheels(lock: Path, project: Path, folder: Path) -> list[Pinned]:
    """Fill the folder, write there what is to be installed of it, each with its hashes, and return what the lock pins.

    pip's own wheel is beside them: the image has none, and installs with this one. pip refuses what has no wheel for
    this kind of machine. Ends the process with a line where it runs in another Python than the image's.
    """
    if sys.version_info[:2] != PYTHON:
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"the image has Python 3.11, and this is {found}: make PYTHON=python3.11 venv")
    folder.mkdir(parents=True, exist_ok=True)
    pinned = read_lock(lock, DEBIAN)
    _download([pinned["pip"]], folder)
    needed: dict[str, set[str]] = {}
    open_ = [each for each in production_requirements(project) if applies(each, DEBIAN)]
    while open_:
        names = {canonicalize_name(each.name) for each in open_}
        _download([pinned[name] for name in sorted(names - needed.keys())], folder)
        changed = []
        for each in open_:
            name = canonicalize_name(each.name)
            if name not in needed or not each.extras <= needed[name]:
                needed[name] = needed.get(name, set()) | each.extras
                changed.append(name)
        open_ = [found for name in changed for found in _needs_of(name, needed[name], folder)]
    own = build_wheel(project.parent, folder)
    digest = hashlib.sha256(own.read_bytes()).hexdigest()
    name, version = own.name.split("-")[:2]
    chosen = [pinned[name] for name in sorted(needed)]
    lines = [*(package.lines for package in chosen), f"{name}=={version} --hash=sha256:{digest}"]
    (folder / REQUIREMENTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return chosen


def _needs_of(name: str, extras: set[str], folder: Path) -> list[Requirement]:
    (wheel,) = (path for path in folder.glob("*.whl") if parse_wheel_filename(path.name)[0] == name)
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA") and each.count("/") == 1)
        metadata = HeaderParser().parsestr(archive.read(path).decode())
    found = [Requirement(line) for line in metadata.get_all("Requires-Dist") or []]
    return [needed for needed in found if applies(needed, DEBIAN, extras)]


def _download(pinned: Sequence[Pinned], folder: Path) -> None:
    if not pinned:
        return
    given = folder / REQUIREMENTS
    # Without their markers, which pip would judge by this Python.
    lines = ["\n".join([_without_marker(package), *package.lines.splitlines()[1:]]) for package in pinned]
    given.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = ["download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes"]
    _pip(*command, "--only-binary", ":all:", "--dest", str(folder), "--requirement", str(given))


def _without_marker(package: Pinned) -> str:
    return f"{package.requirement.name}{package.requirement.specifier} \\"


def build_wheel(project: Path, folder: Path) -> Path:
    """The wheel of the checkout at ``project``, built by the setuptools that the lock names; it lies in ``folder``.

    It is built of a copy of what git knows or would add: setuptools packs what an older build has left in build/ too,
    files that are long gone. Ends the process where the wheel does not hold what the copy does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="checkout-wheel-") as name:
        copy = Path(name) / "source"
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=project, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if listed.returncode:
            sys.exit(f"git has to say what belongs to the checkout: {listed.stderr.strip()}")
        for path in filter(None, listed.stdout.split("\0")):
            if path.startswith(_OF_A_WHEEL) and (project / path).is_file():
                (copy / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(project / path, copy / path)
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation")
        _pip("wheel", *options, "--wheel-dir", name, str(copy))
        (own,) = Path(name).glob("checkout_service-*.whl")
        if strange := _strange(own, copy):
            sys.exit(f"{own.name} holds what the checkout does not: {', '.join(strange[:5])}")
        return Path(shutil.copy(own, folder / own.name))


def _strange(wheel: Path, source: Path) -> list[str]:
    """What is in the wheel, and not in what it was made of."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    return [name for name in names if not (source / name.replace(*_MOVED, 1)).is_file()]


def _pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"pip {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
