"""The secrets of Standard Webhooks 1.0: how one is read, and what is wrong with one that cannot be.

github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md, "Signature scheme": the base64 of 24 to 64
random bytes after ``whsec_``, or of an ed25519 public key after ``whpk_``.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Final

from checkout_service.settings.secret_forms import QUOTES, what_it_is

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 (the specification's, not one of ours)
PUBLIC_KEY_PREFIX: Final = "whpk_"

SHORTEST: Final = 24
LONGEST: Final = 64
PUBLIC_KEY: Final = 32
"""Bytes of an ed25519 public key (RFC 8032)."""


def decoded(value: str) -> bytes:
    """The bytes of a secret without its prefix, padded or not. Raises ValueError if it is no standard base64."""
    bare = value.rstrip("=")
    if len(value) != len(bare) and len(value) % 4:
        raise ValueError("the padding is not that of base64")
    return b64decode(bare + "=" * (-len(bare) % 4), validate=True)


def signing_secret(value: str) -> str | None:
    """What is wrong with one secret of a list, in words that show nothing of it; None if it can verify a webhook."""
    prefix = next((prefix for prefix in (SECRET_PREFIX, PUBLIC_KEY_PREFIX) if value.startswith(prefix)), "")
    coded = value.removeprefix(prefix)
    if value[-1] in QUOTES or value[0] in QUOTES:
        return "has a quotation mark at its end"
    if any(character.isspace() for character in value):
        return "has whitespace in it"
    if not prefix:
        kind = what_it_is(value)
        return f"is {kind}, not a signing secret" if kind else "begins with neither whsec_ nor whpk_"
    if re.search(r"[-_]", coded):
        return "is URL-safe base64: the specification has + and / where this has - and _"
    try:
        key = decoded(coded)
    except ValueError:
        return f"is not {prefix} and base64"
    if prefix == PUBLIC_KEY_PREFIX:
        return None if len(key) == PUBLIC_KEY else f"is a public key of {len(key)} bytes, and ed25519 has {PUBLIC_KEY}"
    if not SHORTEST <= len(key) <= LONGEST:
        return f"is the base64 of {len(key)} bytes, and the specification has {SHORTEST} to {LONGEST}"
    return None
