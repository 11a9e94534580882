"""Events that a provider could not deliver to us, for those providers that keep them and can be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent, ThinEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """An event that a provider could not deliver to us, and what it says; its events have the ids of the webhook's."""

    event_id: str
    said: Sequence[ProviderEvent | ProviderRefundEvent | ThinEvent] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedPage:
    """Some of the missed events, and where to go on if there are more."""

    events: Sequence[Missed]
    after: str | None = None


@runtime_checkable
class Remembers(Protocol):
    """A provider that keeps what it could not deliver, and can be asked for it. It raises ProviderError alone."""

    def missed(self, *, since: datetime, after: str | None = None) -> MissedPage:
        """A page of them, from the first or after the one that the page before ended with."""
