"""What a person says of a refund that is in doubt, read and bounded: the provider's name for it."""

from __future__ import annotations

from typing import Final

LONGEST_REFERENCE: Final = 255


class InvalidReferenceError(Exception):
    """It is no provider's name for a refund; the message says why."""


def read_reference(typed: str) -> str:
    """The provider's name for a refund, as somebody copied it out of its dashboard. Raises InvalidReferenceError."""
    reference = typed.strip()
    if not reference:
        raise InvalidReferenceError("what the provider calls the refund is needed")
    if len(reference) > LONGEST_REFERENCE:
        raise InvalidReferenceError(f"a reference has up to {LONGEST_REFERENCE} characters")
    if not reference.isascii() or not reference.isprintable() or " " in reference:
        raise InvalidReferenceError("a reference is printable ASCII without a space")
    return reference
