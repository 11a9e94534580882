"""``make audit``: known holes in what the lock pins. ``make sbom``: a list of what runs in production, as CycloneDX.

``image`` fetches the wheels that the image is made of, and lists them (deploy/image/prepare.sh). ``wheel`` builds the
one of this checkout.
"""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from pathlib import Path

from checkout_service.local.data_folder import ROOT
from tests.supply_chain.audit import audit
from tests.supply_chain.lock import Pinned, read_lock, run_in_production
from tests.supply_chain.wheels import build_wheel, fetch_wheels

LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"


def write_list(path: Path, packages: Iterable[Pinned]) -> None:
    """Write the software bill of materials: each of the packages, its version, its hashes."""
    pinned = "\n".join(package.lines for package in packages)
    # It warns that a list of pinned packages tells no graph of who needs whom, which is so.
    command = ["-W", "ignore::UserWarning", "-m", "cyclonedx_py", "requirements", "--pyproject", str(PROJECT)]
    command += ["--output-reproducible"]
    subprocess.run([sys.executable, *command, "--output-file", str(path), "-"], input=pinned, text=True, check=True)


def main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["audit", "sbom", "image", "wheel"])
    parser.add_argument(
        "--to", type=Path, default=ROOT / "sbom.cdx.json", help="the file, or the folder of image and wheel, to write"
    )
    options = parser.parse_args(arguments)
    if options.what == "audit":
        return audit(LOCK)
    if options.what == "image":
        write_list(options.to / "sbom.cdx.json", fetch_wheels(LOCK, PROJECT, options.to / "wheels"))
        return 0
    if options.what == "wheel":
        sys.stdout.write(f"{build_wheel(ROOT, options.to)}\n")
        return 0
    write_list(options.to, run_in_production(read_lock(LOCK), PROJECT))
    sys.stdout.write(f"{options.to}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
