"""Events that did not arrive here, for those providers that keep them and can be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent, ThinEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliveredEvent:
    """An event that a provider could not deliver to us; ``events`` have the ids that its webhook would have brought.

    Where objects have to be read, those of a lower ``rank`` are read first: the payments that others are about. All of
    one rank are of one kind, which a key may or may not read. ``spare`` is an event that only says what others of a
    lower rank say too: it is read while there is room.
    """

    event_id: str
    events: Sequence[ProviderEvent | ProviderRefundEvent | ThinEvent] = ()
    rank: int = 0
    spare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliveredPage:
    """Some of the undelivered events, and where to go on if there are more.

    ``whole`` is False where some could not be listed: the next far walk is for these too.
    """

    events: Sequence[UndeliveredEvent]
    after: str | None = None
    whole: bool = True


@runtime_checkable
class SupportsEventList(Protocol):
    """A provider that lists its events, delivered or not, and can be asked for them. It raises ProviderError alone.

    What was delivered is known by ``ThinEvent.event_id``; of the others each object is read. ``lists_events`` is False
    where the account is set up to have nothing in this list: then it is not asked.
    """

    lists_events: bool

    def listed(self, *, since: datetime, until: datetime, after: str | None = None) -> UndeliveredPage:
        """A page of those from ``since`` to before ``until`` (aware, whole seconds count), the newest first.

        It is the first page, or the one after that which ``after`` is from.
        """


@runtime_checkable
class SupportsUndelivered(Protocol):
    """A provider that keeps what it could not deliver, and can be asked for it. It raises ProviderError alone."""

    def undelivered(self, *, since: datetime, after: str | None = None) -> UndeliveredPage:
        """A page of those since then (aware), from the first or after the one that the page before ended with."""
