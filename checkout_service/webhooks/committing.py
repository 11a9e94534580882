"""Commits webhooks that come at once by one statement; each is answered after that commit.

Who finds nobody else at work commits its webhook itself, as quickly as can be. Whoever comes meanwhile leaves it to the
one thread that commits, gives its slot back and is answered by that thread. So the busier it is, the more webhooks
share a statement and a commit. Right after a commit that several shared, their senders send their next ones: for a
moment these are waited for, since one commit more costs each of them more than that moment.

Nobody waits longer for it than for a statement of their own: another thread refuses whoever waits for too long. What
became of such a webhook may not be known then, as after any statement without an answer. Its provider sends it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from threading import Event, Lock
from time import monotonic
from typing import Final

import structlog
from flask import Flask

from checkout_service.database.engine import LOCK_WITHIN, is_failing
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.publishing.wake_up import notifier
from checkout_service.server.late_answers import LateAnswer, send_together
from checkout_service.threads import BackgroundThread
from checkout_service.webhooks.operations import NewWebhook, insert_webhook, insert_webhooks

MOST_AT_ONCE: Final = 256
"""Webhooks of one statement."""

MOST_BYTES_AT_ONCE: Final = 4 * 2**20
"""Bytes of one statement; sixteen of the largest webhooks are about as many."""

MOST: Final = 1024
"""Webhooks that are left to be committed in a process at a time. Whoever comes beyond commits its own."""

MOST_BYTES: Final = 16 * 2**20
"""Bytes of these."""

ANSWERED_WITHIN: Final = LOCK_WITHIN / 1000 + 0.1
"""Seconds that a webhook waits to be committed: a little longer than one statement waits for a lock, so that whoever
waits for one is refused for that."""

BUSY_FOR: Final = 0.005
"""Seconds after a shared commit within which whoever comes is left to the thread, though nobody is at work."""

GATHERS_FOR: Final = 0.001
"""Seconds for which the thread waits then, at most, until as many have come as shared the last commit."""

LOOKS_EVERY: Final = 0.05
"""Seconds between two looks for those who have waited for too long."""

log = structlog.get_logger(__name__)


class LeftWebhook:
    """A webhook that is left to be committed: the work that its view leaves."""

    __slots__ = ("_committer", "answer", "deadline", "is_answered", "request_id", "shown", "webhook")

    def __init__(
        self, committer: Committer, webhook: NewWebhook, request_id: str, shown: Callable[[str], bytes]
    ) -> None:
        self._committer = committer
        self.webhook = webhook
        self.request_id = request_id
        self.shown = shown
        """What its sender is answered, by the id of the row."""
        self.answer: LateAnswer | None = None
        self.deadline = 0.0
        """By ``monotonic``."""
        self.is_answered = False

    def begin(self, answer: LateAnswer) -> None:
        self.answer = answer
        self._committer.put(self)

    def drop(self) -> None:
        self._committer.take_away(self)


class Committer:
    """Commits the webhooks of this process. Nothing runs before the first that is left to it: it may be made before a
    fork."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._lock = Lock()
        self._alone = 0
        """How many are committed by the requests that they came by."""
        self._places = 0
        self._bytes = 0
        """How many are left to be committed, and not answered, and how many bytes they have."""
        self._waiting: deque[LeftWebhook] = deque()
        self._written: Sequence[LeftWebhook] = ()
        """Those of the statement at work."""
        self._rests = self._clock_rests = True
        self._awaited = 0
        """How many shared the last commit; while ``_busy_until``, by ``monotonic``, as many are expected again."""
        self._busy_until = 0.0
        self._gathered = Event()
        self._thread = BackgroundThread("webhook-commits", self._commits)
        self._clock = BackgroundThread("webhook-deadlines", self._deadlines)

    def insert(self, webhook: NewWebhook) -> str:
        """Commit one by itself, and return its id. Raises DatabaseUnavailableError."""
        with self._lock:
            self._alone += 1
        try:
            return insert_webhook(webhook)
        finally:
            with self._lock:
                self._alone -= 1

    def admit(self, webhook: NewWebhook, request_id: str, shown: Callable[[str], bytes]) -> LeftWebhook | None:
        """A place for a webhook among those that are committed at once; None: commit it yourself, by ``insert``.

        That is so where nobody else is at work, or was a moment ago, where there is no room, where the database is
        tried again, or where the system has no threads to give.
        """
        if not (self._alone or self._places or monotonic() < self._busy_until) or is_failing():
            return None
        if not (self._thread.start() and self._clock.start()):
            return None
        left = LeftWebhook(self, webhook, request_id, shown)  # before it has a place: what raises here keeps none
        with self._lock:
            if self._places >= MOST or self._bytes + webhook.size > MOST_BYTES:
                return None
            self._places += 1
            self._bytes += webhook.size
        return left

    def put(self, left: LeftWebhook) -> None:
        """Have it committed and answered. It has a place."""
        with self._lock:
            left.deadline = monotonic() + ANSWERED_WITHIN
            self._waiting.append(left)
            has_gathered = len(self._waiting) >= self._awaited
            wakes, self._rests = self._rests, False
            wakes_clock, self._clock_rests = self._clock_rests, False
        if wakes:
            self._thread.wake()
        if wakes_clock:
            self._clock.wake()
        if has_gathered:
            self._gathered.set()

    def take_away(self, left: LeftWebhook) -> None:
        """Give its place back: it was never put."""
        self._claimed([left])

    def _commits(self) -> Iterator[float | None]:
        while True:
            batch = self._next()
            if batch:
                try:
                    with self._app.app_context():
                        copy_context().run(self._commit, batch)
                finally:
                    # Whatever was raised, nobody else answers them so soon.
                    self._fail(batch, DatabaseUnavailableError("the commit was given up"))
                    self._written = ()
                self._expect(len(batch))
            yield 0.0 if batch else None

    def _expect(self, count: int) -> None:
        """So many were answered at this moment."""
        with self._lock:
            self._awaited = count
            self._busy_until = monotonic() + BUSY_FOR if count > 1 else 0.0
            if len(self._waiting) >= count:
                self._gathered.set()
            else:
                self._gathered.clear()

    def _next(self) -> Sequence[LeftWebhook]:
        """The next ones to be committed by one statement; none, and the thread rests."""
        if self._waiting and monotonic() < self._busy_until:
            self._gathered.wait(GATHERS_FOR)
        batch = list[LeftWebhook]()
        size = 0
        with self._lock:
            while self._waiting and len(batch) < MOST_AT_ONCE:
                size += self._waiting[0].webhook.size
                if batch and size > MOST_BYTES_AT_ONCE:
                    break
                batch.append(self._waiting.popleft())
            self._written = batch
            self._rests = not batch
        return batch

    def _commit(self, batch: Sequence[LeftWebhook]) -> None:
        """Commit them and answer them; one by one where the database refuses one of them."""
        if len(batch) == 1:
            self._commit_one(batch[0])
            return
        try:
            ids = insert_webhooks([left.webhook for left in batch])
        except DatabaseUnavailableError as error:
            self._fail(batch, error)
        except Exception as error:  # noqa: BLE001 (each is written again, and answered by what comes of that)
            log.warning("webhook_batch_refused", webhooks=len(batch), error=type(error).__name__)
            for left in batch:
                if not left.is_answered:
                    self._commit_one(left)
        else:
            self._send(batch, ids)

    def _commit_one(self, left: LeftWebhook) -> None:
        try:
            delivery_id = insert_webhook(left.webhook)
        except Exception as error:  # noqa: BLE001 (whatever it is, its sender is answered what one alone would be)
            self._fail([left], error)
        else:
            self._send([left], [delivery_id])

    def _send(self, batch: Sequence[LeftWebhook], ids: Sequence[str]) -> None:
        """Answer those that are committed. One wake-up is enough: the task that it leads to claims all that wait."""
        notifier().notify(ids[-1], batch[-1].request_id)
        # Made before anybody is claimed: who is claimed, and not sent an answer, would be sent none by others either.
        shown = {left: left.shown(delivery_id) for left, delivery_id in zip(batch, ids, strict=True)}
        send_together([(left.answer, shown[left]) for left in self._claimed(batch) if left.answer is not None])

    def _fail(self, batch: Sequence[LeftWebhook], error: BaseException) -> None:
        for left in self._claimed(batch):
            if left.answer is not None:
                left.answer.fail(error)

    def _claimed(self, batch: Sequence[LeftWebhook]) -> Sequence[LeftWebhook]:
        """Those of them that nobody has answered yet, for the caller to answer. Their places are free."""
        with self._lock:
            claimed = [left for left in batch if not left.is_answered]
            for left in claimed:
                left.is_answered = True
                self._places -= 1
                self._bytes -= left.webhook.size
        return claimed

    def _deadlines(self) -> Iterator[float | None]:
        """Refuse whoever has waited for too long, whatever the other thread does."""
        while True:
            now = monotonic()
            with self._lock:
                late = [left for left in (*self._written, *self._waiting) if left.deadline <= now]
                while self._waiting and self._waiting[0].deadline <= now:
                    self._waiting.popleft()
                rests = self._clock_rests = not self._places
            if late:
                with self._app.app_context():
                    copy_context().run(self._fail, late, DatabaseUnavailableError("not committed in time"))
            yield None if rests else LOOKS_EVERY


def connect_committer(app: Flask) -> None:
    """Give the app what commits its webhooks."""
    app.extensions["committer"] = Committer(app)
