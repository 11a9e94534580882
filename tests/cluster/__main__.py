"""``make cluster``: what the loss of each part does to three hosts, a line of JSON a scenario, a table at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path

from checkout_service.local.data_folder import ROOT
from tests.cluster import brokers, postgresql, whole_hosts
from tests.cluster.cluster import open_cluster
from tests.cluster.hosts import missing
from tests.cluster.measure import Outcome, Scenario, run
from tests.cluster.releases import UPGRADE, old_release
from tests.cluster.report import table, write

INSIDE = "CHECKOUT_CLUSTER"
SCENARIOS = (UPGRADE, *postgresql.SCENARIOS, *brokers.SCENARIOS, *whole_hosts.SCENARIOS, postgresql.LAST)


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="make cluster", description=__doc__)
    parser.add_argument("words", nargs="*", help="only scenarios with all of these in their names")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("--keep", type=Path, help="copy the logs of all hosts there")
    options = parser.parse_args(arguments)
    chosen = [found for found in SCENARIOS if all(word in found.name for word in options.words)]
    if options.list:
        sys.stdout.write("".join(f"{scenario.name}\n" for scenario in chosen))
        return 0
    if INSIDE not in os.environ:
        return _in_namespaces(arguments)
    started = time.monotonic()
    outcomes = list(_run(chosen, options.keep))
    seconds = time.monotonic() - started
    sys.stdout.write("\n".join(["", *table(outcomes), "", f"{seconds:.0f} s", ""]))
    if not options.words:
        write(ROOT / "docs" / "availability.md", outcomes, seconds=seconds)
    if len(outcomes) == 1:
        sys.stdout.write(f"{outcomes[0].line()}\n")
    return int(not outcomes or not all(found.held for found in outcomes))


def _in_namespaces(arguments: Sequence[str]) -> int:
    """This program again, in a network and with mounts and processes of its own, which end with it."""
    if lacking := missing():
        sys.stderr.write(f"NO CLUSTER: missing here: {', '.join(lacking)}. Nothing was tested.\n")
        return 0
    own = ["unshare", "--net", "--mount", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = [*own, sys.executable, "-m", "tests.cluster", *arguments]
    with subprocess.Popen(command, env={**os.environ, INSIDE: "1"}) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.kill())  # and with it everything in its namespaces
        return process.wait()


def _run(scenarios: Sequence[Scenario], keep: Path | None) -> Iterator[Outcome]:
    folder = Path(tempfile.mkdtemp(prefix="checkout-cluster-"))
    folder.chmod(0o755)
    release = ROOT
    if UPGRADE in scenarios:
        old = old_release(folder / "old")
        if old is None:
            sys.stderr.write("NO UPGRADE: this clone is too shallow to have the old release\n")
            scenarios = [scenario for scenario in scenarios if scenario is not UPGRADE]
        release = old or ROOT
    with open_cluster(folder, release) as cluster:
        listing = cluster.listing()
        for number, scenario in enumerate(scenarios):
            if number:
                cluster.settle()
            outcome = run(cluster, scenario, listing)
            sys.stdout.write(f"{outcome.line()}\n")
            sys.stdout.flush()
            yield outcome
        if keep:
            for name, host in cluster.hosts.items():
                shutil.copytree(host.logs, keep / name, dirs_exist_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
