"""What we keep of a provider's body: what is named, nothing that looks like a card's number, no half characters.

``raw`` of an event ends in payments.raw_payload, which operators and pages may show, so it is an allow-list. The
webhook itself is kept elsewhere, as it came, for as long as it may be needed again.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal
from typing import Any, Final

from checkout_service.strict_json import storable

# 13 to 19 digits, perhaps in groups, not part of a longer word: a reference with A to Z in it is none.
_DIGITS: Final = re.compile(r"(?<![0-9A-Za-z_])[2-6](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z_])")
_MASKED: Final = "[digits left out]"


def kept(body: Any, names: Collection[str]) -> Any:
    """A copy, fit for jsonb, in which every object, at any depth, has only the keys that are among ``names``.

    A text loses the characters that jsonb cannot hold, before it is searched for cards' numbers.
    """
    if isinstance(body, dict):
        return {key: kept(value, names) for key, value in body.items() if key in names}
    if isinstance(body, list):
        return [kept(item, names) for item in body]
    if isinstance(body, Decimal):
        return float(body)
    if isinstance(body, str):
        return _DIGITS.sub(lambda found: _MASKED if _is_card(found[0]) else found[0], storable(body))
    if isinstance(body, int) and 10**12 <= body < 10**19:
        return _MASKED if _DIGITS.fullmatch(str(body)) and _is_card(str(body)) else body
    return body


def _is_card(number: str) -> bool:
    """Whether the last digit is the check digit that cards' numbers have (ISO/IEC 7812-1, annex B)."""
    digits = [int(digit) for digit in reversed(number) if digit.isdigit()]
    return sum(digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(digits)) % 10 == 0
