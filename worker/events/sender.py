"""Sends events to the endpoints that it has claimed: one loop, hundreds of requests in flight, one statement at a time.

It reads ahead, begins what each lane and each share allow, and writes what came of it ten times a second. Everything
that it remembers may be lost: what was not written is sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final, ParamSpec, TypeVar
from uuid import UUID, uuid4

import structlog

from checkout_service.cache import cache
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.endpoints.signing import Signer, signed_headers
from checkout_service.telemetry.metrics import count_event_attempts, count_event_lags, event_deliveries_in_flight
from worker.events import spans, times
from worker.events.bodies import Bodies
from worker.events.claims import LEASE, Claim, Claimed, claim, look, release
from worker.events.ending import Ending
from worker.events.endpoint import Endpoint
from worker.events.health import SHARE
from worker.events.lanes import Item
from worker.events.marks import NO_MARK, Mark
from worker.events.planning import Found, Plan, find
from worker.events.posting import Poster
from worker.events.results import Batch, Written, count_of, write
from worker.events.sequencer import give_numbers
from worker.events.slots import MOST_IN_FLIGHT, Slots

MOST_HELD: Final = 1000
FEW: Final = 4
"""Endpoints that are claimed at first, so that another process has its share; twice as many with each full claim."""

READ: Final = 256
"""Events that are read for one endpoint at once; less where there are many, since the memory is bounded."""

READ_OF_ALL: Final = 8192
FLUSH_AT: Final = 200
RENEW_AT: Final = LEASE.total_seconds() - 8.0
"""A lease is renewed when so few seconds are left: an attempt may be begun under it for some seconds more."""

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

MakeSigners = Callable[[Claimed], Sequence[Signer]]


class Sender:
    """One run of the task: to be made and run once, within an application context."""

    def __init__(
        self,
        poster: Poster,
        *,
        make_signers: MakeSigners,
        agent: str,
        wake_up: str,
        call_another: Callable[[], None],
        ending: Ending,
        linger: float = times.LINGER,
    ) -> None:
        """``agent`` is the header user-agent, ``wake_up`` the name of the wake-up's claim in the cache.

        ``make_signers`` has the secrets of an endpoint decrypted; none: nothing can be sent there for now.
        """
        self.token = uuid4()
        self._poster = poster
        self._make_signers = make_signers
        self._agent = agent
        self._wake_up = wake_up
        self._call_another = call_another
        self._ending = ending
        self._linger = linger
        self._held: dict[UUID, Endpoint] = {}
        self._bodies = Bodies()
        self._batch = Batch()
        self._unwritten: Batch | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = Slots()
        self._attempts = 0
        self._woken = asyncio.Event()
        self._mark = NO_MARK
        self._began = self._busy_at = monotonic()
        self._look_at = self._began + times.LOOK_EVERY
        self._claim_at = self._due_at = self._wake_at = self._replays_at = 0.0
        self._number_at = self._began + times.NUMBERED_EVERY
        self._claimed_at = float("-inf")
        self._claim_took = 0.0
        self._claims = FEW
        self._called_at = float("-inf")
        self._has_claimed = False
        self._lags: list[float] = []

    async def run(self) -> int:
        """Send until nothing is left to do or the time is over; returns how many attempts were made."""
        try:
            while not self._is_done():
                pause = times.TICK
                try:
                    await self._round()
                except DatabaseUnavailableError:
                    log.warning("database_unavailable", unwritten=len(self._batch.attempts))
                    if not self._held:
                        break  # the sweep sends a message once it is there again
                    pause = times.AWAY_FOR
                self._dispatch()
                await self._wait(pause)
        finally:
            await self._end()
        return self._attempts

    async def _round(self) -> None:
        now = monotonic()
        if now >= self._wake_at:
            self._wake_at = now + times.WAKE_EVERY
            await _call(cache().put, self._wake_up, b"1", seconds=1)
        if now >= self._number_at:
            await _call(give_numbers)
            self._number_at = monotonic() + times.NUMBERED_EVERY
        self._ending.close(self._held.values())
        self._renew(now)
        if self._unwritten is not None or self._is_due(self._batch, now):
            await self._flush()
        if not self._ending.is_closing:
            await self._claim(now)
        await self._look(now)
        await self._read(now)
        if self._unwritten is not None or self._is_due(self._batch, monotonic()):
            await self._flush()
        await self._give_back()

    def _is_due(self, batch: Batch, now: float) -> bool:
        if not (batch.conditions or batch.moves or batch.replays):
            return False
        return bool(batch.moves) or len(batch.attempts) >= FLUSH_AT or now - batch.began >= times.FLUSH_AFTER

    def _renew(self, now: float) -> None:
        for endpoint in self._held.values():
            if endpoint.leased_until - now < RENEW_AT and not endpoint.lost:
                endpoint.touch(self._batch)

    async def _flush(self) -> None:
        """Write what came of attempts; what cannot be written now is kept, and goes first the next time."""
        if self._unwritten is None:
            for key in self._batch.conditions:
                if endpoint := self._held.get(key):
                    endpoint.close(self._batch)
            self._unwritten, self._batch = self._batch, Batch()
        batch = self._unwritten
        leased_at = monotonic()
        written: Written = await _call(write, self.token, batch, self._mark)
        self._unwritten = None
        count_event_attempts(count_of(batch), failed=sum(row.state == "failed" for row in batch.filed.values()))
        count_event_lags(self._lags)
        self._lags.clear()
        for key in batch.conditions:
            if endpoint := self._held.get(key):
                endpoint.written(
                    batch, version=written.versions.get(key), moved=written.moved.get(key), leased_at=leased_at
                )
                if endpoint.lost:
                    log.warning("endpoint_lease_lost", endpoint_id=str(key))
        for key, version in written.moved.items():
            if version is not None:
                log.warning("endpoint_moved", endpoint_id=str(key), state=batch.moves[key].state.value)
        if batch.lanes:
            self._due_at = 0.0

    async def _claim(self, now: float) -> None:
        most = min(self._claims, MOST_HELD - len(self._held))
        if now < self._claim_at or most <= 0 or self._slots.in_flight >= MOST_IN_FLIGHT * 0.9:
            return
        # Two processes send twice as much as one, whoever was first.
        is_behind = sum(held.queued for held in self._held.values() if not held.is_slow) > READ
        if is_behind and now - self._called_at < times.JOINS_WITHIN:
            return
        claimed: Claim = await _call(claim, self.token, held=list(self._held), most=most, mark=self._mark)
        self._claimed_at = monotonic()
        self._claim_took = self._claimed_at - now
        if not claimed.goes_on:
            self._begin_anew(claimed.mark)
            return
        self._mark = claimed.mark
        for row in claimed.endpoints:
            signers = self._make_signers(row)
            if not signers:
                log.error("endpoint_cannot_be_signed_for", endpoint_id=str(row.id))
            self._held[row.id] = Endpoint(row, signers)
            self._has_claimed = True
            self._due_at = self._replays_at = 0.0
            self._busy_at = self._claimed_at
            if self._held[row.id].moves:
                self._held[row.id].touch(self._batch)
        if len(claimed.endpoints) == most and not self._ending.is_closing:
            self._claims = FEW if is_behind else min(2 * self._claims, 64)
            self._claim_at = self._claimed_at + 3 * times.TICK
            if now - self._called_at > times.LOOK_EVERY:
                self._called_at = now
                await _call(self._call_another)
        else:
            self._claims = FEW
            self._claim_at = self._claimed_at + max(times.CLAIM_EVERY, 10 * self._claim_took)

    async def _look(self, now: float) -> None:
        """See whether staff changed an endpoint, or its secrets, and whether it is this sender's still."""
        if now < self._look_at or not self._held:
            return
        self._look_at = now + times.LOOK_EVERY
        looks = await _call(look, self.token, list(self._held))
        for key, endpoint in self._held.items():
            seen = looks.get(key)
            if seen is None or not seen.held:
                endpoint.lost = True
                endpoint.retire()
            elif seen.version != endpoint.version or seen.secrets != endpoint.secrets:
                endpoint.retire()

    async def _read(self, now: float) -> None:
        plan = self._plan(now)
        if plan is None:
            return
        found: Found = await _call(find, plan, self._bodies)
        if not found.numbers.go_on:
            self._begin_anew(found.numbers.mark)
            return
        if found.numbers.last > self._mark.seq:
            self._mark = found.numbers.mark
            # What is new may be for an endpoint that nobody has.
            self._claim_at = min(self._claim_at, self._claimed_at + max(times.TICK, 10 * self._claim_took))
        for key, (events, cursor) in found.new.items():
            if (endpoint := self._held[key]).may_read:
                endpoint.add_new(events, found.bodies, cursor=cursor, batch=self._batch)
                endpoint.touch(self._batch)
        for key, rows in found.due.items():
            if (endpoint := self._held[key]).may_read:
                endpoint.add_waiting(rows, found.bodies, self._batch)
        for replay, replayed, looked in found.replays:
            endpoint = self._held[replay.endpoint_id]
            if replay.stopped:
                endpoint.stop_replay(replay.id)
            if not endpoint.may_read or endpoint.is_replaying(replay.id):
                continue
            if replay.id in self._batch.replays and replay.id not in endpoint.replays:
                continue  # it was read before what is to be written of it
            endpoint.add_replayed(replay, replayed, found.bodies, self._batch, looked=looked)
        for key, (oldest, events) in found.probes.items():
            if (endpoint := self._held[key]).may_probe:
                endpoint.add_probe(oldest, events, found.bodies, self._batch)

    def _begin_anew(self, mark: Mark) -> None:
        """The database is an older copy of the one before, which gives numbers again: what is remembered is of another.

        All is the next sender's, once the leases have ended.
        """
        log.error("event_log_went_back", last_seq=mark.seq, known_seq=self._mark.seq)
        self._mark = mark
        self.token = uuid4()
        for endpoint in self._held.values():
            endpoint.lost = True
            endpoint.retire()

    def _plan(self, now: float) -> Plan | None:
        """What is to be read now; None: nothing, since all have enough to do."""
        plan = Plan(self._mark)
        readers = [endpoint for endpoint in self._held.values() if endpoint.may_read]
        most = max(8, min(READ, READ_OF_ALL // max(1, len(readers))))
        looks_for_due = now >= self._due_at
        looks_for_replays = now >= self._replays_at
        for endpoint in readers:
            endpoint.make_room(most // 2 - 1, self._batch)
            if endpoint.queued_live < most // 2:
                plan.new.append((endpoint.id, endpoint.cursor, most))
            if looks_for_due:
                plan.due.append((endpoint.id, endpoint.taken + SHARE))
            if looks_for_replays:
                plan.replays_of.append(endpoint.id)
            plan.replays += [replay for replay in endpoint.replays.values() if not endpoint.is_replaying(replay.id)]
        plan.probes = [(endpoint.id, endpoint.cursor) for endpoint in self._held.values() if endpoint.may_probe]
        if looks_for_due:
            self._due_at = now + times.DUE_EVERY
        if looks_for_replays:
            self._replays_at = now + times.LOOK_EVERY
        if plan.new or plan.due or plan.replays or plan.replays_of or plan.probes or not self._ending.is_closing:
            return plan
        return None

    async def _give_back(self) -> None:
        """Release endpoints that are done: retired, or without work for a while."""
        now = monotonic()
        pauses: dict[UUID, float | None] = {}
        unwritten = self._batch.conditions.keys() | (self._unwritten.conditions.keys() if self._unwritten else set())
        for key, endpoint in list(self._held.items()):
            if endpoint.is_busy or key in self._batch.moves:
                endpoint.idle_since = now
            elif endpoint.lost:
                del self._held[key]
            elif key in unwritten:
                continue
            elif endpoint.retiring or (endpoint.signers and now - endpoint.idle_since > self._linger):
                pauses[key] = endpoint.pause
        if pauses:
            await _call(release, self.token, pauses, ahead={key for key in pauses if self._held[key].is_ahead})
            for key in pauses:
                del self._held[key]
            self._claim_at = min(self._claim_at, now + times.TICK)

    def _dispatch(self) -> None:
        """Begin what may begin, one of each endpoint in turn."""
        busy = self._slots.share_out(self._held.values())
        while busy and not self._slots.are_full:
            busy = [endpoint for endpoint in busy if self._begin(endpoint)]

    def _begin(self, endpoint: Endpoint) -> bool:
        item = self._slots.take(endpoint)
        if item is None:
            return False
        task = asyncio.get_running_loop().create_task(self._attempt(endpoint, item))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _attempt(self, endpoint: Endpoint, item: Item) -> None:
        event = item.event
        assert event is not None  # noqa: S101 (it is queued with its event)
        body = event.payload(thin=endpoint.thin, api_version=endpoint.api_version)
        headers = signed_headers(endpoint.signers, event_id=event.text_id, body=body, agent=self._agent)
        try:
            answer = await spans.traced(event, self._poster.post(endpoint.url, headers=headers, body=body))
        except asyncio.CancelledError:
            endpoint.abandon(item)
            raise
        finally:
            self._slots.give_back()
        self._attempts += 1
        first = item.attempts == 0 and item.replay_id is None
        endpoint.finish(item, answer, self._batch)
        self._busy_at = monotonic()
        if answer.succeeded and first:
            self._lags.append((datetime.now(UTC) - event.created_at).total_seconds())
        if self._slots.in_flight >= MOST_IN_FLIGHT - 1:
            self._dispatch()
        else:
            # Two may begin for one that ended, while it drains.
            while self._begin(endpoint):
                pass
        if len(self._batch.attempts) >= FLUSH_AT or (endpoint.queued < READ // 4 and endpoint.cursor < self._mark.seq):
            self._woken.set()

    async def _wait(self, pause: float) -> None:
        event_deliveries_in_flight.set(self._slots.in_flight)
        # What ends within a moment is written together.
        if self._slots.in_flight and self._woken.is_set():
            await asyncio.sleep(times.TICK / 4)
        self._woken.clear()
        try:
            async with asyncio.timeout(pause):
                await self._woken.wait()
        except TimeoutError:
            pass

    def _is_done(self) -> bool:
        if self._ending.is_over:
            return True
        if self._unwritten is not None or self._batch.conditions:
            # While the database is away: until nobody may wait any longer.
            return self._ending.is_late
        # An endpoint that cannot be signed for is kept from others until its lease ends: they cannot either.
        if any(endpoint.is_busy or endpoint.signers for endpoint in self._held.values()):
            return False
        if self._ending.is_closing:
            return True
        return self._claimed_at > self._began and (not self._has_claimed or monotonic() - self._busy_at > self._linger)

    async def _end(self) -> None:
        """Break off what is in flight still, write the rest and give it all back, as far as the database lets it."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        event_deliveries_in_flight.set(0)
        try:
            for _ in range(2):
                if self._unwritten is not None or self._batch.conditions:
                    await self._flush()
            pauses = {key: held.pause for key, held in self._held.items() if held.signers}
            await _call(release, self.token, pauses, ahead={key for key in pauses if self._held[key].is_ahead})
        except DatabaseUnavailableError:
            log.warning("database_unavailable", unwritten=len(self._batch.attempts))


async def _call(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Run it in a thread, within this context; rounds are one after the other, so there is one at a time."""
    return await asyncio.to_thread(function, *arguments, **named)
