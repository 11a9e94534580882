"""What every signed webhook has in common: headers, comparisons that take the same time, and an age.

Whatever is wrong here is an UnverifiedError.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from checkout_service.providers.base import UnreadableError, UnverifiedError
from checkout_service.providers.raw_webhook import RawWebhook


@contextmanager
def before_verification() -> Iterator[None]:
    """What cannot be understood in here was not verified yet, so anybody may have sent it."""
    try:
        yield
    except UnreadableError as error:
        raise UnverifiedError(str(error)) from error


def header(raw_webhook: RawWebhook, name: str, *, tabs: bool = False) -> str:
    """A header of the webhook, of printable ASCII; with ``tabs`` these may be among it."""
    value = raw_webhook.headers.get(name)
    if not isinstance(value, str) or not value:
        raise UnverifiedError(f"the header {name} is missing")
    if not value.isascii() or not (value.replace("\t", "") if tabs else value).isprintable():
        raise UnverifiedError(f"the header {name} is not printable ASCII")
    return value


def matching(keys: Sequence[bytes], expected: Callable[[bytes], bytes], claimed: Sequence[str | bytes]) -> int:
    """The place, from 0, of the live key whose expected signature is among those claimed.

    All are compared, over bytes, each in constant time. An empty key matches nothing: anybody has it.
    """
    given = [claim.encode("utf-8", "surrogatepass") if isinstance(claim, str) else claim for claim in claimed]
    found = None
    for place, key in enumerate(keys):
        if not key:
            continue
        signature = expected(key)
        for claim in given:
            # Compared whatever was found before.
            if hmac.compare_digest(signature, claim) and found is None:
                found = place
    if found is None:
        raise UnverifiedError("the signature is not ours")
    return found


def signed_hex(key: bytes, signed: bytes) -> bytes:
    """HMAC-SHA256 in hexadecimal."""
    return hmac.digest(key, signed, "sha256").hex().encode()


def signed_digest(key: bytes, signed: bytes) -> bytes:
    """HMAC-SHA256 as it is."""
    return hmac.digest(key, signed, "sha256")


def unix_time(seconds: str) -> datetime:
    """The time that a signature covers, where it is written as whole seconds since 1970."""
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 11):
        raise UnverifiedError("the signed time is not in seconds")
    return datetime.fromtimestamp(int(seconds), UTC)


def check_age(
    signed_at: datetime, raw_webhook: RawWebhook, tolerance: timedelta, *, redelivered_for: timedelta = timedelta(0)
) -> None:
    """Refuse a webhook that was signed (an aware time) too long before or after it was received.

    Both may be as far apart as ``tolerance``. A provider that delivers again under the first signature does so for
    ``redelivered_for``, and that long it may be old too. One from the future is refused as well: an official verifier
    that takes it lets a webhook be kept for a year.
    """
    age = raw_webhook.received_at - signed_at
    if not -tolerance <= age <= max(tolerance, redelivered_for):
        raise UnverifiedError("it was signed too long before or after it was received")
