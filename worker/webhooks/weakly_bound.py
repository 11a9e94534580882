"""One body a signing, where a signature covers no more of the body than a checksum.

PayPal signs a CRC-32, and to write other bodies of the same checksum is easy. Whoever got hold of one delivery's
headers could have any number of bodies verified, and fill what is pending or failed. So the first body that comes with
a signing is the one that is believed. The cache remembers that; without it, nothing is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from checkout_service.cache import cache
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.registry import provider_specs
from worker.webhooks.reading import Reading

REMEMBER_FOR: Final = 4 * 86_400
"""Seconds: a day longer than such a signature counts."""

_ANOTHER: Final = "another body came with this signature before"


def of_one_body(readings: Sequence[Reading]) -> list[Reading]:
    """The same readings; of those that a signing was used for with another body, as rejected ones.

    Asks the cache once, and only where a provider's format says that its signatures are of this kind.
    """
    signings = {name: spec.webhooks.signing for name, spec in provider_specs().items() if spec.webhooks.signing}
    bound = {
        place: _name_of(reading.webhook.raw, signings[reading.webhook.raw.provider])
        for place, reading in enumerate(readings)
        if reading.webhook.raw.provider in signings
        and not (reading.rejected is not None or reading.unverified or reading.came_with)
    }
    found = list(readings)
    if not bound:
        return found
    bodies = {place: f"{name}:{_digest(readings[place].webhook.raw.body)}" for place, name in bound.items()}
    known = cache().known([*bound.values(), *bodies.values()])
    first: dict[str, str] = {}
    for place, name in bound.items():
        if first.get(name, bodies[place]) != bodies[place] or (name in known and bodies[place] not in known):
            found[place] = Reading(webhook=readings[place].webhook, rejected=_ANOTHER)
        else:
            first[name] = bodies[place]
    if new := [each for name, body in first.items() for each in (name, body) if each not in known]:
        cache().put_many(new, b"1", seconds=REMEMBER_FOR)
    return found


def _name_of(raw_webhook: RawWebhook, headers: Sequence[str]) -> str:
    """The name of a signing in the cache."""
    parts = [raw_webhook.headers.get(header, "") for header in headers]
    return f"signing:{raw_webhook.provider}:{_digest(chr(0).join(parts).encode())}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
