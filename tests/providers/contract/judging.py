"""What any provider may make of any webhook: its events, UnverifiedError or, if it is verified, UnreadableError."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from checkout_service.providers.base import (
    Provider,
    ProviderEvent,
    ProviderRefundEvent,
    ThinEvent,
    UnreadableError,
    UnverifiedError,
)
from tests.providers.kits.kit import Kit, SignedWebhook

Events = Sequence[ProviderEvent | ProviderRefundEvent | ThinEvent]


def read(provider: Provider, webhook: SignedWebhook) -> Events | None:
    """What a webhook says; None if it is unverified. Any other error fails the test.

    UnreadableError too: what a stranger changed is never taken for the provider's.
    """
    try:
        events = provider.verify_and_parse(webhook.raw(provider.name)).events
    except UnverifiedError as error:
        check_message(error)
        return None
    for item in events:
        if not isinstance(item, ThinEvent):
            raw = json.loads(item.raw) if isinstance(item.raw, bytes) else item.raw
            json.dumps(raw, allow_nan=False).encode()
            if not held_by_postgresql(asdict(item) | {"raw": raw}):
                raise AssertionError("an event holds a text that PostgreSQL cannot")
    return events


def read_sealed(provider: Provider, webhook: SignedWebhook) -> Events | None:
    """The same of a webhook that the provider signed, which may be unreadable as well."""
    try:
        return read(provider, webhook)
    except UnreadableError as error:
        check_message(error)
        return None


def held_by_postgresql(value: Any) -> bool:
    """Whether no text in the value, at any depth, has a NUL or half a character."""
    if isinstance(value, dict):
        return all(held_by_postgresql(inner) for pair in value.items() for inner in pair)
    if isinstance(value, list | tuple):
        return all(held_by_postgresql(inner) for inner in value)
    return not isinstance(value, str) or all(each != "\0" and not "\ud800" <= each <= "\udfff" for each in value)


def check_message(error: Exception) -> None:
    """Nothing that was sent may be in an error's message: it is shown and logged."""
    if not str(error).isprintable() or len(str(error)) > 300:
        raise AssertionError("what was sent is in the error's message") from error


def essence(events: Events) -> list[Any]:
    """What a webhook proves, without what its provider leaves unsigned and we only keep."""
    return [item if isinstance(item, ThinEvent) else replace(item, raw={}, occurred_at=None) for item in events]


def refused_or_the_same(kit: Kit, provider: Provider, webhook: SignedWebhook, verified: Events) -> bool:
    """Whether a changed webhook is unverified, or changed nothing that counts.

    One that proves nothing may say anything.
    """
    events = read(provider, webhook)
    if events is None:
        return True
    if not kit.signed:
        return all(isinstance(item, ThinEvent) and not item.verified for item in events)
    return essence(events) == essence(verified)


ODD_TEXTS = ("", "x", "x" * 300, "\u2028", "\0", "\ud83c")
LEAVES: tuple[Any, ...] = (None, True, 0, -1, 2**63, 10**30, *ODD_TEXTS, [], {}, [{}], {"id": 1})
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
