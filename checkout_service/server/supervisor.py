"""The process that holds the listening sockets. It runs no code of the shop, and so outlives its releases.

It starts a generation: a master with its children. On SIGHUP it starts another one from the code that lies on disk by
then. Once the children of that serve, it has the former one end, which finishes its requests. One that does not come to
serve is ended, and the former one goes on. All accept from the same sockets, which are never closed meanwhile: what
waits in their queues is accepted by whoever serves next.

Why the master does not run the new code in its own place (exec): between that and its first child nobody would handle a
signal, and new code that fails there would take the service with it.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from checkout_service.server.closing import CLOSED_WITHIN, close_for_all
from checkout_service.server.generation import SETTING, Generation
from checkout_service.server.systemd import Notifier
from checkout_service.telemetry.plain_log import PlainLog

SERVES_WITHIN: Final = 240.0
"""Seconds that a generation that is to follow has until all its children serve."""

STOPS_WITHIN: Final = 30.0
"""Seconds after which a generation that was asked to end is killed; above what its master allows its children."""

LEAVES_WITHIN: Final = 5.0
"""Seconds that the children of a master that was killed are waited for: they notice within 0.25 s."""

_TURN: Final = 0.5
"""Seconds between two looks at the clock."""

log = PlainLog()


@dataclass(kw_only=True, eq=False)
class _Running:
    """A generation that runs, and what it has told."""

    process: subprocess.Popen[bytes]
    serving: int
    follows: bool
    began: float = field(default_factory=time.monotonic)
    size: int | None = None
    serve: set[str] = field(default_factory=set)
    drained: set[str] = field(default_factory=set)
    is_silent: bool = False
    unread: bytes = b""
    ending_since: float | None = None
    ended_at: float | None = None

    @property
    def serves(self) -> bool:
        return self.size is not None and len(self.serve) >= self.size

    @property
    def has_ended(self) -> bool:
        return self.process.returncode is not None

    @property
    def is_gone(self) -> bool:
        """Whether its children have ended as well: then nobody holds the other end of its pipe."""
        if self.ended_at is None:
            return False
        return self.is_silent or time.monotonic() - self.ended_at > LEAVES_WITHIN

    @property
    def may_lose_listener(self) -> bool:
        return self.has_ended or self.serve <= self.drained

    def note_end(self, status: int) -> None:
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.ended_at = time.monotonic()

    def hear(self) -> None:
        """Read what it tells, up to where it has told no more."""
        with suppress(BlockingIOError):
            while piece := os.read(self.serving, 4096):
                self.unread += piece
            self.is_silent = True
        *lines, self.unread = self.unread.split(b"\n")
        for line in lines:
            word, _, value = line.decode("ascii", "replace").partition(" ")
            if word == "of" and value.isdigit():
                self.size = int(value)
            elif word == "serves":
                self.serve.add(value)
            elif word == "drained":
                self.drained.add(value)

    def end(self) -> None:
        if self.ending_since is None:
            self.ending_since = time.monotonic()
        if not self.has_ended:
            self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Not by Popen, which would take note of its end itself, and keep it from us."""
        os.kill(self.process.pid, number)


class Supervisor:
    """Runs generations of one command, one after the other, on the same sockets."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        listener: socket.socket,
        management: socket.socket | None,
        is_outlived: bool,
        notifier: Notifier,
        within: float = SERVES_WITHIN,
    ) -> None:
        """``folder`` is found by its name each time: so a link that leads elsewhere by then is followed."""
        self._command = command
        self._folder = folder
        self._environment = environment
        self._listener = listener
        self._management = management
        self._is_outlived = is_outlived
        self._notifier = notifier
        self._within = within
        self._ending_read, self._ending = os.pipe()
        self._current: _Running | None = None
        self._next: _Running | None = None
        self._leaving: list[_Running] = []
        self._stopping_since: float | None = None
        self._is_closed = is_outlived
        self._stop_requested = False
        self._replacement_requested = False
        self._is_known_to_serve = False

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; the status to end with. SIGHUP has what serves replaced."""
        with _woken_by_signals(self._signalled) as woken:
            self._current = self._start(follows=False)
            while True:
                self._wait(woken)
                self._reap()
                self._decide()
                if self._stopping_since is not None and all(running.is_gone for running in self._all()):
                    status: int = self._current.process.returncode
                    return status if status >= 0 else 1

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._replacement_requested = True
        elif number != signal.SIGCHLD:
            self._stop_requested = True

    def _start(self, *, follows: bool) -> _Running:
        """Raises OSError where the command or its folder is not there."""
        read, write = os.pipe()
        os.set_blocking(read, False)
        generation = Generation(
            listener=self._listener.fileno(),
            management=self._management.fileno() if self._management else None,
            ending=self._ending_read,
            serving=write,
            follows=follows,
            is_outlived=self._is_outlived,
        )
        try:
            process = subprocess.Popen(  # noqa: S603 (our own command line)
                self._command,
                cwd=self._folder,
                env={**self._environment, SETTING: generation.as_setting()},
                pass_fds=generation.descriptors(),
            )
        except OSError:
            os.close(read)
            raise
        finally:
            os.close(write)
        return _Running(process=process, serving=read, follows=follows)

    def _decide(self) -> None:
        self._kill_late_ones()
        assert self._current is not None  # noqa: S101 (it is started before the first turn)
        if self._stopping_since is not None:
            self._close_listener(self._stopping_since)
            return
        if self._current.has_ended and self._next is not None and not self._next.has_ended:
            log.error("generation_died", pid=self._current.process.pid, consequence="the one that follows takes over")
            self._leaving.append(self._current)
            self._current, self._next, self._is_known_to_serve = self._next, None, False
        if self._stop_requested or self._current.has_ended or self._is_late(self._current):
            self._stop()
            return
        if self._current.serves and not self._is_known_to_serve:
            self._is_known_to_serve = True
            self._tell_ready("Serves.")
        if self._next is not None:
            self._look_at_next(self._next, former=self._current)
        if self._replacement_requested:
            self._replacement_requested = False
            self._begin_to_replace()

    def _is_late(self, running: _Running) -> bool:
        """Whether it was to follow, and is not ready yet: it takes nothing, for its children believe that others do."""
        return running.follows and not running.serves and time.monotonic() - running.began > self._within

    def _tell_ready(self, status: str) -> None:
        self._notifier.tell("READY=1", f"STATUS={status}")

    def _begin_to_replace(self) -> None:
        """Start what is to follow. Asked again meanwhile, begin anew: the code may be another one by now."""
        if self._next is not None:
            self._leave(self._next)
            self._next = None
        if self._is_known_to_serve:
            now = time.monotonic_ns() // 1000
            self._notifier.tell("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=Is being replaced.")
        log.info("replacement_begins", folder=str(self._folder))
        try:
            self._next = self._start(follows=True)
        except OSError as error:
            self._keep(f"it cannot be started: {error}")

    def _look_at_next(self, coming: _Running, *, former: _Running) -> None:
        if coming.has_ended:
            self._next = None
            self._leaving.append(coming)
            self._keep(f"it ended with status {coming.process.returncode}")
        elif coming.serves:
            self._current, self._next, self._is_known_to_serve = coming, None, True
            self._leave(former)
            log.info("replaced", pid=coming.process.pid, seconds=round(time.monotonic() - coming.began, 1))
            self._tell_ready("Serves; was replaced.")
        elif self._is_late(coming):
            self._next = None
            self._leave(coming)
            self._keep(f"it was not ready within {self._within:.0f} s")

    def _keep(self, reason: str) -> None:
        log.error("replacement_failed", reason=reason, consequence="the former code goes on serving")
        if self._is_known_to_serve:  # else it is told once it does
            self._tell_ready(f"The former code serves: of the new one {reason}.")

    def _leave(self, running: _Running) -> None:
        running.end()
        self._leaving.append(running)

    def _stop(self) -> None:
        self._stopping_since = time.monotonic()
        self._notifier.tell("STOPPING=1")
        os.write(self._ending, b".")  # first: who is asked to end looks whether others follow
        for running in self._all():
            running.end()

    def _close_listener(self, since: float) -> None:
        """Once all have drained, have who connects refused at once; those who have connected are answered."""
        if self._is_closed:
            return
        is_due = time.monotonic() - since > CLOSED_WITHIN
        if is_due or all(running.may_lose_listener for running in self._all()):
            self._is_closed = True
            close_for_all(self._listener, tell=lambda: os.write(self._ending, b"."))

    def _kill_late_ones(self) -> None:
        for running in self._all():
            if running.has_ended or running.ending_since is None:
                continue
            if time.monotonic() - running.ending_since > STOPS_WITHIN:
                log.error("generation_killed", pid=running.process.pid)
                running.signal(signal.SIGKILL)

    def _all(self) -> list[_Running]:
        """Those that run, or ended and were not looked at yet."""
        return [running for running in (self._current, self._next, *self._leaving) if running is not None]

    def _reap(self) -> None:
        """Take note of who ended. Orphans too: in a container this is the process that they are left to."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            for running in self._all():
                if running.process.pid == pid:
                    running.note_end(status)
        for running in [each for each in self._leaving if each.is_gone]:
            self._leaving.remove(running)
            os.close(running.serving)

    def _wait(self, woken: socket.socket) -> None:
        """Until a signal comes, a generation tells something, or it is time to look at the clock."""
        with selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            telling = [one for one in self._all() if not one.is_silent]
            for running in telling:
                selector.register(running.serving, selectors.EVENT_READ)
            ready = {key.fileobj for key, _ in selector.select(_TURN)}
        with suppress(BlockingIOError):
            while woken.recv(4096):
                pass
        for running in telling:
            if running.serving in ready:
                running.hear()


@contextmanager
def _woken_by_signals(handle: Callable[[int], None]) -> Iterator[socket.socket]:
    """Have signals handled by the caller's own function; what is yielded can be read once one came."""
    woken, waker = socket.socketpair()
    with woken, waker:
        woken.setblocking(False)
        waker.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda number, _: handle(number))
        before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        try:
            yield woken
        finally:
            signal.set_wakeup_fd(before)
