"""Reads the addresses of payouts and of exceptions: what they are narrowed to.

What cannot be read is told, and lists nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from checkout_service.console.filters import Readers, UnreadableError, read_fields, read_id
from checkout_service.settlement_words import EXCEPTIONS, MatchState, PayoutState, PayoutStatus
from checkout_service.settlements.queries import PayoutFilters
from checkout_service.spellings import parse_day


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutSearch:
    """What the list is narrowed to. ``given`` is as it was typed, ``faults`` what could not be read."""

    filters: PayoutFilters
    given: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def read_payout_search(args: Mapping[str, str]) -> PayoutSearch:
    """The search in an address."""
    found = read_fields(args, _READERS)
    since, until = found.read.get("arrival_since"), found.read.get("arrival_until")
    if since is not None and until is not None and since >= until:
        found.faults.setdefault("arrival_until", "This is not after the day from which on they are sought.")
    return PayoutSearch(filters=PayoutFilters(**found.read), given=found.given, faults=found.faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionSearch:
    """What exceptions are narrowed to; ``kind`` is None where none is chosen. ``given`` is as it was typed."""

    kind: MatchState | None = None
    provider: str | None = None
    payout_id: UUID | None = None
    given: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def read_exception_search(args: Mapping[str, str]) -> ExceptionSearch:
    """The search for exceptions in an address."""
    found = read_fields(args, _OF_EXCEPTIONS)
    return ExceptionSearch(**found.read, given=found.given, faults=found.faults)


def _kind(text: str) -> dict[str, Any]:
    if text not in EXCEPTIONS:
        raise UnreadableError("There is no such kind.")
    return {"kind": MatchState(text)}


def _payout(text: str) -> dict[str, Any]:
    payout_id = read_id(text)
    if payout_id is None:
        raise UnreadableError("The id of a payout.")
    return {"payout_id": payout_id}


def _word(name: str, words: Callable[[str], Any]) -> Callable[[str], dict[str, Any]]:
    def read(text: str) -> dict[str, Any]:
        try:
            return {name: words(text)}
        except ValueError:
            raise UnreadableError(f"There is no such {name}.") from None

    return read


def _matching(name: str, pattern: str, fault: str) -> Callable[[str], dict[str, Any]]:
    def read(text: str) -> dict[str, Any]:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise UnreadableError(fault)
        return {name: text}

    return read


def _day(name: str) -> Callable[[str], dict[str, Any]]:
    def read(text: str) -> dict[str, Any]:
        try:
            return {name: parse_day(text).date()}
        except (ValueError, OverflowError):
            raise UnreadableError("Write a day such as 2026-12-24.") from None

    return read


_PROVIDER: Final = _matching("provider", "[a-z][a-z0-9_]{0,31}", "A provider’s name, such as stripe.")

_OF_EXCEPTIONS: Final[Readers] = {"kind": _kind, "provider": _PROVIDER, "payout_id": _payout}

_READERS: Final[Readers] = {
    "provider": _PROVIDER,
    "state": _word("state", PayoutState),
    "status": _word("status", PayoutStatus),
    "currency": _matching("currency", "[A-Z]{3}", "A currency’s code in ISO 4217, such as USD."),
    "arrival_since": _day("arrival_since"),
    "arrival_until": _day("arrival_until"),
    "reference": lambda text: {"reference": text},
}

NAMES: Final = tuple(_READERS)
"""The parameters that an address narrows the list by."""
