"""Reads the address of a list: which webhooks or payments it is narrowed to, and where its page begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from checkout_service.delivery_states import DeliveryState
from checkout_service.durations import parse_duration
from checkout_service.payments.status import PaymentStatus
from checkout_service.spellings import parse_day, parse_id, parse_moment
from checkout_service.webhooks.selection import Choice

PENDING: Final = "pending"
"""May be given in place of a state: received or parked, so still pending."""

AT_ONCE: Final = (DeliveryState.FAILED, DeliveryState.REJECTED, DeliveryState.RECEIVED, DeliveryState.PARKED)
"""States whose webhooks may all be processed together. Of the applied ones only mismatches can be, which are looked at
one by one."""

LONGEST: Final = 200

OLDEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Nothing here is older, and keys by time (UUID version 7) begin in 1970."""

_UNFIT: Final = "This is nothing that could be found."


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page of a list begins: older than one row, or newer than it; neither for the newest."""

    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFilter:
    """What the list of webhooks is narrowed to. ``given`` is as it was typed, ``faults`` what could not be read."""

    state: str | None = None
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    find: str | None = None
    given: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not self.given

    @property
    def outstanding_only(self) -> bool:
        return self.state == PENDING

    def choice(self, *, provider_ref: str | None) -> Choice | None:
        """What may be processed at once of this; None unless one state is chosen that can be."""
        if self.state not in AT_ONCE or self.faults:
            return None
        return Choice(
            state=DeliveryState(self.state),
            provider=self.provider,
            provider_ref=provider_ref,
            came_from=self.since,
            came_until=self.until,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFilter:
    """What the list of payments is narrowed to."""

    status: PaymentStatus | None = None
    flagged: bool = False
    given: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def read_webhook_filter(args: Mapping[str, str]) -> WebhookFilter:
    """The filter in an address. What cannot be read is told, and narrows nothing."""
    given, faults = _given(args, ("state", "provider", "since", "until", "find"))
    state = given.get("state")
    if state is not None and state not in {*DeliveryState, PENDING}:
        faults["state"] = "There is no such state."
    moments: dict[str, datetime | None] = {}
    for name in ("since", "until"):
        moments[name] = None
        if name in given:
            try:
                moments[name] = read_moment(given[name])
            except (ValueError, OverflowError):
                faults[name] = "Write 90s, 30m, 2h or 7d ago, or a time in UTC such as 2026-11-25 14:30."
    return WebhookFilter(
        state=None if "state" in faults else state,
        provider=given.get("provider"),
        since=moments["since"],
        until=moments["until"],
        find=given.get("find"),
        given=given,
        faults=faults,
    )


def read_payment_filter(args: Mapping[str, str]) -> PaymentFilter:
    """The filter in an address, read as forgivingly."""
    given, faults = _given(args, ("status", "flagged"))
    status = None
    if "status" in given:
        try:
            status = PaymentStatus(given["status"])
        except ValueError:
            faults["status"] = "There is no such status."
    return PaymentFilter(status=status, flagged="flagged" in given, given=given, faults=faults)


def read_place(args: Mapping[str, str]) -> Place:
    """The place in an address; one that is not ours is the beginning."""
    return Place(before=_short(args.get("before")), after=_short(args.get("after")))


def read_id(text: str | None) -> UUID | None:
    """The UUID, if it is one as we write it."""
    try:
        return parse_id(text or "")
    except ValueError:
        return None


def read_moment(text: str) -> datetime:
    """A time in UTC, or how long ago. Raises ValueError, also before ``OLDEST``, and OverflowError far from now."""
    try:
        moment = datetime.now(UTC) - parse_duration("".join(text.removesuffix(" ago").split()))
    except ValueError:
        moment = parse_day(text) if len(text) == len("2026-12-24") else parse_moment(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment < OLDEST:
        raise ValueError(f"{text!r} is before anything that is here")
    return moment


def _given(args: Mapping[str, Any], names: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    given = {name: text for name in names if (text := (args.get(name) or "").strip())}
    faults = {name: _UNFIT for name, text in given.items() if len(text) > LONGEST}
    return {name: text for name, text in given.items() if name not in faults}, faults


def _short(text: str | None) -> str | None:
    return text if text and len(text) <= LONGEST else None
