"""What an API key looks like: ``csk_``, 43 characters that are 256 random bits, and a checksum of 6.

The fixed beginning tells people, log filters and secret scanners what they found (``csk_[0-9A-Za-z]{49}``). The
checksum is the CRC-32 of all before it, in base 62, as in the tokens of GitHub and npm: a scanner knows a real one from
a text that only looks so, and a key with a typo is refused without a look into the database.
"""

from __future__ import annotations

import re
import secrets
import string
import zlib
from hashlib import sha256
from typing import Final

BEGINNING: Final = "csk_"

CART_TOKEN: Final = "cct_"  # noqa: S105 (how each of them begins)
"""What a Cart-Token begins with, which is made alike."""

PREFIX_LENGTH: Final = len(BEGINNING) + 8
"""So much of a key is its prefix, by which people name it: 47 of its bits. What is left is beyond any guess."""

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM: Final = 43
_CHECKSUM: Final = 6
_KEY: Final = re.compile(rf"[a-z]{{3}}_[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")
_PREFIX: Final = re.compile(rf"{BEGINNING}[0-9A-Za-z]{{{PREFIX_LENGTH - len(BEGINNING)}}}")


def new_key(beginning: str = BEGINNING) -> str:
    """A key that nobody has."""
    text = beginning + _in_base_62(secrets.randbits(256), _RANDOM)
    return text + _checksum(text)


def is_key(text: str, beginning: str = BEGINNING) -> bool:
    """Whether a text has the form of a key and its checksum. That says nothing of whether there is such a key."""
    has_form = text.startswith(beginning) and _KEY.fullmatch(text) is not None
    return has_form and text.endswith(_checksum(text[:-_CHECKSUM]))


def prefix_of(key: str) -> str:
    """By what people name a key. It opens nothing."""
    return key[:PREFIX_LENGTH]


def is_prefix(text: str) -> bool:
    """Whether a text has the form of a key's prefix."""
    return _PREFIX.fullmatch(text) is not None


def hash_of(key: str) -> bytes:
    """What is kept of a key: its SHA-256. Of 256 random bits a fast hash is found by nobody who has it."""
    return sha256(key.encode()).digest()


def _checksum(text: str) -> str:
    return _in_base_62(zlib.crc32(text.encode()), _CHECKSUM)


def _in_base_62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, place = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[place])
    return "".join(reversed(digits))
