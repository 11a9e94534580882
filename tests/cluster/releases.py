"""A new release on all hosts while traffic goes on: from one whose newest migration is 0021."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from checkout_service.local.data_folder import ROOT
from tests.cluster.cluster import NAMES, PROCESSES, Cluster
from tests.cluster.measure import Scenario

OLD: Final = "04b09fb33b1632e7ec9b41c5faa62a17dfe78000"
"""The last commit whose newest migration is 0021."""


MOST_TRIES: Final = 3
"""Of the migrations, by whoever releases: docs/migrations.md says to run them again."""


_BY_PROCFILE: Final = """#!/bin/sh
here=$(dirname "$0")
line=$(sed -n "s/^$1: //p" "$here/../../Procfile")
exec "$here/"$line
"""


def old_release(folder: Path) -> Path | None:
    """The old release in that folder, with this one's libraries; None where the clone has no such commit."""
    packed = subprocess.run(["git", "archive", OLD], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        return None
    folder.mkdir()
    subprocess.run(["tar", "-x"], input=packed.stdout, cwd=folder, check=True)
    _make_environment(folder / ".venv")
    # What operators run is of this release: the scripts of the hosts' servers.
    subprocess.run(["cp", "-r", str(ROOT / "deploy"), str(folder)], check=True)
    return folder


def _make_environment(folder: Path) -> None:
    """This release's libraries, with a ``checkout`` as the units name it, which that release had by its Procfile."""
    (folder / "bin").mkdir(parents=True)
    for own, there in ((folder, ROOT / ".venv"), (folder / "bin", ROOT / ".venv" / "bin")):
        for path in there.iterdir():
            if path.name not in {"bin", "checkout"}:
                (own / path.name).symlink_to(path)
    program = folder / "bin" / "checkout"
    program.write_text(_BY_PROCFILE)
    program.chmod(0o755)


def upgrade(cluster: Cluster) -> None:
    """Migrations first, while the old release serves; then host by host, each process ends and begins."""
    cluster.release("a", ROOT)
    for tries in range(MOST_TRIES):
        with suppress(RuntimeError if tries + 1 < MOST_TRIES else ()):  # it did not get its lock within 5 s
            cluster.migrate()
            break
    for name in NAMES:
        cluster.release(name, ROOT)
        for process in PROCESSES:
            service = cluster.service(name, process)
            if service.runs:
                service.stop()
                service.uses_socket = True
                service.start()
        time.sleep(2)
        cluster.await_whole()


UPGRADE: Final = Scenario(
    name="rolling upgrade, from migration 0021",
    strike=upgrade,
    payments_a_second=10.0,
    requests=10_000,
    newer=True,
    internal_errors_at_most=20,
)
