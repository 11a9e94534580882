"""``make profile``.

Where the time goes, as flame pictures of web and worker while webhooks are posted at full speed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import drain, load, seeds
from benchmarks.report import tell
from benchmarks.stand import stand
from checkout_service.local.data_folder import ROOT

FOLDER = ROOT / ".profiles"
SECONDS = 15
WEBHOOKS = 60_000


def main(seconds: int = SECONDS, webhooks: int = WEBHOOKS) -> int:
    """Write an SVG of each; py-spy watches from outside, so nothing in the service is changed or slowed."""
    watcher = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if watcher is None:
        sys.stderr.write("py-spy is missing: it is in the test group of pyproject.toml\n")
        return 1
    FOLDER.mkdir(exist_ok=True)
    with stand() as servers, servers.connect() as connection:
        seeds.add_payments(connection, first=0, count=webhooks)
        references = seeds.reference(connection, first=0, count=webhooks)
        secret = servers.environment["MOCK_WEBHOOK_SECRETS"]
        requests = load.prepare(servers, "profile", map(load.webhook, seeds.webhooks(references, secret)))
        base = servers.serve()
        servers.work()
        watchers = [watch(watcher, name, servers.pids()[name], seconds) for name in ("web", "worker")]
        load.full_speed(base, requests, seconds=seconds)
        drain.drained(servers, connection, lambda: None)
        failed = [one.args for one in watchers if one.wait()]
    if failed:
        sys.stderr.write("py-spy could not watch: it needs root, or sysctl kernel.yama.ptrace_scope=0\n")
        return 1
    tell(f"see {FOLDER.relative_to(ROOT)}/web.svg and worker.svg in a browser")
    return 0


def watch(watcher: str, name: str, pid: int, seconds: int) -> subprocess.Popen[bytes]:
    picture = FOLDER / f"{name}.svg"
    command = [watcher, "record", "--pid", str(pid), "--subprocesses", "--duration", str(seconds), "--output"]
    return subprocess.Popen([*command, str(picture)], stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
