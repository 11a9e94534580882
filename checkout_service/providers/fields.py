"""What stands in a provider's body, read once for all providers: each value as its type, or UnreadableError.

What we use is read strictly; what nobody reads here may hold any character (see ``redaction.kept``). No message holds
anything of what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from checkout_service.money import InvalidAmountError, decimals, from_minor_units, parse_amount, to_minor_units
from checkout_service.payments.next_action import Redirect
from checkout_service.providers.base import Decline, ProviderRefusedError, UnreadableError
from checkout_service.strict_json import StrictJsonError, canonical, parse_exact_object

LONGEST_ID: Final = 255

_YEARS: Final = range(1970, 9001)
"""Those that PostgreSQL and every time zone can hold; no payment is older."""


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a provider's body, with Decimal for fractions; its texts may hold NUL and half characters."""
    try:
        return parse_exact_object(body)
    except StrictJsonError as error:
        raise UnreadableError(str(error)) from error


def canonical_json(value: dict[str, Any]) -> bytes:
    """The object as ``canonical`` writes it, for what jsonb has to hold."""
    try:
        return canonical(value)
    except StrictJsonError as error:
        raise UnreadableError(str(error)) from error


def text(holder: Mapping[str, Any], name: str) -> str:
    """A printable text, such as a reference."""
    value = holder.get(name)
    # Not printable are also NUL and lone surrogates, which PostgreSQL's text cannot hold.
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_ID or not value.isprintable():
        raise UnreadableError(f"{name} is not a printable text of 1 to {LONGEST_ID} characters")
    return value


def nested(holder: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The object at the end of a path of names."""
    found: Any = holder
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise UnreadableError(f"{'.'.join(names)} is not an object")
    return found


def items(holder: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects."""
    found = holder.get(name)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise UnreadableError(f"{name} is not a list of objects")
    return found


def amount_of(value: object, currency: str | None = None) -> Decimal:
    """An amount from text such as "12.50", and of just the decimals that the currency has where that is known."""
    try:
        return parse_amount(value if isinstance(value, str) else "", currency)
    except InvalidAmountError as error:
        raise UnreadableError("amount is not a text with an amount") from error


def currency_of(value: object) -> str:
    """A currency of three characters, in capitals wherever a provider writes it small."""
    if not isinstance(value, str) or len(value) != 3 or not value.isascii() or not value.isprintable():
        raise UnreadableError("currency is not three characters")
    return value.upper()


def moment_of(value: object, name: str = "a time") -> datetime:
    """An aware time from RFC 3339 text."""
    try:
        # It takes any character between date and time.
        moment = datetime.fromisoformat(value if isinstance(value, str) and value.isprintable() else "")
        if moment.tzinfo is not None and moment.year in _YEARS:
            return moment.astimezone(UTC)
    except ValueError as error:
        raise UnreadableError(f"{name} is not a time") from error
    raise UnreadableError(f"{name} is not a time of ours with its offset")


def unix_moment_of(value: object) -> datetime:
    """An aware time from whole seconds since 1970."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**37:
        raise UnreadableError("a time is not in seconds")
    return datetime.fromtimestamp(value, UTC)


def own_id(value: object) -> UUID | None:
    """An id of ours that a provider gave back, as str(UUID) writes it; None for anything else, which others may set."""
    try:
        found = UUID(value) if isinstance(value, str) and len(value) == 36 else None
    except ValueError:
        return None
    return found if found is not None and str(found) == value else None


def minor_units(amount: Decimal, currency: str, exceptions: Mapping[str, int] | None = None) -> int:
    """What to charge, in the smallest unit; what the currency cannot express is refused before any call."""
    try:
        return to_minor_units(amount, currency, exceptions)
    except InvalidAmountError as error:
        raise ProviderRefusedError(f"{currency}: {error}", reason=Decline.AMOUNT_REFUSED) from error


def amount_from_minor(value: object, currency: str, exceptions: Mapping[str, int] | None = None) -> Decimal:
    """The amount that a provider states in the smallest unit."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnreadableError("an amount is not a whole number")
    try:
        return from_minor_units(value, currency, exceptions)
    except InvalidAmountError as error:
        raise UnreadableError(str(error)) from error


def decimal_text(amount: Decimal, currency: str, exceptions: Mapping[str, int] | None = None) -> str:
    """What to charge, as text with just the decimals that the currency has: "12.50", "12", "1.500"."""
    minor_units(amount, currency, exceptions)
    return f"{amount:.{decimals(currency, exceptions)}f}"


def amount_from_text(value: object, currency: str | None = None) -> Decimal:
    """The amount that a provider states as text, with whatever zeros behind it: "12", "1.500", "12.5000"."""
    plain = value if isinstance(value, str) else ""
    whole, point, fraction = plain.partition(".")
    return amount_of(plain if fraction[2:].strip("0") else whole + point + fraction[:2], currency)


def redirect_to(token: str) -> Redirect | None:
    """The provider's page that a token is the address of: https alone, since a browser is sent there."""
    try:
        parts = urlsplit(token)
    except ValueError:
        return None
    return Redirect(token) if parts.scheme == "https" and parts.netloc and token.isprintable() else None
