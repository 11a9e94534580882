"""What any provider may make of any webhook: what a verified one says, or UnreadableError."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from checkout_service.providers.base import Provider, ProviderEvent, ProviderRefundEvent, ThinEvent, UnreadableError
from tests.providers.kits.kit import Kit, SignedWebhook

Said = Sequence[ProviderEvent | ProviderRefundEvent | ThinEvent]


def read(provider: Provider, webhook: SignedWebhook) -> Said | None:
    """What a webhook says; None if it is refused. Any other error fails the test."""
    try:
        said = provider.read(webhook.raw(provider.name)).said
    except UnreadableError as error:
        if not str(error).isprintable() or len(str(error)) > 300:
            raise AssertionError("what was sent is in the error's message") from error
        return None
    for item in said:
        if not isinstance(item, ThinEvent):
            raw = json.loads(item.raw) if isinstance(item.raw, bytes) else item.raw
            json.dumps(raw, allow_nan=False).encode()
    return said


def essence(said: Said) -> list[Any]:
    """What a webhook proves, without what its provider leaves unsigned and we only keep."""
    return [item if isinstance(item, ThinEvent) else replace(item, raw={}, occurred_at=None) for item in said]


def refused_or_the_same(kit: Kit, provider: Provider, webhook: SignedWebhook, verified: Said) -> bool:
    """Whether a changed webhook is refused, or changed nothing that counts.

    One that proves nothing may say anything.
    """
    said = read(provider, webhook)
    if said is None:
        return True
    if not kit.signed:
        return all(isinstance(item, ThinEvent) and not item.verified for item in said)
    return essence(said) == essence(verified)


LEAVES: tuple[Any, ...] = (None, True, 0, -1, 2**63, 10**30, "", "x", "x" * 300, "\u2028", [], {}, [{}], {"id": 1})
"""What may stand where something else should."""


def rewritten(value: Any) -> Iterator[Any]:
    """The value with one thing in it replaced, left out or added, for each thing in it."""
    for other in LEAVES:
        if other != value:
            yield other
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {name: kept for name, kept in value.items() if name != key}
            for changed in rewritten(inner):
                yield value | {key: changed}
    if isinstance(value, list):
        for place, inner in enumerate(value):
            for changed in rewritten(inner):
                yield [*value[:place], changed, *value[place + 1 :]]
