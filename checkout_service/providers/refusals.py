"""What staff may read of a provider's refusal: its HTTP status and its codes, never its sentences.

A sentence may repeat what it was sent, a customer's name among it. A code is one word, of a member that is one by its
name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_MEMBERS: Final = ("code", "decline_code", "error", "errorCode", "errorType", "issue", "name", "type", "field")
"""What providers call their codes: Stripe, Adyen, PayPal, Mollie, and those that follow our own contract."""

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z_.\-]{1,59}(?:_?[0-9]{1,3})?|[0-9]{1,6}")
"""One word, or a short number. No address has this form, no number of a card or a phone, and no key."""

_SHOUTED: Final = re.compile(r"[A-Z][A-Z_]{2,59}")
"""A ``name`` is taken for a code only as PayPal writes it: elsewhere it may be a person's."""

MOST: Final = 3
"""Codes that are shown."""


def answer_in_short(status: int, error: Mapping[str, Any]) -> str:
    """Such as "status 422, UNPROCESSABLE_ENTITY, CAPTURE_FULLY_REFUNDED"; ``error`` is the answer's object, or {}."""
    codes = list(dict.fromkeys(code for code in _codes(error) if code != str(status)))
    return ", ".join([f"status {status}", *codes[:MOST]])


def _codes(error: Mapping[str, Any]) -> Iterator[str]:
    details = error.get("details")
    objects = [error, error.get("error"), *(details[:MOST] if isinstance(details, list) else ())]
    for each in objects:
        if not isinstance(each, Mapping):
            continue
        for name in _MEMBERS:
            value = each.get(name)
            word = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
            if (_SHOUTED if name == "name" else _CODE).fullmatch(word):
                yield word
