"""All that a list has, a page after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T_co = TypeVar("T_co", covariant=True)


class Page(Protocol[T_co]):
    """A part of a list."""

    @property
    def data(self) -> Sequence[T_co]: ...

    @property
    def next_cursor(self) -> str | None: ...


def each(read: Callable[P, Page[T_co]], *args: P.args, **kwargs: P.kwargs) -> Iterator[T_co]:
    """What all pages hold: ``each(list_payments.sync, client=client, limit=100)``."""
    while True:
        page = read(*args, **kwargs)
        yield from page.data
        if page.next_cursor is None:
            return
        kwargs["cursor"] = page.next_cursor


async def each_async(
    read: Callable[P, Awaitable[Page[T_co]]], *args: P.args, **kwargs: P.kwargs
) -> AsyncIterator[T_co]:
    """As `each`, for programs that use asyncio: ``async for payment in each_async(list_payments.asyncio, …)``."""
    while True:
        page = await read(*args, **kwargs)
        for one in page.data:
            yield one
        if page.next_cursor is None:
            return
        kwargs["cursor"] = page.next_cursor
