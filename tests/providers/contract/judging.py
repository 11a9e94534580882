"""What any provider may make of any letter: what a genuine one says, or UnreadableError."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from checkout_service.providers.base import Fact, Hint, Provider, RefundFact, UnreadableError
from tests.providers.kits.kit import Kit, Letter

Said = Sequence[Fact | RefundFact | Hint]


def read(provider: Provider, letter: Letter) -> Said | None:
    """What a letter says; None if it is refused. Any other error fails the test."""
    try:
        said = provider.read(letter.envelope(provider.name)).said
    except UnreadableError as error:
        if not str(error).isprintable() or len(str(error)) > 300:
            raise AssertionError("what was sent is in the error's message") from error
        return None
    for item in said:
        if not isinstance(item, Hint):
            raw = json.loads(item.raw) if isinstance(item.raw, bytes) else item.raw
            json.dumps(raw, allow_nan=False).encode()
    return said


def essence(said: Said) -> list[Any]:
    """What a letter proves, without what its provider leaves unsigned and we only keep."""
    return [item if isinstance(item, Hint) else replace(item, raw={}, occurred_at=None) for item in said]


def refused_or_the_same(kit: Kit, provider: Provider, letter: Letter, genuine: Said) -> bool:
    """Whether a changed letter is refused, or changed nothing that counts; one that proves nothing may say anything."""
    said = read(provider, letter)
    if said is None:
        return True
    if not kit.signed:
        return all(isinstance(item, Hint) and not item.genuine for item in said)
    return essence(said) == essence(genuine)


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
