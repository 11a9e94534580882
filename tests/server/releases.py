"""Releases of a small app, in folders that a link leads to, and a web process that serves them one after the other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from checkout_service.local.servers import free_port
from tests.children import children_of_web
from tests.conftest import ROOT
from tests.faults.wire import Wire

APP = '''
import os, time

class Probes:
    """Ready as soon as a file says so."""

    def start(self, *, is_ending):
        self.is_ending = is_ending

    def answer(self, path):
        if path not in {"/livez", "/readyz"}:
            return None
        ready = path == "/livez" or (os.path.exists("ready") and not self.is_ending())
        return 200 if ready else 503, {"Content-Type": "application/json"}, b"{}"

class App:
    extensions = {"checkout_service.server.probes": Probes()}

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            open("in-flight", "w").close()
            time.sleep(SLOW)
        environ["wsgi.input"].read()
        body = b"RELEASE %d" % os.getpid()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

app = App()
'''

ENVIRONMENT = {
    "ENVIRONMENT": "test",
    "DATABASE_URL": "postgresql://checkout_web@127.0.0.1:9/checkout",
    "REDIS_URL": "redis://127.0.0.1:9/0",
    "JWT_SECRET": "a secret of these tests alone, long as it has to be",
    "HOST": "127.0.0.1",
    "WEB_CONCURRENCY": "2",
}
"""Nobody is asked at these addresses: the app is none of ours. But the settings have to be whole."""


class Releases:
    """``current`` leads to the release that is to be served."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current = folder / "current"

    def put(self, name: str, *, app: str = APP, ready: bool = True, slow: float = 2) -> None:
        """Lay a release down, and have ``current`` lead there; it answers /slow after so many seconds."""
        release = self.folder / name
        release.mkdir()
        shutil.copy(ROOT / "serve.py", release)
        (release / "checkout_service").symlink_to(ROOT / "checkout_service")
        (release / "release.py").write_text(app.replace("RELEASE", name).replace("SLOW", str(slow)))
        if ready:
            (release / "ready").touch()
        link = self.folder / "next"
        link.symlink_to(release)
        link.replace(self.current)


class Serving:
    """A web process with two children."""

    def __init__(self, releases: Releases, log: Path, **environment: str) -> None:
        self.port = int(environment.get("PORT", 0)) or free_port()
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "serve.py", "release:app"],
                cwd=releases.current,
                env={**os.environ, **ENVIRONMENT, "PORT": str(self.port), "PWD": str(releases.current), **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def ask(self, path: str = "/") -> str:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30).text

    def serves(self, name: str) -> bool:
        """Whether this release answers now, and no other one."""
        try:
            return {self.ask().split()[0] for _ in range(8)} == {name}
        except httpx.TransportError:
            return False

    def replace(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def logged(self, event: str) -> int:
        """How many lines tell of this."""
        return sum(event in line for line in self.log.read_text().splitlines())

    def masters(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def children(self) -> list[psutil.Process]:
        return children_of_web(self.process.pid)


@contextmanager
def serving(releases: Releases, log: Path, **environment: str) -> Iterator[Serving]:
    """Serve what is current, until the block ends."""
    web = Serving(releases, log, **environment)
    try:
        eventually(lambda: web.ask("/livez") == "{}")
        yield web
    finally:
        if web.process.poll() is None:
            os.killpg(web.process.pid, signal.SIGKILL)
        web.process.wait()


def eventually(check: Callable[[], Any], *, within: float = 240.0) -> None:
    """Return once the check is true; a connection that is refused is false."""
    deadline = time.monotonic() + within
    while True:
        try:
            if check():
                return
        except (httpx.TransportError, psutil.NoSuchProcess):
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Asker:
    """Asks for what takes two seconds, in a thread; has the answer when the block has ended."""

    def __init__(self, web: Serving) -> None:
        self.answer = ""
        self._web = web
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        self.answer = self._web.ask("/slow")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()


class Clients:
    """Some that keep their connection and some that do not; each asks one thing after the other."""

    def __init__(self, address: tuple[str, int], *, pause: float = 0.01) -> None:
        self.answers: Counter[int] = Counter()
        self._over = threading.Event()
        self._address = address
        self._pause = pause
        kept = [True, True, False, False]
        self._threads = [threading.Thread(target=self._ask, args=(keeps,)) for keeps in kept]
        for thread in self._threads:
            thread.start()

    def _ask(self, keeps: bool) -> None:
        wire = Wire(self._address, timeout=60)
        body = json.dumps({"some": "thing"}).encode()
        while not self._over.wait(self._pause):
            self.answers[wire.ask("POST", "/", body).status] += 1
            if not keeps:
                wire.close()
        wire.close()

    def total(self) -> int:
        return self.answers.total()

    def stop(self) -> Counter[int]:
        self._over.set()
        for thread in self._threads:
            thread.join()
        return self.answers
