"""Long polls: requests that are answered once what they are about has changed, and meanwhile take no thread or slot.

A view that has nothing new to tell hands its request over (``answer_at_change``). What is kept of it is its head, its
way back and what the view has answered. One thread of the process looks at all of them at once, some times a second, by
one statement for each kind. What has changed runs again from the beginning, through the slots, so that who asks is
checked once more. What has not is sent its view's answer at its deadline by another thread, whatever the database does.

Clients that hang up are not noticed before the deadline. Therefore these requests have bounds of their own, and
whoever comes beyond them is answered at once, as if they had not offered to wait.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from math import inf
from threading import Lock
from typing import Any, Final, Protocol

import structlog
from flask import Response, request

from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.server.bodies import has_body
from checkout_service.server.slots import ENVIRON_KEY as SLOTS_KEY
from checkout_service.server.slots import Kind, Share, Slots
from checkout_service.telemetry import metrics, request_log
from checkout_service.threads import BackgroundThread

LOOKS_KEY: Final = "checkout_service.server.looks"
"""Under this key of an app's extensions stand its looks, by their names: what tells which subjects have changed."""

ENVIRON_KEY: Final = "checkout_service.server.long_polls"
"""Under this key of a request's environment stand the long polls of its server, if that can hold any."""

POLL_KEY: Final = "checkout_service.server.long_poll"
"""Under this key stands the long poll that the request is."""

LONGEST: Final = 30
"""Seconds that a client may have itself kept waiting. Proxies give up after 60."""

EVERY: Final = 0.5
"""Seconds from one look to the next."""

LONGEST_PAUSE: Final = 4.0
"""Seconds; so often at least is looked, and tried whether the database is back."""

RESTS: Final = 4
"""So many times as long as a look took is the pause behind it: looks have a fifth of a connection's time."""

MOST_AT_ONCE: Final = 64
"""So many of what has changed are in the slots or in their lines at a time."""

LARGEST_HEAD: Final = 12 * 1024
"""Bytes of a head that is kept; the server takes longer ones. The largest token that is read has 8 KiB."""

RETRY_AFTER: Final = "5"
"""Seconds after which a client that found no room may try again."""

log = structlog.get_logger(__name__)

Seen = tuple[Hashable, int]
"""A subject, and the version of it that a client has."""

Look = Callable[[Collection[Seen]], Collection[Seen]]
"""Those of these that have changed since: what is no longer at that version. May raise."""


class Ended(Protocol):
    """What becomes of a long poll; both return soon and never raise."""

    def run_again(self, poll: Poll) -> None:
        """Answer it anew, in this thread, which is in a slot; or have it kept once more."""

    def answer_unchanged(self, poll: Poll) -> None:
        """Send what its view has answered."""


@dataclass(slots=True, eq=False)
class Poll:
    """One long poll. Its deadline is of ``time.perf_counter``."""

    look: str
    """The name of the look that knows its subject."""
    subject: Hashable
    version: int
    deadline: float
    shares: Sequence[str]
    kind: Kind
    waits: bool = False
    """Whether its view has nothing new to tell. What the view answers then is kept for the deadline."""
    was_kept: bool = False
    client: Any = None
    """The way back, as the server handed it in."""
    scope: dict[str, Any] = field(default_factory=dict)
    """The head, as the server handed it in."""
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    """With the two before it: what its view has answered."""
    begun: request_log.Begun | None = None


class LongPolls:
    """The long polls of this process, ``most`` of them.

    ``ends`` tells whether this process has begun to end: then all are answered, and no other is taken.
    """

    def __init__(
        self,
        looks: Mapping[str, Look],
        *,
        slots: Slots,
        most: int,
        ended: Ended,
        ends: Callable[[], bool] = lambda: False,
    ) -> None:
        self._look_by_name = looks
        self._slots = slots
        self._most = most
        self._ended = ended
        self._ends = ends
        self._lock = Lock()
        self._waiting: dict[Poll, None] = {}
        self._changed: deque[Poll] = deque()
        self._at_work = 0
        self._taken: Counter[str] = Counter()
        self._places = 0
        """How many are taken; also by those that have changed."""
        self._looker = BackgroundThread("long-polls", self._looks)
        self._clock = BackgroundThread("long-poll-deadlines", self._deadlines)
        self._has_threads()  # at once: while one request starts them, the others of that moment would be refused

    def begin(self, shares: Mapping[str, int]) -> bool:
        """Take a place for one; False where all are taken, or those of one of its ``shares``: see ``Places``."""
        has_threads = self._has_threads()
        with self._lock:
            full = self._places >= self._most or any(self._taken[name] >= most for name, most in shares.items())
            if not has_threads or full or self._ends():
                metrics.long_polls_total.labels("refused").inc()
                return False
            self._places += 1
            self._taken.update(shares.keys())
        metrics.long_polls.inc()
        return True

    def keep(self, poll: Poll) -> None:
        """Keep it until it has changed, or its deadline. It has a place."""
        poll.was_kept = True
        with self._lock:
            is_first = not self._waiting
            self._waiting[poll] = None
        if is_first:
            self._looker.wake()
            self._clock.wake()

    def end(self, poll: Poll) -> None:
        """Give its place back: it was answered by its view, or could not be kept."""
        self._give_back(poll, "changed" if poll.was_kept else None)

    def _has_threads(self) -> bool:
        return self._looker.start() and self._clock.start()

    def _give_back(self, poll: Poll, outcome: str | None) -> None:
        with self._lock:
            self._places -= 1
            self._taken.subtract(poll.shares)
            for share in poll.shares:
                if self._taken[share] <= 0:
                    del self._taken[share]
        metrics.long_polls.dec()
        if outcome is not None:
            metrics.long_polls_total.labels(outcome).inc()

    def _looks(self) -> Iterator[float | None]:
        pause = EVERY
        while True:
            with self._lock:
                before = list(self._waiting)
            if before:
                began = time.perf_counter()
                is_there = self._look(before)
                took = time.perf_counter() - began
                pause = min(max(EVERY, RESTS * took) if is_there else 2 * pause, LONGEST_PAUSE)
            self._run_changed()
            with self._lock:
                # One at work may be put back, if another thread finds its line full at this moment.
                rests = not before and not self._changed and not self._at_work
            yield None if rests else pause

    def _look(self, polls: Sequence[Poll]) -> bool:
        """Put aside those that have changed; of those alone that had been kept before. False: the database is away."""
        by_look = defaultdict[str, list[Poll]](list)
        for poll in polls:
            by_look[poll.look].append(poll)
        for name, alike in by_look.items():
            try:
                changed = self._look_by_name[name]({(poll.subject, poll.version) for poll in alike})
            except DatabaseUnavailableError:
                return False
            except Exception:
                log.exception("long_poll_look_failed", look=name)  # the others are looked at all the same
                continue
            with self._lock:
                for poll in alike:
                    if (poll.subject, poll.version) in changed and poll in self._waiting:
                        del self._waiting[poll]
                        self._changed.append(poll)
        return True

    def _run_changed(self) -> None:
        """Hand to the slots what has changed, as much as may be there at once. Never works itself."""
        while True:
            with self._lock:
                if self._at_work >= MOST_AT_ONCE or not self._changed:
                    return
                poll = self._changed.popleft()
                self._at_work += 1
            if not self._slots.admit_elsewhere(partial(self._work, poll), poll.kind):
                with self._lock:
                    self._at_work -= 1
                    self._changed.appendleft(poll)  # the next look tries again, and its deadline holds
                return

    def _work(self, poll: Poll) -> None:
        try:
            if poll.deadline <= time.perf_counter():
                self._answer(poll, "unchanged")  # it was long in the line, and its client asks again
            else:
                self._ended.run_again(poll)
        finally:
            with self._lock:
                self._at_work -= 1
            self._run_changed()

    def _deadlines(self) -> Iterator[float | None]:
        while True:
            ends, now = self._ends(), time.perf_counter()
            with self._lock:
                due = [poll for poll in (*self._waiting, *self._changed) if ends or poll.deadline <= now]
                for poll in due:
                    self._waiting.pop(poll, None)
                if due:
                    late = set(due)
                    self._changed = deque(poll for poll in self._changed if poll not in late)
                following = min((poll.deadline for poll in (*self._waiting, *self._changed)), default=inf)
                rests = following == inf and not self._at_work
            for poll in due:
                self._answer(poll, "ended" if ends else "unchanged")
            yield None if rests else max(0.0, min(EVERY, following - time.perf_counter()))

    def _answer(self, poll: Poll, outcome: str) -> None:
        """Send what was kept, in a context of its own, since its lines carry its id."""
        try:
            copy_context().run(self._ended.answer_unchanged, poll)
        except BaseException:
            log.exception("long_poll_failed")
        finally:
            self._give_back(poll, outcome)


def answer_at_change(
    answer: Response, *, look: str, subject: Hashable, version: int, seconds: int, shares: Mapping[str, int]
) -> Response:
    """The answer of the view at work, which tells nothing new: its client is sent none before ``subject`` has changed.

    ``look`` names what knows the subject. What ``version`` is of was read before the answer was made. ``seconds`` is
    the longest that the client waits, and ``shares`` tell whose place it takes and how many each may have. Where there
    is no room, the answer goes out at once, with Retry-After; so it does without where the server holds no long polls.
    A head of more than ``LARGEST_HEAD`` finds no room.
    """
    polls: LongPolls | None = request.environ.get(ENVIRON_KEY)
    if polls is None or has_body(request.environ):
        return answer
    poll: Poll | None = request.environ.get(POLL_KEY)
    if poll is not None:  # it ran again, and this reader is shown nothing of the change
        poll.version = version
        poll.waits = poll.deadline > time.perf_counter()
    elif seconds > 0:
        share: Share = request.environ[SLOTS_KEY]
        deadline = time.perf_counter() + seconds
        poll = Poll(look, subject, version, deadline, tuple(shares), share.kind, waits=True)
        is_small = sum(len(name) + len(value) for name, value in head_of(request.environ).items()) <= LARGEST_HEAD
        if is_small and polls.begin(shares):
            request.environ[POLL_KEY] = poll
        else:
            answer.headers["Retry-After"] = RETRY_AFTER
            return answer
    if poll is not None and poll.waits:
        poll.status = answer.status_code
        request_log.postpone(request.environ, poll.status)
    return answer


def seen_before() -> int | None:
    """The version that the request at work was at when it was kept; None: it has just come.

    A view whose versions are places goes on from there in place of where its client is.
    """
    poll: Poll | None = request.environ.get(POLL_KEY)
    return None if poll is None else poll.version


def head_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """What came of a request's head. What the app has put beside it, its own request first of all, is a multiple."""
    return {name: value for name, value in environ.items() if name.isupper() or name == "wsgi.url_scheme"}
