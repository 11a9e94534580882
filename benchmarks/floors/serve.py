"""Serves the web floor under Granian itself, with as many children as the service has, and two threads each."""

from __future__ import annotations

import os

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server import MPServer


def main() -> None:
    MPServer(
        "benchmarks.floors.web:app",
        address="127.0.0.1",
        port=int(os.environ["PORT"]),
        interface=Interfaces.WSGI,
        workers=int(os.environ.get("WEB_CONCURRENCY") or len(os.sched_getaffinity(0))),
        blocking_threads=2,
        backpressure=4096,
        http1_settings=HTTP1Settings(keep_alive=True),
    ).serve()


if __name__ == "__main__":
    main()
