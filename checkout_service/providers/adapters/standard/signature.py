"""The signatures of Standard Webhooks 1.0 (standardwebhooks.com): v1 by a shared secret, v1a by a pair of keys."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64Error
from collections.abc import Callable, Mapping, Sequence
from hmac import compare_digest

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from checkout_service.providers.adapters.standard.secret_form import PUBLIC_KEY_PREFIX, SECRET_PREFIX, decoded
from checkout_service.providers.base import UnverifiedError
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.signatures import header, signed_digest
from checkout_service.settings.secret import Secret

Claims = Mapping[str, Sequence[bytes]]
"""The signatures that a webhook carries, by version."""

Matches = Callable[[bytes, Claims], bool]
"""Whether one of them is a key's own over these bytes."""


def key_of(secret: Secret) -> Matches:
    """How a live secret judges; one that is empty or no secret at all matches nothing."""
    value = secret.reveal()
    try:
        if value.startswith(PUBLIC_KEY_PREFIX):
            return _asymmetric(Ed25519PublicKey.from_public_bytes(decoded(value.removeprefix(PUBLIC_KEY_PREFIX))))
        key = decoded(value.removeprefix(SECRET_PREFIX))
    except ValueError:
        key = b""
    return _symmetric(key)


def verified(raw_webhook: RawWebhook, keys: Sequence[Matches]) -> int:
    """The place, from 0, of the key that signed the webhook; raises UnverifiedError if none did."""
    claims = _claims(header(raw_webhook, "webhook-signature"))
    names = f"{header(raw_webhook, 'webhook-id')}.{header(raw_webhook, 'webhook-timestamp')}."
    signed = names.encode() + raw_webhook.body
    matches = [key(signed, claims) for key in keys]
    if not any(matches):
        raise UnverifiedError("the signature is not ours")
    return matches.index(True)


def _symmetric(key: bytes) -> Matches:
    def matches(signed: bytes, claims: Claims) -> bool:
        expected = signed_digest(key, signed)
        return bool(key) and any(compare_digest(expected, claim) for claim in claims.get("v1", ()))

    return matches


def _asymmetric(key: Ed25519PublicKey) -> Matches:
    def matches(signed: bytes, claims: Claims) -> bool:
        return any(_verifies(key, claim, signed) for claim in claims.get("v1a", ()))

    return matches


def _verifies(key: Ed25519PublicKey, claim: bytes, signed: bytes) -> bool:
    try:
        key.verify(claim, signed)
    except InvalidSignature:
        return False
    return True


def _claims(value: str) -> Claims:
    """The signatures in a header; a token that is none is skipped, so that it does not hide a good one."""
    claims: dict[str, list[bytes]] = {}
    for token in value.split():
        version, _, signature = token.partition(",")
        try:
            claims.setdefault(version, []).append(b64decode(signature, validate=True))
        except NotBase64Error:
            continue
    return claims
