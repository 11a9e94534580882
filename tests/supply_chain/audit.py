"""Asks whether holes are known in what the lock pins.

pip-audit by itself ends well when it could look nothing up, so here each package of the lock has to be in what it
looked up. Where nobody can be reached that is said, loudly, and is no fault of the lock.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from tests.supply_chain.lock import read_lock

PYPI: Final = "https://pypi.org/pypi/pip/json"

FINE, WRONG = 0, 1

SKIPPED: Final = """
**********************************************************************
audit: SKIPPED. {host} cannot be reached, so NOTHING was looked up.
**********************************************************************
"""


def audit(lock: Path, *, osv: str | None = None, cache: Path | None = None) -> int:
    """Look up each package of the lock that is for this system; the status to end with.

    ``osv`` is the address of another service that speaks OSV's protocol, in place of PyPI.
    """
    service = osv or PYPI
    if not _is_reached(service):
        sys.stdout.write(SKIPPED.format(host=urlsplit(service).netloc))
        return FINE
    options = ["--vulnerability-service", "osv", "--osv-url", osv] if osv else []
    options += ["--cache-dir", str(cache)] if cache else []
    options += ["--strict", "--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    command = [sys.executable, "-m", "pip_audit", *options, "--requirement", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    looked_up = _looked_up(done.stdout)
    missing = [name for name, pinned in read_lock(lock).items() if pinned.is_for_here and name not in looked_up]
    holes = [(name, hole["id"]) for name, holes in looked_up.items() for hole in holes]
    for name, hole in holes:
        sys.stdout.write(f"audit: {name} has a known hole: {hole}\n")
    if missing:
        sys.stdout.write(f"audit: {len(missing)} packages were not looked up, {', '.join(missing[:5])} among them:\n")
        sys.stdout.write("\n".join(done.stderr.splitlines()[-3:]) + "\n")
    if holes or missing or done.returncode:
        return WRONG
    sys.stdout.write(f"audit: {len(looked_up)} packages were looked up, and no hole is known in them\n")
    return FINE


def _looked_up(output: str) -> dict[str, Sequence[Any]]:
    """What is known of each package that was looked up; none where pip-audit gave up."""
    try:
        found = json.loads(output)["dependencies"]
    except (ValueError, KeyError):
        return {}
    return {entry["name"]: entry["vulns"] for entry in found if "skip_reason" not in entry}


def _is_reached(service: str) -> bool:
    try:
        httpx.head(service, timeout=10)
    except httpx.TransportError:
        return False
    return True
