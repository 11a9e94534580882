"""Reads the address of a list: what it is narrowed to, and where its page begins.

A filter that cannot be read is told beside its field, and then nothing is listed: who mistypes a filter must not take
what is shown for what they looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.console.customer_queries import customer_called
from checkout_service.console.untrusted import visible
from checkout_service.delivery_states import DeliveryState
from checkout_service.durations import parse_duration
from checkout_service.identity.subjects import subjects_here
from checkout_service.money import InvalidAmountError, parse_amount
from checkout_service.providers.base import IgnoredReason
from checkout_service.providers.registry import provider_specs
from checkout_service.spellings import parse_day, parse_id, parse_moment
from checkout_service.webhooks.selection import Choice

PENDING: Final = "pending"
"""May be given in place of a state: received or parked, so still pending."""

AT_ONCE: Final = (
    DeliveryState.FAILED,
    DeliveryState.REJECTED,
    DeliveryState.IGNORED,
    DeliveryState.RECEIVED,
    DeliveryState.PARKED,
)
"""States whose webhooks may all be processed together. Of the applied ones only mismatches can be, which are looked at
one by one."""

LONGEST: Final = 200

OLDEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Nothing here is older, and keys by time (UUID version 7) begin in 1970."""

OTHER: Final = "other"
PLACE: Final = "place"
"""Faults of the address that no field is beside: a filter that there is not, a place that the list does not have."""

_BESIDE: Final = ("before", "after", "csrf", "key", "why")
"""Parameters of addresses and forms that narrow nothing."""

UNFIT: Final = "This is nothing that could be found."
MOMENT: Final = "Write 90s, 30m, 2h or 7d ago, or a time in UTC such as 2026-11-25 14:30."

_SUM: Final = re.compile(r"(?:([A-Za-z]{3}) ?)?([0-9][0-9.]*)(?: ?([A-Za-z]{3}))?", re.ASCII)


class UnreadableError(Exception):
    """A filter cannot be read; the message is said beside its field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page of a list begins: older than one row, or newer than it; neither for the newest."""

    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFilter:
    """What the list of webhooks is narrowed to. ``given`` is as it was typed, ``faults`` what could not be read.

    With a ``reason`` the state is that of what is ignored, whether it was typed or not.
    """

    state: str | None = None
    reason: IgnoredReason | None = None
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

    def choice(self, *, provider: str | None, provider_ref: str | None) -> Choice | None:
        """What may be processed at once of this; None unless one state is chosen that can be.

        ``provider`` is that of a payment that was looked for, whose webhooks alone the list has.
        """
        if self.state not in AT_ONCE or self.faults:
            return None
        return Choice(
            state=DeliveryState(self.state),
            reason=self.reason,
            provider=self.provider or provider,
            provider_ref=provider_ref,
            came_from=self.since,
            came_until=self.until,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceFilter:
    """What a list is narrowed to by one word of several; ``chosen`` is None for all of them, or a word that is none."""

    chosen: str | None = None
    given: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def read_choice(args: Mapping[str, str], name: str, words: Collection[str]) -> ChoiceFilter:
    """The word that an address narrows a list by."""
    given, faults = given_of(args, (name,))
    if name in given and given[name] not in words:
        faults[name] = f"There is no such {name}."
    return ChoiceFilter(chosen=None if faults else given.get(name), given=given, faults=faults)


def read_webhook_filter(args: Mapping[str, str]) -> WebhookFilter:
    """The filter in an address. With what cannot be read nothing is to be listed."""
    given, faults = given_of(args, ("state", "reason", "provider", "since", "until", "find"))
    state = given.get("state")
    if state is not None and state not in {*DeliveryState, PENDING}:
        faults["state"] = "There is no such state."
    reason = next((reason for reason in IgnoredReason if reason.value == given.get("reason")), None)
    if "reason" in given and reason is None:
        faults.setdefault("reason", "There is no such reason.")
    elif reason is not None and state not in {None, DeliveryState.IGNORED}:
        faults.setdefault("reason", "Only what is ignored has one: choose that state, or any.")
    if "provider" in given and given["provider"] not in provider_specs():
        faults.setdefault("provider", "There is no such provider.")
    moments: dict[str, datetime | None] = {}
    for name in ("since", "until"):
        moments[name] = None
        if name in given and name not in faults:
            try:
                moments[name] = read_moment_field(given[name])
            except UnreadableError as error:
                faults[name] = str(error)
    check_span(moments["since"], moments["until"], faults)
    return WebhookFilter(
        state=None if "state" in faults else DeliveryState.IGNORED if reason is not None else state,
        reason=reason,
        provider=given.get("provider"),
        since=moments["since"],
        until=moments["until"],
        find=given.get("find"),
        given=given,
        faults=faults,
    )


def read_place(args: Mapping[str, str], read: Callable[[str], object], faults: dict[str, str]) -> Place:
    """The place in an address, the beginning where none is named. What ``read`` cannot read is put into ``faults``.

    ``read`` raises ValueError.
    """
    named = {name: args.get(name) or None for name in ("before", "after")}
    for text in filter(None, named.values()):
        if len(text) > LONGEST or not _readable(text, read):
            faults[PLACE] = "The address names a place that this list does not have."
    return Place() if PLACE in faults else Place(**named)


def _readable(text: str, read: Callable[[str], object]) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def check_span(since: datetime | None, until: datetime | None, faults: dict[str, str]) -> None:
    """Tell a span of time that ends before it begins: nothing could lie in it."""
    if since is not None and until is not None and since >= until:
        faults.setdefault("until", "This is not after the time from which on they are sought.")


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


def read_moment_field(text: str) -> datetime:
    """A time in UTC, or how long ago. Raises UnreadableError."""
    try:
        return read_moment(text)
    except (ValueError, OverflowError):
        raise UnreadableError(MOMENT) from None


def read_sum(text: str) -> tuple[Decimal, str | None]:
    """An amount and the currency before or behind it, None where none is written. Raises UnreadableError."""
    found = _SUM.fullmatch(text)
    if found is None or (found[1] and found[3]):
        raise UnreadableError("Not an amount: write 240.00, or 240.00 USD.")
    currency = (found[1] or found[3] or "").upper() or None
    try:
        return parse_amount(found[2], currency), currency
    except InvalidAmountError as error:
        raise UnreadableError(f"Not an amount: {error}.") from error


def read_customer(text: str) -> UUID:
    """The id of the customer who is named by id, or by what their tokens call them.

    Raises UnreadableError where nobody is called so, and DatabaseUnavailableError.
    """
    # Looked up, though it could be computed: so a name that nobody has is told from one that paid for nothing.
    found = read_id(text) or customer_called(text, issuer=subjects_here().issuer)
    if found is None:
        raise UnreadableError("Nobody is called so: the customer’s id, or what their tokens call them.")
    return found


Readers = Mapping[str, Callable[[str], dict[str, Any]]]
"""What reads each parameter of a list's address into the fields of its filter. Raises UnreadableError."""


class Fields(NamedTuple):
    """What an address narrows a list to: the fields that were ``read``, what was typed, and what could not be read."""

    read: dict[str, Any]
    given: dict[str, str]
    faults: dict[str, str]


def read_fields(args: Mapping[str, str], readers: Readers) -> Fields:
    """The fields in an address. Raises what the readers raise besides UnreadableError."""
    given, faults = given_of(args, tuple(readers))
    read: dict[str, Any] = {}
    for name, text in given.items():
        if name in faults:
            continue
        try:
            read |= readers[name](text)
        except UnreadableError as error:
            faults[name] = str(error)
    check_span(read.get("since"), read.get("until"), faults)
    return Fields(read, given, faults)


def read_amount_field(text: str) -> dict[str, Any]:
    """An amount, and its currency where one is written. Raises UnreadableError."""
    amount, currency = read_sum(text)
    return {"amount": amount, "currency": currency}


SPAN: Final[Readers] = {
    "since": lambda text: {"since": read_moment_field(text)},
    "until": lambda text: {"until": read_moment_field(text)},
}


def given_of(args: Mapping[str, Any], names: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """What was typed of these, as far as it is to be shown again, and what of it is nothing that could be found.

    A parameter that is none of them is told too: whoever mistypes a filter's name would take all for what they sought.
    """
    given = {name: text for name in names if (text := (args.get(name) or "").strip())}
    faults = {name: UNFIT for name, text in given.items() if len(text) > LONGEST or not text.isprintable()}
    if others := sorted(args.keys() - {*names, *_BESIDE}):
        faults[OTHER] = f"There is no filter “{visible(others[0][:LONGEST])}”."
    return {name: visible(text[:LONGEST]) for name, text in given.items()}, faults
