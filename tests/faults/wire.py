"""HTTP as a plain client speaks it: one connection a thread, kept alive, and no answer is an outcome like any other."""

from __future__ import annotations

import http.client
import json
import select
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NO_ANSWER = 0

Headers = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back; status 0 when nothing did."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str]
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """Asks one address; to be used by one thread."""

    def __init__(self, address: tuple[str, int], *, timeout: float = 10.0) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=timeout)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Headers | None = None) -> Answer:
        """Send once. A connection that fails is closed, and the next request opens another."""
        started = time.monotonic()
        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            self._connection.request(method, path, body, {**kind, **(headers or {})})
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return Answer(status=NO_ANSWER, headers={}, seconds=time.monotonic() - started)
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(status=answer.status, body=content, headers=headers, seconds=time.monotonic() - started)

    @property
    def is_open(self) -> bool:
        """Whether a connection is kept; the other side may have closed it."""
        return self._connection.sock is not None

    def connects(self) -> bool:
        """Connect already, unless a connection is open that the other side has not closed; False if nobody listens."""
        if self._connection.sock is not None:
            readable, _, _ = select.select([self._connection.sock], [], [], 0)
            if not readable:
                return True
            self._connection.close()
        try:
            self._connection.connect()
        except ConnectionRefusedError:
            return False
        return True

    def close(self) -> None:
        self._connection.close()


class Balancer:
    """Asks several addresses in turn as a balancer does; passes on what is refused.

    Each time on a new connection, or with ``keep_alive`` on one a address that is kept for as long as the other side
    keeps it. Never asks twice: a request that was sent and not answered is lost.
    """

    def __init__(
        self, addresses: Sequence[tuple[str, int]], *, timeout: float = 10.0, keep_alive: bool = False
    ) -> None:
        self._wires = deque(Wire(address, timeout=timeout) for address in addresses)
        self._says = {} if keep_alive else {"Connection": "close"}

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Headers | None = None) -> Answer:
        """Send to the first that accepts a connection; what happens to it there is the answer."""
        self._wires.rotate(1)
        for wire in self._wires:
            if wire.connects():
                return wire.ask(method, path, body, {**(headers or {}), **self._says})
        return Answer(status=NO_ANSWER, headers={}, seconds=0.0)

    def close(self) -> None:
        for wire in self._wires:
            wire.close()


class Threads:
    """Threads that end together; what one of them raised is raised again at the end, and one that hangs is named."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._raised: list[Exception] = []

    def start(self, work: Any, *arguments: Any, name: str) -> None:
        def run() -> None:
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001 (raised again by join)
                self._raised.append(error)

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def join(self, *, within: float) -> None:
        """Wait for all. Raises TimeoutError, or what the first thread raised."""
        deadline = time.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._raised:
            raise self._raised[0]
        hanging = [thread.name for thread in self._threads if thread.is_alive()]
        if hanging:
            raise TimeoutError(f"still at work after {within:.0f} s: {', '.join(hanging)}")
