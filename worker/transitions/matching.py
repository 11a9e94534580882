"""Finds the payments that events are about: by their own reference, else by every other name that the provider signs.

Entries never change their payment, so what is found before anything is locked stays true. A name that is known for
another payment than the event's is no match: nothing moves, and both payments are flagged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, ClosedEntry, DisputeEntry, Entry
from worker.transitions import statements
from worker.transitions.locked import LockedPayment
from worker.transitions.outcomes import ReceivedEvent

Event = ProviderEvent | ProviderRefundEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """What names are known for: the ids of payments by provider and name, and the references of these payments."""

    owners: Mapping[tuple[str, str], set[UUID]] = field(default_factory=dict)
    references: Mapping[UUID, str] = field(default_factory=dict)

    def of(self, provider: str, names: Iterable[str]) -> set[UUID]:
        """The payments that any of these names is known for."""
        return {owner for name in names for owner in self.owners.get((provider, name), ())}

    def references_of(self, event: Event) -> list[str]:
        """The references of the payments that the names in an event are known for."""
        if not self.owners:
            return []
        return [self.references[owner] for owner in self.of(event.provider, names_of(event))]


_NO_OTHERS: Final[Mapping[UUID, str]] = MappingProxyType({})


class Match(NamedTuple):
    """The payment of an event, None where it is not here; and the other payments that a name in it is known for.

    ``by_name`` tells one that was not found by the event's own reference.
    """

    payment: LockedPayment | None
    others: Mapping[UUID, str] = _NO_OTHERS
    by_name: bool = False


def names_of(event: Event) -> list[str]:
    """Every name by which an event may find its payment, but for the payment's own reference."""
    names = [*event.names, *entry_names(event)]
    return list(dict.fromkeys(name for name in names if name)) if names else names


def entry_names(event: Event) -> list[str]:
    """The names of entries that an event speaks of."""
    if isinstance(event, ProviderRefundEvent):
        return [name for name in (event.refund_ref, event.capture_ref, event.attempt_ref) if name]
    if not event.entries:
        return [event.capture_ref] if event.capture_ref else []
    names = [] if event.capture_ref is None else [event.capture_ref]
    for entry in event.entries:
        if isinstance(entry, AttemptEntry):
            names.append(entry.ref)
        elif isinstance(entry, CaptureEntry):
            names += (entry.ref, entry.attempt_ref)
        elif isinstance(entry, DisputeEntry):
            names += (entry.ref, entry.capture_ref, entry.attempt_ref)
    return [name for name in names if name]


def may_move_money(event: Event) -> bool:
    """Whether money that came for a payment, or is authorized, may change by an event, and so may an order."""
    if isinstance(event, ProviderRefundEvent):
        return False
    if not event.entries:
        return event.status in _MOVES_MONEY
    return any(map(_moves_money, event.entries))


# A tuple: members of an enum are hashed in Python, and compared by what they are.
_MOVES_MONEY: Final = (
    *(status for status in PaymentStatus if status.money_came),
    *(PaymentStatus.AUTHORIZED, PaymentStatus.EXPIRED, PaymentStatus.CANCELED),
)


def _moves_money(entry: Entry) -> bool:
    """What is authorized makes an order, and its end cancels that: another payment may then get it."""
    match entry:
        case AttemptEntry():
            return entry.presumed is not None or entry.status >= AttemptStatus.AUTHORIZED
        case CaptureEntry():
            return entry.status >= CaptureStatus.SUCCEEDED
        case ClosedEntry():
            return True
    return False


def find(connection: Connection, events: Sequence[ReceivedEvent]) -> Matches:
    """What the names in a set are known for; one statement, and none for a set without names."""
    names = sorted({(received.event.provider, name) for received in events for name in names_of(received.event)})
    if not names:
        return Matches()
    owners: dict[tuple[str, str], set[UUID]] = {}
    references: dict[UUID, str] = {}
    rows = statements.FIND_NAMES.within(
        connection, {"providers": [provider for provider, _ in names], "names": [name for _, name in names]}
    )
    for provider, name, payment, reference in rows:
        owners.setdefault((provider, name), set()).add(payment)
        references[payment] = reference
    return Matches(owners=owners, references=references)


class Matcher:
    """Matches the events of one set with locked payments, in the order of the set."""

    def __init__(self, matches: Matches, payments: Sequence[LockedPayment]) -> None:
        self._matches = matches
        self._payments = payments
        self._by_reference = {(payment.provider, payment.provider_ref): payment for payment in payments}
        self._claimed: dict[tuple[str, str], UUID] = {}

    def match(self, event: Event) -> Match:
        """The payment of an event. The names of its entries are taken for that payment from here on."""
        payment = self._by_reference.get((event.provider, event.provider_ref))
        names = entry_names(event)
        if not names and not event.names:
            return Match(payment)
        by_name = payment is None
        if payment is None:
            found = sorted(self._matches.of(event.provider, names_of(event)) | self._taken(event.provider, event.names))
            payment = self._by_id.get(found[0]) if found else None
        if payment is None:
            return Match(payment=None)
        others: dict[UUID, str] = {}
        for name in names:
            key = (event.provider, name)
            for owner in self._matches.owners.get(key, ()) or self._taken(event.provider, [name]):
                if owner != payment.id:
                    others[owner] = name
        if by_name:
            for name in event.names:
                others |= {
                    owner: name for owner in self._matches.owners.get((event.provider, name), ()) if owner != payment.id
                }
        if not others:
            self._claimed |= {(event.provider, name): payment.id for name in names}
        return Match(payment=payment, others=others, by_name=by_name)

    @cached_property
    def _by_id(self) -> Mapping[UUID, LockedPayment]:
        return {payment.id: payment for payment in self._payments}

    def _taken(self, provider: str, names: Iterable[str]) -> set[UUID]:
        """The payments that an event before in the set names so."""
        return {self._claimed[provider, name] for name in names if (provider, name) in self._claimed}


def named_in(events: Sequence[ReceivedEvent], matched: Sequence[Match]) -> set[tuple[UUID | None, UUID]]:
    """Each webhook, and each payment that an event of it with an id is about."""
    return {
        (received.delivery_id, match.payment.id)
        for received, match in zip(events, matched, strict=True)
        if received.event.event_id and match.payment is not None
    }
