"""One endpoint in the memory of the sender that has it: its lanes, how far it is, and what comes of each attempt.

A lane is a queue of which only the first event is in flight. A lane of which nothing waits in the database is here from
the endpoint's place on. One of which something waits is there, and its first event is here when it is due.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Final
from uuid import UUID

from checkout_service.endpoints.signing import Signer
from checkout_service.endpoints.states import EndpointState, StateReason
from checkout_service.events.posted import PostedEvent
from checkout_service.events.types import TEST_TYPE
from worker.events.claims import LEASE, Claimed
from worker.events.health import SLOW, Health
from worker.events.lanes import Item, Lanes
from worker.events.place import Place
from worker.events.posting import ANSWER_WITHIN, Answer
from worker.events.reading import NewEvent, OpenReplay, ReplayedEvent, Waiting
from worker.events.results import Attempt, Batch, Condition, Filed, Key, Move
from worker.events.schedule import DELAYS, next_attempt

DEEP: Final = 4
HELD_UP: Final = 5.0
"""So many event deliveries of a lane may wait in the memory behind an answer that takes longer than so many seconds."""

SLACK: Final = 3.0
"""Seconds of a lease that are left when an attempt that was begun under it has ended at the latest."""

TRIED_AGAIN_AFTER: Final = LEASE.total_seconds()
"""Seconds after which what was filed while it was in flight is tried again, if nobody wrote what came of it."""


class Endpoint:
    """An endpoint under a lease. Not for threads: all but reads of its plain values is done in the loop."""

    def __init__(self, claimed: Claimed, signers: Sequence[Signer]) -> None:
        self.id = claimed.id
        self.url = claimed.url
        self.thin = claimed.thin
        self.api_version = claimed.api_version
        self.signers = signers
        self.secrets = tuple(secret.id for secret in claimed.secrets)
        self.state = claimed.state
        self.version = claimed.version
        self.in_flight = 0
        self.leased_until = claimed.leased_until
        self.idle_since = monotonic()
        self.retiring = False
        self.lost = False
        self.probed = False
        self.replays: dict[UUID, OpenReplay] = {}
        self._in_order = claimed.in_order
        self._place = Place(claimed.place, claimed.delivered)
        self._lanes = Lanes()
        self._health = Health(claimed)
        # What is in the memory, or not written yet, of what waits in the database.
        self._taken: set[tuple[UUID, UUID | None]] = set()
        self._move: Move | None = None
        self.pause: float | None = None
        """Of a suspended endpoint the seconds until its next probe."""

        if self.state is EndpointState.ENABLED and self._health.is_failing:
            self._suspend()

    @property
    def is_busy(self) -> bool:
        """Whether something of it is in flight or in the memory."""
        return self.in_flight > 0 or self.queued > 0

    @property
    def may_read(self) -> bool:
        """Whether it takes further work."""
        return self.state is EndpointState.ENABLED and not self.retiring and self._move is None and bool(self.signers)

    @property
    def may_probe(self) -> bool:
        """Whether it is suspended and to be tried once."""
        return (
            self.state is EndpointState.SUSPENDED
            and not (self.retiring or self.probed or self.in_flight)
            and self._move is None
            and bool(self.signers)
        )

    @property
    def moves(self) -> bool:
        """Whether it is to be moved to another state with the next batch."""
        return self._move is not None

    @property
    def is_slow(self) -> bool:
        """Whether its last answer took long, or one takes long at this moment."""
        return self._health.is_slow or self._lanes.in_flight_for() > SLOW

    @property
    def taken(self) -> int:
        """How many of the rows that wait are in the memory, or done and not written."""
        return len(self._taken)

    @property
    def queued(self) -> int:
        """How many event deliveries may be begun, at once or one after the other."""
        return self._lanes.queued

    @property
    def queued_live(self) -> int:
        """The same without those of replays."""
        return self.queued - sum(self._lanes.behind(replay_id) for replay_id in self.replays)

    @property
    def is_ahead(self) -> bool:
        """Whether it took something above its place."""
        return self._place.is_ahead

    @property
    def cursor(self) -> int:
        """How far the log was read for it."""
        return self._place.cursor

    def begin(self, most: int) -> Item | None:
        """The next event delivery to make, if ``most`` of them and its own share and pace allow another one."""
        if not self._lanes.is_ready or self.in_flight >= min(most, self._health.share) or self._move is not None:
            return None
        now = monotonic()
        if self.leased_until - now < ANSWER_WITHIN + SLACK or all(signer.ends <= now for signer in self.signers):
            return None
        self.in_flight += 1
        return self._lanes.begin()

    def add_new(
        self, events: Sequence[NewEvent], bodies: dict[UUID, PostedEvent], *, cursor: int, batch: Batch
    ) -> None:
        """Queue new events, and file those of whose lane something waits. ``cursor`` is how far was looked."""
        for event in events:
            if not self._place.read(event.seq):
                continue
            item = Item.of_new(event, bodies, ordered=self._in_order)
            if event.waits or (self._in_order and (self.id, item.lane) in batch.lanes):
                self._file(item, batch, pause=None)
            elif item.event is not None:
                self._place.open(event.seq)
                self._lanes.put(item)
        self._place.cursor = max(self._place.cursor, cursor)

    def add_probe(
        self, oldest: Waiting | None, new: Sequence[NewEvent], bodies: dict[UUID, PostedEvent], batch: Batch
    ) -> None:
        """Queue one event to find out whether a suspended endpoint takes it; where there is none, it is enabled again.

        The oldest in turn with the first of another lane: it may be that one event which is not taken.
        """
        self.probed = True
        other = next((place for place, event in enumerate(new) if not event.waits), None)
        if oldest is not None and (oldest.seq is None or other is None or self._health.probes % 2 == 0):
            self.add_waiting([oldest], bodies, batch)
        elif other is not None:
            self.add_new(new[: other + 1], bodies, cursor=new[other].seq, batch=batch)
        if not self.queued:
            self._move = Move(EndpointState.ENABLED, None)
            self.touch(batch)

    def add_waiting(self, rows: Sequence[Waiting], bodies: dict[UUID, PostedEvent], batch: Batch) -> None:
        """Queue what waited and is due."""
        for row in rows:
            item = Item.of_waiting(row, bodies, ordered=self._in_order)
            if (row.event_id, row.replay_id) in self._taken or item.queue in self._lanes:
                continue
            self._taken.add((row.event_id, row.replay_id))
            if item.event is None:
                self._delete(item, batch)
            else:
                self._lanes.put(item)

    def add_replayed(
        self,
        replay: OpenReplay,
        events: Sequence[ReplayedEvent],
        bodies: dict[UUID, PostedEvent],
        batch: Batch,
        *,
        looked: int,
    ) -> None:
        """Queue the next events of a replay; ``looked`` is up to which number. One that is to be stopped is."""
        self.touch(batch)
        progress = batch.progress(replay.id, self.id)
        self.replays.pop(replay.id, None)
        if not events:
            progress.place = max(progress.place, looked)
        if replay.stopped or (not events and looked >= replay.until_seq):
            progress.state = "stopped" if replay.stopped else "done"
            return
        self.replays[replay.id] = replay._replace(place=looked)
        for event in events:
            if event.event_id in bodies:
                self._lanes.put(Item.of_replay(event, replay, bodies))

    def stop_replay(self, replay_id: UUID) -> None:
        """Forget what of it is in the memory and not in flight."""
        self._lanes.forget(replay_id)

    def is_replaying(self, replay_id: UUID) -> bool:
        """Whether events of this replay are in the memory."""
        return replay_id in self._lanes

    def make_room(self, most: int, batch: Batch) -> None:
        """File lanes behind slow answers: those that are deep, and others while more than ``most`` are in the memory.

        With what is in flight of them: such a lane is in the database, as with a failure. So others are read meanwhile,
        and no lane holds the place back for longer than some answers take.
        """
        for item, seconds in self._lanes.held_up(SLOW) if self._in_order else ():
            is_deep = seconds > HELD_UP and self._lanes.behind(item.queue) > DEEP
            if item.replay_id is not None or not (is_deep or self.queued_live > most):
                continue
            if not item.stored:
                item.stored = True
                self._file(item, batch, pause=TRIED_AGAIN_AFTER)
            for other in self._lanes.cut(item):
                self._file(other, batch, pause=None)

    def finish(self, item: Item, answer: Answer, batch: Batch) -> None:
        """Take the answer of an attempt into account."""
        self.in_flight -= 1
        self._lanes.ended(item)
        self._health.answered(answer.seconds)
        number = item.attempts + 1
        item.first_at = item.first_at if item.first_at is not None else monotonic() - answer.seconds
        batch.attempts.append(Attempt.of(self.id, item, answer))
        if answer.succeeded:
            self._succeeded(item, batch)
        elif answer.status == 410 and self.state is not EndpointState.DISABLED:
            self._keep(item, batch, number)
            self._move = Move(EndpointState.DISABLED, StateReason.GONE)
        elif item.type == TEST_TYPE and item.seq is None:
            self._give_up(item, batch, number)
        elif self.state is EndpointState.ENABLED:
            self._failed(item, answer, batch, number)
        else:
            self._release(item)
        if self.probed and self.state is EndpointState.SUSPENDED and not answer.succeeded and self._move is None:
            self._probe_failed()
        if self._move is not None:
            self._forget()
            if self._move.state is EndpointState.ENABLED:
                self._read_anew()
        self.touch(batch)

    def abandon(self, item: Item) -> None:
        """An attempt was broken off: nobody knows what came of it, so it will be made again."""
        self.in_flight -= 1
        self._lanes.ended(item)
        self._release(item)

    def touch(self, batch: Batch) -> None:
        """Have the batch say how the endpoint is now."""
        health = self._health
        batch.conditions[self.id] = Condition(
            self._place.value, self.version, health.took, health.failures, health.pace, health.probes
        )
        if self._move is not None:
            batch.moves[self.id] = self._move

    def close(self, batch: Batch) -> None:
        """The batch is complete: what comes from now on is of the next one."""
        self.touch(batch)
        self._health.took = False

    def written(self, batch: Batch, *, version: int | None, moved: int | None, leased_at: float) -> None:
        """A batch with this endpoint was written; ``version`` is None if the lease is another sender's."""
        if version is None:
            self.retiring = self.lost = True
            self._forget()
            return
        self.leased_until = leased_at + LEASE.total_seconds()
        if batch.lanes:
            self.idle_since = monotonic()  # what was behind another one may be due now
        for key in (*batch.filed, *batch.deleted):
            if key[0] == self.id:
                self._taken.discard(key[1:])
        if self.id in batch.moves:
            move, self._move = batch.moves[self.id], None
            if moved is None:
                self.retire()
                return
            self.state, self.version = move.state, moved
            self._health.moved(enabled=self.state is EndpointState.ENABLED)
            self.retiring = self.retiring or self.state is not EndpointState.ENABLED
        elif version != self.version:
            self.retire()

    def retire(self) -> None:
        """Begin nothing more: what is not in flight is forgotten, and read again by whoever has it next."""
        self.retiring = True
        self._forget()

    def _succeeded(self, item: Item, batch: Batch) -> None:
        self._health.succeeded()
        if self.state is EndpointState.SUSPENDED:
            self._move = Move(EndpointState.ENABLED, None)
        elif self._move is not None and batch.moves.pop(self.id, None) is not None:
            self._move = None  # it was about to be suspended
            self._read_anew()
        if item.replay_id is not None:
            progress = batch.progress(item.replay_id, self.id)
            progress.sent += 1
            progress.place = max(progress.place, item.seq or 0)
            batch.deleted[self._key(item)] = None
        elif item.stored:
            self._delete(item, batch)
        else:
            self._place.close(item.seq)
        self._lanes.go_on(item)

    def _failed(self, item: Item, answer: Answer, batch: Batch, number: int) -> None:
        self._health.failed()
        pause = next_attempt(number, answer.retry_after)
        if pause is None and self._health.took_since(item.first_at):
            # It took others meanwhile, so it is this event that it does not take.
            self._give_up(item, batch, number)
        else:
            # After its last attempt at an endpoint that takes nothing, the event stays for when it takes something.
            self._keep(item, batch, min(number, len(DELAYS)), 0.0 if pause is None else pause.total_seconds())
            if pause is None or self._health.is_failing:
                self._suspend()

    def _keep(self, item: Item, batch: Batch, attempts: int, pause: float = 0.0) -> None:
        """File an event that was not taken, and all that is behind it in its lane."""
        item.attempts = attempts
        behind = self._lanes.end(item)
        self._file(item, batch, pause=pause)
        if item.replay_id is not None:
            # What is behind it in a replay is read again from there.
            progress = batch.progress(item.replay_id, self.id)
            progress.place = max(progress.place, item.seq or 0)
            self.replays.pop(item.replay_id, None)
        else:
            for other in behind:
                self._file(other, batch, pause=None)

    def _give_up(self, item: Item, batch: Batch, number: int) -> None:
        item.attempts = number
        self._file(item, batch, pause=None, state="failed")
        if item.replay_id is not None:
            progress = batch.progress(item.replay_id, self.id)
            progress.failed += 1
            progress.place = max(progress.place, item.seq or 0)
        self._lanes.go_on(item)

    def _file(self, item: Item, batch: Batch, *, pause: float | None, state: str = "waiting") -> None:
        key = self._key(item)
        event = (self.id, item.event_id, item.seq, item.type, item.lane, item.replay_id)
        batch.filed[key] = Filed(*event, state, item.attempts, item.first_at, pause)
        self._taken.add(key[1:])
        if item.replay_id is None:
            batch.lanes[self.id, item.lane] = None
            self._place.close(item.seq)
        self.touch(batch)

    def _delete(self, item: Item, batch: Batch) -> None:
        key = self._key(item)
        batch.deleted[key] = None
        self._taken.add(key[1:])
        if item.replay_id is None:
            batch.lanes[self.id, item.lane] = None
        self.touch(batch)

    def _release(self, item: Item) -> None:
        """Leave it as it was before the attempt; its lane is not gone on with."""
        self._taken.discard((item.event_id, item.replay_id))
        self._lanes.end(item)

    def _probe_failed(self) -> None:
        self.retiring = True
        self.pause = self._health.probe_failed()
        if self._health.is_stale:
            self._move = Move(EndpointState.DISABLED, StateReason.STALE)

    def _suspend(self) -> None:
        self._move = Move(EndpointState.SUSPENDED, StateReason.FAILING)

    def _forget(self) -> None:
        """Leave all that is not in flight; its numbers stay above the place, and its rows wait."""
        for item in self._lanes.forget():
            self._taken.discard((item.event_id, item.replay_id))
        self.replays.clear()

    def _read_anew(self) -> None:
        """What was forgotten, from the place on."""
        self._place.forget(item.seq for item in self._lanes.in_flight() if item.replay_id is None and not item.stored)

    def _key(self, item: Item) -> Key:
        return (self.id, item.event_id, item.replay_id)
