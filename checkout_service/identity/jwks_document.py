"""Reads a JWKS (RFC 7517): the public keys that an issuer's tokens may be checked with, by their id.

A document comes from whoever holds the issuer's address, so it is bounded, and read into one kind of error. A key that
is none of ours to use is left out, and costs no other key.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

MOST_KEYS: Final = 256
"""Keys of one document, whether we can use them or not; issuers publish two to ten."""

MOST_OF_ONE_ID: Final = 4
"""Keys of one id that are tried for a token; each costs a check of its signature."""

LONGEST_ID: Final = 256

WITHOUT_ID: Final = ""
"""Under which those keys are found that have no id: no id is empty."""

RSA_BITS: Final = (2048, 8192)
LARGEST_EXPONENT: Final = 2**32
"""RSA: the check of one signature takes as long as modulus and exponent are large."""

_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_BY_CURVE: Final = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
    ("OKP", "Ed448"): frozenset({"EdDSA"}),
}
_OTHER_NAMES: Final = {"Ed25519": "EdDSA", "Ed448": "EdDSA"}
"""Algorithms by their names in RFC 9864, in a key; PyJWT has the older one."""

_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_LONGEST_MEMBER: Final = 1400
"""Characters of base64; of a modulus of 8192 bits it has 1366."""


class UnusableJwksError(Exception):
    """Not a JWKS, or one without a single key that we can use. The message shows nothing of it."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key, the algorithms that it may be used with, and what it was published as, by which keys are compared."""

    published: tuple[str, ...]
    algorithms: frozenset[str]
    key: Any = field(compare=False, repr=False)


def read_jwks(document: bytes) -> dict[str, tuple[PublicKey, ...]]:
    """The keys by id, those ``WITHOUT_ID`` too; an id may have several. Raises UnusableJwksError and nothing else."""
    try:
        read = orjson.loads(document)
    except (orjson.JSONDecodeError, RecursionError):
        raise UnusableJwksError("it is not JSON") from None
    listed = read.get("keys") if isinstance(read, dict) else None
    if not isinstance(listed, list):
        raise UnusableJwksError("it has no list of keys")
    if len(listed) > MOST_KEYS:
        raise UnusableJwksError(f"it has more than {MOST_KEYS} keys")
    keys: dict[str, tuple[PublicKey, ...]] = {}
    for entry in listed:
        if not isinstance(entry, dict):
            continue
        kid = entry.get("kid", WITHOUT_ID)
        if not isinstance(kid, str) or len(kid) > LONGEST_ID or (not kid and "kid" in entry):
            continue
        known = keys.get(kid, ())
        key = _usable(entry) if len(known) < MOST_OF_ONE_ID else None
        if key is not None and key not in known:
            keys[kid] = (*known, key)
    if not keys:
        raise UnusableJwksError("it has no key that can be used")
    return keys


def _usable(entry: Mapping[str, Any]) -> PublicKey | None:
    """The key, or None: it is secret, for something else than signatures, of a kind that we do not know, or weak."""
    kind = entry.get("kty")
    members = _MEMBERS.get(kind) if isinstance(kind, str) else None
    if members is None or not isinstance(kind, str) or not _is_for_checking(entry):
        return None
    values = {name: entry.get(name) for name in members}
    if not all(isinstance(value, str) and 0 < len(value) <= _LONGEST_MEMBER for value in values.values()):
        return None
    fitting = _RSA if kind == "RSA" else _BY_CURVE.get((kind, str(values["crv"])), frozenset())
    if "alg" in entry:
        fitting &= {_OTHER_NAMES.get(entry["alg"], entry["alg"])} if isinstance(entry["alg"], str) else set()
    key = _made({"kty": kind, **values}) if fitting else None
    if key is None:
        return None
    return PublicKey((kind, *map(str, values.values()), *sorted(fitting)), fitting, key)


def _is_for_checking(entry: Mapping[str, Any]) -> bool:
    """Whether it is published to check signatures with; one whose private half is published too proves nothing."""
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and "d" not in entry
    )


def _made(entry: Mapping[str, Any]) -> Any:
    """The key of ``cryptography``, which checks that a point is on its curve; None if it is none, or a weak one."""
    makers: Mapping[str, Any] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}
    try:
        key = makers[entry["kty"]].from_jwk(dict(entry))
    except (PyJWTError, UnsupportedAlgorithm, binascii.Error, ValueError, TypeError, OverflowError):
        return None
    return key if not isinstance(key, RSAPublicKey) or _is_sound(key) else None


def _is_sound(key: RSAPublicKey) -> bool:
    numbers = key.public_numbers()
    least, most = RSA_BITS
    return least <= key.key_size <= most and numbers.e <= LARGEST_EXPONENT and bool(numbers.n & 1)
