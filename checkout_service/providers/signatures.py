"""What every signed webhook has in common: keys, comparisons that take the same time, and an age."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from checkout_service.providers.base import UnreadableError
from checkout_service.providers.raw_webhook import RawWebhook


def header(raw_webhook: RawWebhook, name: str) -> str:
    """A header of the webhook, of printable ASCII."""
    value = raw_webhook.headers.get(name)
    if not isinstance(value, str) or not value:
        raise UnreadableError(f"the header {name} is missing")
    if not value.isascii() or not value.isprintable():
        raise UnreadableError(f"the header {name} is not printable ASCII")
    return value


def matching(keys: Sequence[bytes], expected: Callable[[bytes], bytes], claimed: Sequence[str | bytes]) -> int:
    """The place of the live key whose expected signature is among those claimed.

    All are compared, over bytes, each in constant time. An empty key matches nothing: anybody has it.
    Raises UnreadableError if none does.
    """
    given = [claim.encode("utf-8", "surrogatepass") if isinstance(claim, str) else claim for claim in claimed]
    found = None
    for place, key in enumerate(keys):
        wanted = expected(key) if key else None
        matched = [wanted is not None and hmac.compare_digest(wanted, claim) for claim in given]
        if found is None and any(matched):
            found = place
    if found is None:
        raise UnreadableError("the signature is not ours")
    return found


def signed_hex(key: bytes, signed: bytes) -> bytes:
    """HMAC-SHA256 in hexadecimal."""
    return hmac.digest(key, signed, "sha256").hex().encode()


def signed_digest(key: bytes, signed: bytes) -> bytes:
    """HMAC-SHA256 as it is."""
    return hmac.digest(key, signed, "sha256")


def check_age(seconds: str, raw_webhook: RawWebhook, tolerance: timedelta) -> None:
    """Refuse a webhook whose signed time, in whole seconds since 1970, is not about when it was received.

    Both old and future ones: an official verifier that takes the latter lets a webhook be kept for a year.
    """
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 11):
        raise UnreadableError("the signed time is not in seconds")
    check_moment(datetime.fromtimestamp(int(seconds), UTC), raw_webhook, tolerance)


def check_moment(signed_at: datetime, raw_webhook: RawWebhook, tolerance: timedelta) -> None:
    """The same of an aware time."""
    if abs(raw_webhook.received_at - signed_at) > tolerance:
        raise UnreadableError("it was signed too long before or after it was received")
