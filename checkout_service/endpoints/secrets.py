"""Secrets of webhook endpoints: made here, encrypted for the database, shown once in the forms of Standard Webhooks.

Of v1 it is 32 random bytes that both sides have (``whsec_``). Of v1a it is the seed of an Ed25519 key, and what is
shown is its public half (``whpk_``). What is kept is encrypted with the first of the keys in WEBHOOK_SECRETS_KEY, and
opened with whichever of them fits, so that a key can be replaced.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from checkout_service.endpoints.states import Signing
from checkout_service.settings.secret import Secret

LENGTH: Final = 32
"""Bytes of a secret, and of a seed."""

SHORTEST: Final = 24
LONGEST: Final = 64

OLD_FOR: Final = timedelta(days=1)
"""How long the secrets before a new one go on signing, unless somebody says otherwise."""

LONGEST_OLD_FOR: Final = timedelta(days=7)


class NoSecretsKeyError(Exception):
    """WEBHOOK_SECRETS_KEY is not set, so no secret can be kept or read."""


class UnreadableSecretError(Exception):
    """A secret was encrypted with a key that is not in WEBHOOK_SECRETS_KEY any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A secret that was made: what its shop is shown, and what the database keeps."""

    signing: Signing
    shown: Secret
    ciphertext: bytes


def make_secret(signing: Signing, keys: Sequence[Secret]) -> NewSecret:
    """A secret that nobody has. ``keys`` are those of the settings. Raises NoSecretsKeyError."""
    raw = secrets.token_bytes(LENGTH)
    return NewSecret(signing=signing, shown=Secret(_shown(signing, raw)), ciphertext=_box(keys).encrypt(raw))


def make_unkept_secret() -> Secret:
    """A secret of v1 that nobody has and nobody keeps, as it is shown: for who signs while a command runs."""
    return Secret(_shown(Signing.V1, secrets.token_bytes(LENGTH)))


def read_secret(shown: Secret) -> bytes:
    """The bytes of a secret of v1 as it is shown, ``whsec_…``. Raises ValueError if it is none.

    By the specification it has 24 to 64 bytes.
    """
    kind, _, encoded = shown.reveal().rpartition("_")
    raw = b64decode(encoded, validate=True)
    if kind != "whsec" or not SHORTEST <= len(raw) <= LONGEST:
        raise ValueError("no secret of the form whsec_…")
    return raw


def open_secret(ciphertext: bytes, keys: Sequence[Secret]) -> bytes:
    """The 32 bytes that sign: of v1 the key of HMAC-SHA256, of v1a the seed of Ed25519.

    Raises NoSecretsKeyError and UnreadableSecretError.
    """
    try:
        return _box(keys).decrypt(bytes(ciphertext))
    except InvalidToken as error:
        raise UnreadableSecretError from error


def _box(keys: Sequence[Secret]) -> MultiFernet:
    if not keys:
        raise NoSecretsKeyError
    return MultiFernet([Fernet(key.reveal()) for key in keys])


def _shown(signing: Signing, raw: bytes) -> str:
    if signing is Signing.V1A:
        return "whpk_" + b64encode(Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()).decode()
    return "whsec_" + b64encode(raw).decode()
