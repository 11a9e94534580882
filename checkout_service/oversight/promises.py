"""What a promise is: its name, how rows that break it are found and counted, and what counts as too old."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Executable

from checkout_service.database.engine import execute
from checkout_service.oversight.statements import PAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What counts as too old, and how far back events are compared.

    Look-ups run twice a minute. Events are pruned after EVENTS_RETENTION_DAYS, 400 by default, and a payment older than
    that cannot be compared with them. Orders get their numbers right after they are made, or by a sweep every 5 s;
    holds that ended are swept twice a minute.
    """

    pending: timedelta = timedelta(minutes=15)
    overdue: timedelta = timedelta(minutes=30)
    remembered: timedelta = timedelta(days=365)
    numbered: timedelta = timedelta(minutes=1)
    swept: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """A promise; how rows that break it are found among all, and counted among the most telling ones."""

    name: str
    promise: str
    remedy: str
    find: Callable[[Limits], Iterator[str]]
    count: Executable


class Row(Protocol):
    """A row of a page: its key, and whether it breaks the promise."""

    @property
    def id(self) -> UUID: ...
    @property
    def at(self) -> datetime: ...
    @property
    def wrong(self) -> bool: ...


_Paged = TypeVar("_Paged", bound=Row)

BEGINNING: Final[Mapping[str, object]] = {"after_time": "-infinity", "after_id": UUID(int=0)}
"""Before the first row. Values like any others: for a page that has none the plan would be one for all rows."""


def paged(make: Callable[[Iterable[Any]], _Paged], statement: Executable, **values: object) -> Iterator[_Paged]:
    """The wrong rows of all pages, as ``make`` reads them.

    A page ends with its last key, whether that row is wrong or not.

    Raises DatabaseUnavailableError.
    """
    after = dict(BEGINNING)
    while rows := execute(statement, after | values):
        page = [make(row) for row in rows]
        yield from (row for row in page if row.wrong)
        after = {"after_time": page[-1].at, "after_id": page[-1].id}
        if len(page) < PAGE:
            return
