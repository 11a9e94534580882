"""Load: wrk as fast as the server answers, or a paced client at a chosen rate; both replay prepared requests."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.stand import Stand
from checkout_service.local.data_folder import ROOT

CONNECTIONS = 16
SCRIPT = Path(__file__).parent / "replay.lua"

_firsts = count(1)


class LoadError(Exception):
    """The load could not be made, or was answered otherwise than it should be; the message says how."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A prepared request; ``{n}`` in a header becomes a text that no other request has."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""

    def line(self) -> bytes:
        headers = "|".join(f"{name}: {value}" for name, value in self.headers.items())
        return f"{self.method}\t{self.path}\t{headers}\t".encode() + self.body + b"\n"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What came back: how many, in how many seconds, and how long each took (seconds)."""

    requests: int
    seconds: float
    p50: float
    p99: float
    processor_seconds: float
    longest: float = 0.0
    """Of a paced load alone."""

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def webhook(body: bytes) -> Request:
    return Request(method="POST", path="/api/payments/webhook", headers={"Content-Type": "application/json"}, body=body)


def prepare(stand: Stand, name: str, requests: Iterable[Request]) -> Path:
    """Write requests to a file that both kinds of load read."""
    path = stand.place.folder / f"{name}.requests"
    with path.open("wb") as file:
        file.writelines(request.line() for request in requests)
    return path


def full_speed(base: str, requests: Path, *, seconds: float, connections: int = CONNECTIONS) -> Answers:
    """As fast as the server answers, over connections that are kept alive. Raises LoadError."""
    if shutil.which("wrk") is None:
        raise LoadError("wrk is missing, which makes the load: apt-get install wrk (or brew install wrk)")
    # Each run begins elsewhere in the file and with other unique texts.
    first = next(_firsts) * 1_000_003
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(SCRIPT), base]
    return _run([*command, "--", str(requests), str(first)])


def paced(base: str, requests: Path, *, rate: float, seconds: float) -> subprocess.Popen[bytes]:
    """Begin a load of so many requests a second; its answers are had from ``finished``.

    A request's time counts from when it was due, so a server that stops is not spared.
    """
    command = [sys.executable, "-m", "benchmarks.pace", base, str(requests), str(rate), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)


def finished(load: subprocess.Popen[bytes]) -> Answers:
    """Wait for a paced load. Raises LoadError."""
    output, _ = load.communicate()
    return _answers(output, load.returncode)


def _run(command: list[str]) -> Answers:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=False, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return _answers(done.stdout, done.returncode, processor_seconds=spent)


def _answers(output: bytes, code: int, **more: Any) -> Answers:
    if code:
        raise LoadError(f"the load ended with status {code}: {output.decode(errors='replace')}")
    found = json.loads(output.strip().splitlines()[-1])
    if found.pop("failed"):
        raise LoadError(f"some requests failed: {output.decode(errors='replace')}")
    return Answers(**found, **more)
