"""What was read in a webhook: its events, or why it has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from checkout_service.providers.base import IgnoredReason, ProviderEvent, ProviderRefundEvent, ThinEvent
from worker.webhooks.claims import ClaimedWebhook


class LookedUp(NamedTuple):
    """A thin event that was answered, with all that it led to, and the events that were learned by it."""

    thin_event: ThinEvent
    events: Sequence[ProviderEvent | ProviderRefundEvent]


_NO_MARKS: Final[Mapping[ThinEvent, str]] = MappingProxyType({})


class Reading(NamedTuple):
    """What a webhook says, or why it says nothing. A tuple, since a set has hundreds and each is made anew.

    ``thin_events`` are to be looked up; of those about a payment that is not here one is left in ``waits_for``, and
    ``missing`` has the names of all these payments.
    ``rejected`` is why it could not be verified, ``unreadable`` why it was verified and could not be understood (the
    events are then those of its other parts), ``unavailable`` what could not be had now, and ``wait`` how long such a
    webhook is put off, where that is known; ``unverified`` says that without it nobody vouches for the webhook.
    ``looked_up`` are the thin events that were answered although others were not, which are ``left`` (each as what of
    it is to be asked about), and ``resumed`` those that were answered in an attempt before; ``news`` is how many these
    are together. ``marks`` are their names in the cache, where they may be kept: of the history that the database was
    in before any of it is entered. ``error`` is for everything else. ``memory`` is its name in the cache if its own
    bytes say it all. ``came_with`` is a delivery that was settled when the same bytes came before, as the cache has it:
    the database must have it too.
    ``ignored`` is why it is, if nothing comes of it, and ``ignored_why`` the same in words, where there are any.
    ``delivered`` are its thin events once all of them are looked up.
    """

    webhook: ClaimedWebhook
    events: Sequence[ProviderEvent] = ()
    refunds: Sequence[ProviderRefundEvent] = ()
    thin_events: Sequence[ThinEvent] = ()
    waits_for: ThinEvent | None = None
    missing: Sequence[str] = ()
    came_with: UUID | None = None
    rejected: str | None = None
    unreadable: str | None = None
    unavailable: str | None = None
    wait: timedelta | None = None
    unverified: bool = False
    looked_up: Sequence[LookedUp] = ()
    left: Sequence[ThinEvent] = ()
    resumed: Sequence[ThinEvent] = ()
    news: int = 0
    marks: Mapping[ThinEvent, str] = _NO_MARKS
    error: Exception | None = None
    memory: str = ""
    ignored: IgnoredReason = IgnoredReason.NOTHING_TO_RECORD
    ignored_why: str | None = None
    delivered: Sequence[ThinEvent] = ()
