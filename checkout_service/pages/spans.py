"""A long list, a span of it at a time: the newest entries first of all, and the way to those before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

SPAN: Final = 50
"""Entries of a list that one page shows. What strangers send can make a list long, and nobody reads a thousand."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span(Generic[T]):
    """Some entries of a list in order. Places count from the list's beginning, so they stay as the list grows.

    ``earlier`` and ``later`` are the places at which the spans beside it end; None where there are no more entries.
    """

    entries: Sequence[T]
    earlier: int | None
    later: int | None


def span_of(entries: Sequence[T], *, until: int | None = None, size: int = SPAN) -> Span[T]:
    """The span that ends at this place, or the newest one: without a place, or where the list is shorter."""
    end = len(entries) if until is None else min(max(until, size), len(entries))
    start = max(end - size, 0)
    return Span(
        entries=entries[start:end],
        earlier=start or None,
        later=min(end + size, len(entries)) if end < len(entries) else None,
    )


def read_until(text: str | None) -> int | None:
    """A place as an address carries it; None where it is none, so that the newest span is shown."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else None
