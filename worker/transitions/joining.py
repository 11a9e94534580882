"""Entries of one set joined in memory, so that each row is written once: the greater of what is known and what is new.

The statements of worker/transitions/entry_statements.py join the same values with the rows that are there, by the same
rules. Of two currencies under one name the payment's own is kept, else the smaller text, with what was told in it: in
any order. What each event changed is told by stepping once more through the parts, from what the row was before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Generic, NamedTuple, Protocol, Self, TypeVar
from uuid import UUID

from checkout_service.payments.status import AttemptStatus, CaptureStatus, DisputeStage, DisputeStatus
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, DisputeEntry
from worker.transitions.locked import LockedPayment

EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
"""Of a dispute's news whose moment nobody signs."""


class AttemptValues(NamedTuple):
    """What is joined of an attempt; ``reported_at`` alone is no news."""

    status: AttemptStatus
    currency: str | None
    presumed: Decimal | None
    authorized: Decimal | None
    rest_released: bool
    expires_at: datetime | None
    times_out_at: datetime | None
    replaces: str | None
    decline: str | None
    reported_at: datetime

    @classmethod
    def of(cls, entry: AttemptEntry, reported_at: datetime, own: str) -> Self:
        """``own`` is the payment's currency, in which an amount is that names none."""
        amounts = entry.presumed is not None or entry.authorized is not None
        return cls(
            entry.status,
            entry.currency or (own if amounts else None),
            entry.presumed,
            entry.authorized,
            entry.rest_released,
            entry.expires_at,
            entry.times_out_at,
            entry.replaces,
            entry.decline,
            reported_at,
        )

    def join(self, new: Self, own: str) -> Self:
        currency, counted = _in_one_currency(self, new, own)
        return type(self)(
            status=max(self.status, new.status),
            currency=currency,
            presumed=_greatest(*(each.presumed for each in counted)),
            authorized=_greatest(*(each.authorized for each in counted)),
            rest_released=self.rest_released or new.rest_released,
            expires_at=_greatest(self.expires_at, new.expires_at),
            times_out_at=_greatest(self.times_out_at, new.times_out_at),
            replaces=max(filter(None, (self.replaces, new.replaces)), default=None),
            decline=self.decline or new.decline,
            reported_at=max(self.reported_at, new.reported_at),
        )

    def news(self, before: Self | None) -> bool:
        """Whether it tells more than what was before; once money came, an earlier status of its attempt does not."""
        if before is None:
            return True
        if before.presumed is not None and self.status < AttemptStatus.EXPIRED:
            return self[1:-1] != before[1:-1]
        return self[:-1] != before[:-1]


class CaptureValues(NamedTuple):
    """What is joined of a capture."""

    status: CaptureStatus
    amount: Decimal
    currency: str
    attempt_ref: str

    @classmethod
    def of(cls, entry: CaptureEntry) -> Self:
        return cls(entry.status, entry.amount, entry.currency, entry.attempt_ref)

    def join(self, new: Self, own: str) -> Self:
        currency, counted = _in_one_currency(self, new, own)
        return type(self)(
            status=max(self.status, new.status),
            currency=currency or self.currency,
            amount=max(each.amount for each in counted),
            attempt_ref=max(self.attempt_ref, new.attempt_ref),
        )

    def news(self, before: Self | None) -> bool:
        """Whether it tells more than what was before."""
        return self != before


class DisputeValues(NamedTuple):
    """What is joined of a dispute: what is reported of it counts as one value, as its movements of money do."""

    stage: DisputeStage
    at: datetime
    rank: int
    event_id: str
    status: DisputeStatus
    reason: str | None
    evidence_due_at: datetime | None
    blocks_refund: bool
    step: int
    money_out: bool
    money_only: bool
    amount: Decimal | None
    currency: str | None
    capture_ref: str
    attempt_ref: str

    @classmethod
    def of(cls, entry: DisputeEntry, event_id: str, own: str) -> Self:
        """``own`` is the payment's currency, in which an amount is that names none."""
        return cls(
            entry.stage,
            entry.at or EARLIEST,
            entry.status.position if entry.rank is None else entry.rank,
            event_id,
            entry.status,
            entry.reason,
            entry.evidence_due_at,
            entry.blocks_refund,
            entry.step,
            entry.money_out,
            entry.money_only,
            entry.amount,
            entry.currency or (own if entry.amount is not None else None),
            entry.capture_ref,
            entry.attempt_ref,
        )

    def join(self, new: Self, own: str) -> Self:
        newest = new if new._place() > self._place() else self
        money = new if (new.step, new.money_out) > (self.step, self.money_out) else self
        currency, counted = _in_one_currency(self, new, own)
        return type(self)(
            *newest[:8],
            step=money.step,
            money_out=money.money_out,
            money_only=self.money_only or new.money_only,
            amount=_greatest(*(each.amount for each in counted)),
            currency=currency,
            capture_ref=max(self.capture_ref, new.capture_ref),
            attempt_ref=max(self.attempt_ref, new.attempt_ref),
        )

    def news(self, before: Self | None) -> bool:
        """Whether it tells more than what was before."""
        return self != before

    def _place(self) -> tuple[int, datetime, int, str]:
        return self.stage.position, self.at, self.rank, self.event_id


class _Values(Protocol):
    def join(self, new: Self, own: str) -> Self: ...

    def news(self, before: Self | None) -> bool: ...


V = TypeVar("V", bound=_Values)


@dataclass(slots=True)
class Joined(Generic[V]):
    """What a set says of one entry: all of it joined, and each part with the place of its event in the set."""

    payment: LockedPayment
    ref: str
    values: V
    parts: list[tuple[int, V]] = field(default_factory=list)

    def places_of_news(self, before: V | None) -> Sequence[int]:
        """The places of those events that told more than what was known when their turn came."""
        places, known = [], before
        for place, part in self.parts:
            step = part if known is None else known.join(part, self.payment.currency)
            if known is None or step.news(known):
                places.append(place)
            known = step
        return places


Key = tuple[UUID, str]
"""A payment, and the provider's name of an entry of it."""


class Joins(Generic[V]):
    """The entries of one kind that a set tells of."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Joined[V]] = {}

    def add(self, payment: LockedPayment, ref: str, values: V, place: int) -> None:
        """Join what the event at this place says of an entry."""
        new = Joined(payment, ref, values, [(place, values)])
        joined = self._by_key.setdefault((payment.id, ref), new)
        if joined is new:
            return
        joined.values = joined.values.join(values, payment.currency)
        joined.parts.append((place, values))

    @property
    def by_key(self) -> Mapping[Key, Joined[V]]:
        return self._by_key

    def in_order(self) -> Sequence[Joined[V]]:
        """By provider and name: two sets that name the same entries wait for each other, and none for ever."""
        return sorted(
            self._by_key.values(), key=lambda joined: (joined.payment.provider, joined.ref, joined.payment.id.int)
        )


M = TypeVar("M", Decimal, datetime)


def _greatest(*given: M | None) -> M | None:
    return max((each for each in given if each is not None), default=None)


class _Priced(Protocol):
    @property
    def currency(self) -> str | None: ...


P = TypeVar("P", bound=_Priced)


def _in_one_currency(one: P, other: P, own: str) -> tuple[str | None, Sequence[P]]:
    """The currency that two are joined in, and those of them whose amounts are in it."""
    if one.currency is None or other.currency in {None, one.currency}:
        return one.currency or other.currency, (one, other)
    kept = min(one, other, key=lambda each: (each.currency != own, each.currency or ""))
    return kept.currency, (kept,)
