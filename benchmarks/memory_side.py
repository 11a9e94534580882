"""One tree's half of the figure ``memory``: a script that runs in that tree, with the modules of its commit.

It starts every process of the Procfile, has some purchases made, then webhooks posted and applied, and answers with two
lines of JSON: bytes by process once they stand idle, after the purchases and after the webhooks. What commits before
this one call otherwise is found by its name.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from inspect import isfunction, signature
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from benchmarks import seeds
from benchmarks.stand import PROCFILE, Stand, stand
from checkout_service.local.purchase import buy

PURCHASES = int(os.environ.get("MEMORY_PURCHASES") or 20)
WEBHOOKS = int(os.environ.get("MEMORY_WEBHOOKS") or 6_000)
IDLE_FOR = float(os.environ.get("MEMORY_IDLE") or 10)
"""Seconds before each look, in which beat has sent most of what it sends."""

IS_TOGETHER = os.environ.get("MEMORY_TOGETHER") == "on"
"""Whether worker, housekeeping and sender have one parent."""

GROUP = os.environ.get("MEMORY_CGROUP")
"""The folder of a control group that was made beforehand, with a limit: all runs in it, what makes the load too."""

PARENT = "workers"
"""What that parent is called."""

WORKERS = ("worker", "housekeeping", "sender")
APPLIED_WITHIN = 300.0
CATALOGUE = Path("checkout_service/local/demo_catalog.jsonl")
PLENTY = 100_000
"""Pieces of each listing, more than are bought."""

SERVERS = ("postgres", "valkey")

_PENDING = "SELECT count(*) FROM webhook_deliveries WHERE state IN ('received', 'parked')"


def main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with in_group(), stand() as servers:
        catalogue = servers.place.folder / "catalogue.jsonl"
        lines = CATALOGUE.read_text(encoding="utf-8").splitlines()
        catalogue.write_text("".join(json.dumps(json.loads(line) | {"stock": PLENTY}) + "\n" for line in lines))
        base = begin(servers, catalogue)
        for _ in range(PURCHASES):
            buy(base, servers.environment, catalogue, lambda *_: None)
        answers.write(json.dumps(look(servers)) + "\n")
        answers.flush()
        with servers.connect() as connection:
            seeds.add_payments(connection, first=0, count=WEBHOOKS)
            references = list(seeds.reference(connection, first=0, count=WEBHOOKS))
            make: Any = next(thing for thing in vars(seeds).values() if takes(thing, "references", "secret"))
            post(base, make(iter(references), servers.environment["MOCK_WEBHOOK_SECRETS"]))
            await_applied(servers, connection)
        answers.write(json.dumps(look(servers)) + "\n")
        answers.flush()


@contextmanager
def in_group() -> Iterator[None]:
    """Have what is started from here on run in the control group; say at the end what the kernel counted in it."""
    if GROUP:
        (Path(GROUP) / "cgroup.procs").write_text(str(os.getpid()))
    yield
    if GROUP:
        for name in (
            "memory.max_usage_in_bytes",
            "memory.failcnt",
            "memory.oom_control",
            "memory.peak",
            "memory.events",
        ):
            if (path := Path(GROUP) / name).exists():
                sys.stderr.write(f"{name}: {' '.join(path.read_text().split())}\n")


def takes(thing: object, *names: str) -> bool:
    return isfunction(thing) and tuple(signature(thing).parameters) == names


def begin(servers: Stand, catalogue: Path) -> str:
    """Start all that serves, with these listings; the web's address."""
    command = [*PROCFILE["release"][:3], "catalog", "import", str(catalogue)]
    servers.run(*command, name="release")
    base = servers.serve()
    if IS_TOGETHER:
        servers.start(PARENT, [sys.executable, "-m", "checkout_service.command_line", PARENT])
        for name in WORKERS:
            port = servers.environment[f"{name.upper()}_METRICS_PORT"]
            servers.await_http(f"http://127.0.0.1:{port}", "/metrics", PARENT)
    for name in PROCFILE:
        if name in {"web", "release"} or (IS_TOGETHER and name in WORKERS):
            continue
        if name == "worker":
            servers.work()
        else:
            servers.start(name)
    servers.await_http(f"http://127.0.0.1:{servers.environment['FLOWER_PORT']}", "/healthcheck", "flower")
    return base


def post(base: str, bodies: Iterator[bytes]) -> None:
    """Post them all, eight at a time; raises where one is not taken."""
    with httpx.Client(base_url=base, timeout=30, headers={"Content-Type": "application/json"}) as http:

        def one(body: bytes) -> None:
            answer = http.post("/api/payments/webhook", content=body)
            while answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                time.sleep(0.2)
                answer = http.post("/api/payments/webhook", content=body)
            answer.raise_for_status()

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(one, bodies))


def await_applied(servers: Stand, connection: Any) -> None:
    until = time.monotonic() + APPLIED_WITHIN
    while connection.execute(_PENDING).fetchone()[0]:
        servers.check()
        if time.monotonic() > until:
            raise TimeoutError(f"webhooks were still pending after {APPLIED_WITHIN:.0f} s")
        time.sleep(0.2)


def look(servers: Stand) -> dict[str, int]:
    """Bytes by process of the Procfile, and of the servers, once all have stood idle for a while."""
    time.sleep(IDLE_FOR)
    servers.check()
    groups = servers.pids()
    processes = {name: list(family(pid)) for name, pid in groups.items()}
    if IS_TOGETHER:
        apart = {name: list(family(pid)) for name, pid in mains(servers).items()}
        processes |= apart | {PARENT: [groups[PARENT]]}
    shares = shared_out([pid for name, pids in processes.items() if name not in SERVERS for pid in pids])
    found = {name: sum(shares[pid] for pid in pids) for name, pids in processes.items() if name not in SERVERS}
    # PostgreSQL's processes share by far the most with each other: its own word for it will do.
    return found | {name: sum(map(kernels_own, processes[name])) for name in SERVERS}


def mains(servers: Stand) -> dict[str, int]:
    """The processes of the one parent, by its log: those that were started last."""
    log = servers.started[PARENT].named(PARENT).log.read_text(encoding="utf-8")
    return {name: int(pid) for pid, name in re.findall(r"process_started\s+pid=(\d+) process=(\w+)", log)}


def family(pid: int) -> Iterator[int]:
    """The process and its descendants."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        yield from (one.pid for one in (process, *process.children(recursive=True)))


class Part(NamedTuple):
    """A part of a file that a process has in its memory, and how much of it is there."""

    file: str
    resident: int


def shared_out(pids: Iterable[int]) -> Counter[int]:
    """Bytes of each process; a page that several of them have is divided among them (PSS).

    The kernel divides a file's pages among all who run on this machine, other work's Python included. Here they are
    divided among these processes alone, as if nothing else ran. Of each part of a file, so much counts as the process
    has that has most of it.
    """
    bytes_of: Counter[int] = Counter()
    by_file: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            rollup = fields(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:])
            bytes_of[pid] = rollup["Pss_Anon"] + rollup["Pss_Shmem"]
            for part in file_parts(pid):
                by_file[part.file][pid] = by_file[part.file].get(pid, 0) + part.resident
    for resident in by_file.values():
        most, together = max(resident.values()), sum(resident.values())
        for pid, own in resident.items():
            bytes_of[pid] += most * own // (together or 1)
    return bytes_of


def file_parts(pid: int) -> Iterator[Part]:
    """What this process has of files, without the pages of its own that were once a file's."""
    head, lines = "", list[str]()
    for line in [*Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines(), "end"]:
        if line.partition(" ")[0].endswith(":"):
            lines.append(line)
            continue
        words = head.split(maxsplit=5)
        if len(words) == 6 and words[5].startswith("/"):  # address, rights, offset, device, inode, path
            found = fields(lines)
            yield Part(f"{words[3]} {words[4]} {words[2]}", max(0, found["Rss"] - found["Anonymous"]))
        head, lines = line, []


def fields(lines: Iterable[str]) -> Mapping[str, int]:
    """Bytes by name, of lines as ``Rss:   12 kB``."""
    pairs = (line.split() for line in lines if line.endswith(" kB"))
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in pairs}


def kernels_own(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        return fields(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:])["Pss"]
    return 0


if __name__ == "__main__":
    main()
