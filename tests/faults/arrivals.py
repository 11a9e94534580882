"""What must hold of events, whatever died: each is numbered and arrives, signed, unchanged, in its lane's order."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.events.queries import BODY
from checkout_service.payments.status import PaymentStatus
from tests.faults.goods import Ask
from tests.faults.journal import Journal
from tests.faults.receivers import Receiver, Receivers, digest_of

NUMBERED_WITHIN = 30.0
ARRIVED_WITHIN = 120.0
"""Seconds after the last number: an endpoint whose sender died is another one's when its lease ends, after 30."""

LOOK_EVERY = 0.5
SHOWN = 3

_UNNUMBERED = """
    SELECT count(*) FROM events AS event LEFT JOIN event_numbers AS numbers ON numbers.event_id = event.id
    WHERE numbers.event_id IS NULL AND event.type <> 'webhook_endpoint.test'
"""
_LOG = f"""
    SELECT numbers.seq, event.id, event.type, event.object_id, event.lane, event.created_at, {BODY} AS body
    FROM event_numbers AS numbers JOIN events AS event ON event.id = numbers.event_id
    WHERE numbers.seq > %(after)s ORDER BY numbers.seq
"""
_LAST = "SELECT coalesce(max(last_seq), 0) FROM event_series"
_KNOWN = "SELECT id FROM events WHERE id = ANY(%(ids)s)"
_PAYMENTS = "SELECT id, provider_ref, status::text FROM payments WHERE provider_ref = ANY(%(tokens)s)"
_ORDERED = "SELECT DISTINCT payment_id FROM orders WHERE payment_id = ANY(%(ids)s)"

# The real pauses are 5 s, then 5 min. What a sender works on at this moment is left alone.
_MAKE_DUE = """
    WITH waiting AS (
        SELECT id FROM pending_deliveries
        WHERE endpoint_id = ANY(%(ids)s) AND state = 'waiting' AND next_attempt_at > now() FOR UPDATE SKIP LOCKED
    ), due AS (
        SELECT id FROM webhook_endpoints
        WHERE id = ANY(%(ids)s) AND next_due_at > now() FOR NO KEY UPDATE SKIP LOCKED
    ), made AS (
        UPDATE webhook_endpoints SET next_due_at = now() WHERE id IN (SELECT id FROM due)
    )
    UPDATE pending_deliveries SET next_attempt_at = now() WHERE id IN (SELECT id FROM waiting)
"""


class Logged(NamedTuple):
    """An event of the log, and the digest of what is to be posted of it."""

    seq: int
    id: UUID
    type: str
    object_id: UUID
    lane: UUID
    digest: str


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """What came of a round's events: how many there were, how many of them arrived where, and what was wrong."""

    events: int = 0
    arrived: int = 0
    again: int = 0
    seconds: float = 0.0
    wrong: Sequence[str] = ()


class EventCheck:
    """Holds what came to the receivers against the log, from the number on up to which it was held before."""

    def __init__(self, ask: Ask, receivers: Receivers) -> None:
        self._ask = ask
        self._receivers = receivers
        ((self._after,),) = ask(_LAST)
        self._requests = 0
        self._seen = dict.fromkeys((receiver.behaviour for receiver in receivers.all), 0)

    def check(self, journal: Journal) -> Outgoing:
        """Wait until all events arrived, for so long as they may take, and tell what is not as promised."""
        started = time.monotonic()
        unnumbered = self._await_numbers()
        log = read_log(self._ask, self._after)
        missing = self._await_arrivals(log)
        seconds = time.monotonic() - started
        wrong = list(self._receivers.wrong())
        if unnumbered:
            wrong.append(f"{unnumbered} events have no number {NUMBERED_WITHIN:.0f} s after everything ran again")
        wrong += missing
        wrong += check_numbers(log, self._after)
        for receiver in self._receivers.all:
            wrong += check_arrivals(receiver, log)
            wrong += self._invented(receiver)
        wrong += self._money(journal, log)
        requests = sum(receiver.requests for receiver in self._receivers.all)
        arrived = sum(event.id in receiver.arrivals for receiver in self._receivers.all for event in log)
        again = requests - self._requests - arrived
        self._requests = requests
        self._after = log[-1].seq if log else self._after
        return Outgoing(events=len(log), arrived=arrived, again=again, seconds=seconds, wrong=wrong)

    def _await_numbers(self) -> int:
        """How many events have no number after the longest wait."""
        started = time.monotonic()
        while (unnumbered := self._ask(_UNNUMBERED)[0][0]) and time.monotonic() - started < NUMBERED_WITHIN:
            time.sleep(0.1)
        return int(unnumbered)

    def _await_arrivals(self, log: Sequence[Logged]) -> list[str]:
        """What was not taken everywhere after the longest wait. What waits for its next attempt is made due."""
        living = self._receivers.living
        started = time.monotonic()
        while missing := [line for receiver in living for line in not_taken(receiver, log)]:
            if time.monotonic() - started > ARRIVED_WITHIN:
                return missing
            self._ask(_MAKE_DUE, ids=[receiver.endpoint_id for receiver in living])
            time.sleep(LOOK_EVERY)
        return []

    def _invented(self, receiver: Receiver) -> Iterator[str]:
        """What came since the last check, and the log does not have."""
        came = list(receiver.arrivals)
        new = came[self._seen[receiver.behaviour] :]
        self._seen[receiver.behaviour] = len(came)
        known = {found for (found,) in self._ask(_KNOWN, ids=new)}
        for event_id in new:
            if event_id not in known:
                yield f"event {event_id} came to the {receiver.behaviour} receiver, and nobody wrote it"

    def _money(self, journal: Journal, log: Sequence[Logged]) -> Iterator[str]:
        payments = self._ask(_PAYMENTS, tokens=list(journal.events))
        ordered = {payment for (payment,) in self._ask(_ORDERED, ids=[payment_id for payment_id, _, _ in payments])}
        for payment_id, token, status in payments:
            types = [event.type for event in log if event.lane == payment_id]
            yield from check_money(token, status, journal.status_of(token), types, ordered=payment_id in ordered)


def read_log(ask: Ask, after: int) -> list[Logged]:
    """The numbered events above that number, in order."""
    return [
        Logged(seq, event_id, kind, object_id, lane, digest_of(posted(event_id, kind, created_at, body)))
        for seq, event_id, kind, object_id, lane, created_at, body in ask(_LOG, after=after)
    ]


def posted(event_id: UUID, kind: str, created_at: datetime, body: str) -> bytes:
    """The bytes that are posted of an event, put together by themselves from what the log has."""
    head = json.dumps({"type": kind, "timestamp": show_time(created_at), "id": str(event_id)}, separators=(",", ":"))
    return f'{head[:-1]},"data":{body}}}'.encode()


def not_taken(receiver: Receiver, log: Sequence[Logged]) -> Iterator[str]:
    """A line if events of the log were never answered 200 by this receiver."""
    missing = [event for event in log if event.id not in receiver.taken]
    if missing:
        some = ", ".join(f"{event.seq} {event.type}" for event in missing[:SHOWN])
        yield f"{len(missing)} events did not arrive at the {receiver.behaviour} receiver: {some}"


def check_numbers(log: Sequence[Logged], after: int) -> Iterator[str]:
    """Numbers have no gap, and no event has two."""
    if [event.seq for event in log] != list(range(after + 1, after + len(log) + 1)):
        yield f"the numbers after {after} have gaps or doubles: {[event.seq for event in log][:20]}"
    if len({event.id for event in log}) != len(log):
        yield f"of the events after {after} some have two numbers"


def check_arrivals(receiver: Receiver, log: Sequence[Logged]) -> Iterator[str]:
    """What came is as the log says, and came first in the order of its lane."""
    known = {event.id: event for event in log}
    last: dict[UUID, int] = defaultdict(int)
    for event_id, digest in list(receiver.arrivals.items()):
        event = known.get(event_id)
        if event is None:
            continue  # of a round before, or of nobody
        if digest != event.digest:
            yield f"the body of event {event_id} at the {receiver.behaviour} receiver is not that of the log"
        if event.seq < last[event.lane]:
            yield f"event {event.seq} came to the {receiver.behaviour} receiver after {last[event.lane]} of its lane"
        last[event.lane] = max(last[event.lane], event.seq)


def check_money(
    token: str, status: str, expected: PaymentStatus, types: Sequence[str], *, ordered: bool
) -> Iterator[str]:
    """The events of a payment tell its statuses: the last is the one that it has, and none comes twice."""
    count = Counter(types)
    kinds = [kind for kind in types if kind.startswith("payment.") and kind != "payment.flagged"]
    if count["checkout.session.opened"] != 1:
        yield f"payment {token} has {count['checkout.session.opened']} events of its opening"
    if twice := {kind for kind in kinds if count[kind] > 1}:
        yield f"payment {token} has {', '.join(sorted(twice))} more than once"
    if (kinds[-1] if kinds else "payment.pending") != f"payment.{status}":
        yield f"payment {token} is {status}, and its last event is {kinds[-1] if kinds else 'none'}"
    if expected is PaymentStatus.PAID and count["payment.paid"] != 1:
        yield f"payment {token} is paid, and {count['payment.paid']} events say so"
    if ordered and not any(kind.startswith("order.") for kind in types):
        yield f"payment {token} has an order, and no event of it"
