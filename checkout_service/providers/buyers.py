"""Who buys and where it goes, as providers take it: each value in their form, or not at all.

Customers write names, addresses and numbers as they are used to, and no provider takes all of it. What one would
refuse is left out, since nobody must be kept from paying by it. What it refuses all the same it is not sent twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from checkout_service.providers.base import Decline, Opening, ProviderRefusedError
from checkout_service.providers.transport import bounded

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SPACING: Final = re.compile(r"\(0\)|[ ()./\-\u00a0\u2010-\u2015]")
_PERHAPS: Final = frozenset({Decline.OTHER, Decline.NOT_IN_THIS_STATE})
"""What a provider calls it where it dislikes some member of an order."""


def open_whole_or_plain(
    call: Callable[[dict[str, Any], str], dict[str, Any]],
    *,
    whole: dict[str, Any],
    plain: dict[str, Any],
    payment_id: UUID,
) -> dict[str, Any]:
    """The answer to ``call(order, idempotency_key)`` with the whole order; if that is refused, with the plain one.

    The plain order is without what a payment does not need. It has a key of its own, as another request has to, so
    retries end at the same payment. Raises what the call raises.
    """
    with bounded():
        try:
            return call(whole, str(payment_id))
        except ProviderRefusedError as error:
            if whole == plain or error.reason not in _PERHAPS:
                raise
        return call(plain, f"{payment_id}-plain")


def described(opening: Opening, most: int) -> dict[str, str]:
    """``description``, at most so many characters of it, where there is one."""
    return {"description": opening.description[:most].rstrip()} if opening.description else {}


def in_two(name: str) -> tuple[str, str] | None:
    """Given and family name, where a provider wants two: the last word is the family's. None of a single word.

    Nobody knows which is which in all languages, so it is for showing and not for judging.
    """
    given, _, family = " ".join(name.split()).rpartition(" ")
    return (given, family) if given else None


def e164(phone: str | None) -> str | None:
    """A telephone number as ITU-T E.164 has it, +442079460018, or None where its country is not written in it."""
    number = _SPACING.sub("", phone or "")
    return number if _E164.fullmatch(number) else None


def plain_email(email: str) -> str | None:
    """The address where all providers read it: in ASCII, as RFC 5321 has it."""
    return email if email.isascii() else None


def language_and_country(locale: str) -> tuple[str, str] | None:
    """Language and country of a BCP 47 tag, such as en and GB; None where it names no country by two characters."""
    language, *rest = locale.split("-")
    for subtag in rest:
        if len(subtag) == 1:
            break  # from here on it is extensions
        if len(subtag) == 2 and subtag.isalpha():
            return language.lower(), subtag.upper()
    return None


def urls_of(opening: Opening) -> dict[str, str]:
    """Where the customer goes from the provider's page, by our own names; without those that are not given."""
    return _given({"return_url": opening.return_url, "cancel_url": opening.cancel_url})


def extras_of(opening: Opening) -> dict[str, Any]:
    """The description, and who buys and where it goes, by our own names; without what is not given."""
    people = {"buyer": opening.buyer, "delivery_address": opening.delivery_address}
    shown = {name: _given(asdict(value)) for name, value in people.items() if value is not None}
    return shown | _given({"description": opening.description})


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
