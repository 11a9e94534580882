"""Signs event deliveries by Standard Webhooks: with each live secret, so that a rotation loses nothing.

Whoever posts an event takes its headers from here: the sender, and ``events listen`` on a developer's machine.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, time
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from checkout_service.endpoints.states import Signing

AGENT: Final = "checkout-service/0.1.0"
"""How we call ourselves to receivers, with the version of pyproject.toml: a test compares them."""

FOR_EVER: Final = float("inf")

Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Signer:
    """One live secret; it signs until ``ends``, by the monotonic clock."""

    scheme: Signing
    sign: Sign
    ends: float = FOR_EVER


def make_signer(scheme: Signing, key: bytes, ends_in: float | None) -> Signer:
    """From the bytes of a secret, that of v1a being an Ed25519 seed; ``ends_in`` seconds, or None: for ever.

    Raises ValueError if it is no key of its scheme.
    """
    ends = FOR_EVER if ends_in is None else monotonic() + ends_in
    if scheme is Signing.V1A:
        return Signer(scheme, Ed25519PrivateKey.from_private_bytes(key).sign, ends)
    return Signer(scheme, lambda content: hmac.digest(key, content, hashlib.sha256), ends)


def signed_headers(signers: Sequence[Signer], *, event_id: str, body: bytes, agent: str) -> dict[str, str]:
    """The headers of one attempt, at this moment."""
    timestamp = str(int(time()))
    return {
        "content-type": "application/json",
        "user-agent": agent,
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(signers, event_id=event_id, timestamp=timestamp, body=body),
    }


def signature(signers: Sequence[Signer], *, event_id: str, timestamp: str, body: bytes) -> str:
    """The value of the header webhook-signature: ``v1,<base64>`` of each live secret, separated by spaces.

    ``timestamp`` is the attempt's, in seconds since 1970. Empty if no secret is live.
    """
    content = f"{event_id}.{timestamp}.".encode() + body
    now = monotonic()
    return " ".join(
        f"{signer.scheme.value},{b64encode(signer.sign(content)).decode()}" for signer in signers if signer.ends > now
    )
