"""Claims webhooks and writes their results.

A claim is a lease: it counts an attempt and sets ``next_attempt_at`` to its end. A result is written only where both
still are as the claim left them, so a worker that slept through its lease writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection

from checkout_service.database.engine import execute
from checkout_service.delivery_states import DeliveryState
from checkout_service.providers.base import IgnoredReason
from checkout_service.providers.raw_webhook import RawWebhook
from worker.context import settings
from worker.webhooks.attempts import NOTHING_BEFORE, Before, before_of
from worker.webhooks.statements import BODIES, CLAIM, LARGE, RELEASE, SET, SETTLE

LEASE: Final = timedelta(seconds=30)
"""Longer than the task's hard time limit (20 s), so that no webhook is claimed while its worker may still be alive."""

AGAIN: Final = 3
"""Times that a claim looks, at most, where some of those that wait came after its statement began."""

PARKED_FOR: Final = timedelta(hours=72)

_RECEIVED: Final = DeliveryState.RECEIVED.value


_STATES: Final = {state.value: state for state in DeliveryState}

_NO_PROGRESS: Final[Mapping[str, Any]] = MappingProxyType({})


class ClaimedWebhook(NamedTuple):
    """A webhook under lease. ``lease`` is the database's time at which the claim ends; it also tells claims apart.

    ``size`` is that of its body in bytes. ``replay_of`` is the command that replays it, ``in_set`` whether it was
    claimed in a set: such a one never fails for good, since only a task of its own can fail for all to see.
    ``trace_context`` is the trace that it came by, where that is sampled. ``before`` is what attempts before came to.
    """

    id: UUID
    raw: RawWebhook
    size: int
    attempts: int
    lease: datetime
    state_before: DeliveryState
    replay_of: UUID | None = None
    in_set: bool = False
    trace_context: str | None = None
    before: Before = NOTHING_BEFORE

    @property
    def large(self) -> bool:
        """Whether its body stays in the database until its turn comes: see ``with_bodies``."""
        return self.size > LARGE

    @property
    def tried_before(self) -> bool:
        """Also if its attempt was given back, as a parked webhook's is."""
        return self.attempts > 1 or self.state_before is not DeliveryState.RECEIVED

    @property
    def attempts_exhausted(self) -> bool:
        """Whether no attempt is left, the last one having died before it could write a result."""
        # Two at least: an attempt in a set never is the last.
        return self.attempts > max(settings().webhook_max_attempts, 2) and self.state_before is DeliveryState.RECEIVED

    @property
    def is_replay(self) -> bool:
        """Whether a command has it processed again; such a run gets one attempt."""
        return self.replay_of is not None

    @property
    def age(self) -> timedelta:
        """How long ago it came, by the database's clock at the claim."""
        return self.lease - LEASE - self.raw.received_at


class Result(NamedTuple):
    """The state that a webhook came to, and why.

    ``delay`` is until its next attempt; ``returned`` is how many attempts it is given back. ``mismatch`` is of one that
    is applied: an event in it speaks of money, or of a name, that is not the payment's. ``names`` are those by which
    the payment of one that is parked may be found besides ``provider_ref``. ``ignored`` is why one is ignored.
    ``progress`` is what the next attempt is to know (``attempts.progress_of``).
    """

    webhook: ClaimedWebhook
    state: DeliveryState
    detail: str | None = None
    provider_ref: str | None = None
    delay: timedelta = timedelta(0)
    returned: int = 0
    mismatch: bool = False
    names: Sequence[str] = ()
    ignored: IgnoredReason | None = None
    progress: Mapping[str, Any] = _NO_PROGRESS


def claim(own: UUID | None) -> list[ClaimedWebhook]:
    """Lease this webhook, and others that were never tried; only this one if it was tried before.

    The own one comes first, then the oldest. Empty when nothing waits. Raises DatabaseUnavailableError.
    """
    rows = list[Any]()
    for _ in range(AGAIN):
        found = execute(CLAIM, {"id": own, "lease": LEASE})
        rows += [row for row in found if row.id is not None]
        if not found or len(found) == found[0].locked or len(rows) >= SET:
            break
    rows.sort(key=lambda row: (row.id != own, row.received_at))
    return [claimed_webhook(row, in_set=row.attempts == 1 and row.state_before == _RECEIVED) for row in rows]


def claimed_webhook(row: Any, *, in_set: bool = False) -> ClaimedWebhook:
    """The webhook in a row of a claim, as ``statements.CLAIMED`` lists its columns."""
    return ClaimedWebhook(
        id=row.id,
        raw=RawWebhook(
            provider=row.provider,
            headers=orjson.loads(row.headers),
            body=row.body or b"",
            received_at=row.received_at,
        ),
        size=row.size,
        attempts=row.attempts,
        lease=row.next_attempt_at,
        state_before=_STATES[row.state_before],
        replay_of=row.replay_of,
        in_set=in_set,
        trace_context=row.trace_context,
        before=before_of(row.last_attempt, row.replay_of),
    )


def with_bodies(webhooks: Sequence[ClaimedWebhook]) -> list[ClaimedWebhook]:
    """The same webhooks, each with its bytes; one that was dropped meanwhile is left out."""
    large = [webhook.id for webhook in webhooks if webhook.large]
    if not large:
        return list(webhooks)
    bodies = {row.id: row.body for row in execute(BODIES, {"ids": large})}
    return [
        webhook._replace(raw=replace(webhook.raw, body=bodies[webhook.id])) if webhook.large else webhook
        for webhook in webhooks
        if not webhook.large or webhook.id in bodies
    ]


def chunk_of(webhooks: Sequence[ClaimedWebhook], most: int) -> Iterator[ClaimedWebhook]:
    """The first webhooks, as many fit into so many bytes, which are in the memory at once; never none."""
    size = 0
    for webhook in webhooks:
        if size and size + webhook.size > most:
            return
        size += webhook.size
        yield webhook


def release(webhooks: Sequence[ClaimedWebhook]) -> None:
    """Give webhooks back that were never tried and still are not: the next task takes them."""
    execute(RELEASE, {"ids": [webhook.id for webhook in webhooks], "leases": [webhook.lease for webhook in webhooks]})


def settle(connection: Connection, results: Sequence[Result]) -> list[Result]:
    """Write the results of webhooks that are still ours; returns those."""
    names = [orjson.dumps(result.names).decode() if result.names else None for result in results]
    progress = [orjson.dumps(result.progress).decode() if result.progress else None for result in results]
    rows = SETTLE.within(
        connection,
        {
            "ids": [result.webhook.id for result in results],
            "attempts": [result.webhook.attempts for result in results],
            "leases": [result.webhook.lease for result in results],
            "states": [result.state for result in results],
            "references": [result.provider_ref for result in results],
            "details": [result.detail for result in results],
            "delays": [result.delay.total_seconds() for result in results],
            "returned": [result.returned for result in results],
            "mismatches": [result.mismatch for result in results],
            "names": names if any(names) else [],
            "progress": progress if any(progress) else [],
            "parked_for": PARKED_FOR,
        },
    )
    return [results[number - 1] for (number,) in rows]
