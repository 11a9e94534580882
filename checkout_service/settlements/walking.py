"""Finds rows of settled money in keyset pages, at a bounded cost whatever they are filtered by.

A search walks along one index, chosen by the filter that tells most, and looks the other filters up in the rows that
it meets: a thousand of them with a statement, and so many statements at most. A page that found fewer rows than it may
hold then says where to go on. What a statement finds, and how far it looked, are of one snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from checkout_service.cursors import Cursor, read_cursor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement

LOOKED_THROUGH: Final = 1_000
"""Rows that one statement looks through at most."""

MOST_LOOKS: Final = 20
"""So many times a page looks through rows."""

ROWS: Final = 500
"""Rows of a file that one statement finds at most."""


EDGE: Final = "{edge}"
"""Where a source has this, the edge of a page stands; else behind its last condition."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A search as SQL. ``source`` is what stands behind FROM, up to the conditions that the index knows; its rows are
    called ``made``. ``rest`` filters what is met there, and ``columns`` are read of what is left, with its ``joins``.

    ``key`` is the id that tells rows apart, and ``moment`` their time, which goes before the id where ``by_moment``.
    """

    source: str
    rest: str
    columns: str
    joins: str = ""
    key: str = "made.id"
    moment: str = "made.created_at"
    by_moment: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A page of rows, newest first; ``next_cursor`` is None where nothing is left to look through."""

    rows: Sequence[Any]
    next_cursor: str | None


def find(walk: Walk, values: Mapping[str, Any], *, limit: int, cursor: str | None) -> Found:
    """A page of the rows of a walk. Raises BadCursorError and DatabaseUnavailableError."""
    edge = None if cursor is None else read_cursor(cursor)
    rows = list[Any]()
    for _ in range(MOST_LOOKS):
        found, seen = _look(walk, values, edge, limit + 1 - len(rows))
        rows += found
        if len(rows) > limit:
            last = rows[limit - 1]
            return Found(rows[:limit], str(Cursor(last.walk_moment, last.walk_id)))
        edge = seen
        if edge is None:
            return Found(rows, None)
    return Found(rows, str(edge))


def find_all(walk: Walk, values: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """All rows of a walk, each part read by a statement of its own when it is asked for; a part may have none.

    Raises DatabaseUnavailableError.
    """
    edge: Cursor | None = None
    while True:
        rows, seen = _look(walk, values, edge, ROWS)
        yield rows
        if len(rows) == ROWS:
            edge = Cursor(rows[-1].walk_moment, rows[-1].walk_id)
        elif seen is not None:
            edge = seen
        else:
            return


def conditions(filters: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, str]:
    """Of each filter that is given, its condition."""
    return {name: texts[name] for name, value in filters.items() if value is not None and name in texts}


def both(given: Mapping[str, str], *others: str) -> str:
    """All conditions as one; ``true`` where there is none."""
    return " AND ".join([*given.values(), *others]) or "true"


def _look(
    walk: Walk, values: Mapping[str, Any], edge: Cursor | None, limit: int
) -> tuple[Sequence[Any], Cursor | None]:
    """At most ``limit`` rows after the edge, and the last row that was looked through: None where there are no more."""
    # Where nothing but the index decides, what is looked through is what is found.
    span = {"limit": limit, "looked_through": limit if walk.rest == "true" else max(LOOKED_THROUGH, limit)}
    named = {} if edge is None else {"edge_moment": edge.moment, "edge_id": edge.id}
    rows = execute(_statement(walk, edge is not None), {**values, **span, **named})
    seen = None if rows[0].seen_id is None else Cursor(rows[0].seen_moment, rows[0].seen_id)
    return [row for row in rows if row.walk_id is not None], seen


@lru_cache(maxsize=512)
def _statement(walk: Walk, goes_on: bool) -> Statement:
    order = [walk.moment, walk.key] if walk.by_moment else [walk.key]
    edge = "true"
    if goes_on:
        edge = f"{walk.key} < CAST(:edge_id AS uuid)"
        if walk.by_moment:
            edge = f"({walk.moment}, {walk.key}) < (CAST(:edge_moment AS timestamptz), CAST(:edge_id AS uuid))"
    source = walk.source.replace(EDGE, edge) if EDGE in walk.source else f"{walk.source} AND {edge}"
    newest = ", ".join(f"{column} DESC" for column in order)
    walked = "walk_moment DESC, walk_id DESC" if walk.by_moment else "walk_id DESC"
    return Statement(f"""
        WITH walked AS MATERIALIZED (
            SELECT made.*, {walk.moment} AS walk_moment, {walk.key} AS walk_id
            FROM {source} ORDER BY {newest} LIMIT :looked_through
        ), page AS MATERIALIZED (
            SELECT made.* FROM walked AS made WHERE {walk.rest} ORDER BY {walked} LIMIT :limit
        ), seen AS (
            SELECT walk_moment, walk_id FROM walked
            WHERE (SELECT count(*) FROM page) < CAST(:limit AS integer)
            ORDER BY {walked} OFFSET CAST(:looked_through AS integer) - 1 LIMIT 1
        )
        SELECT seen.walk_moment AS seen_moment, seen.walk_id AS seen_id, found.*
        FROM (SELECT) AS always LEFT JOIN seen ON true
        LEFT JOIN (
            SELECT made.walk_moment, made.walk_id, {walk.columns} FROM page AS made {walk.joins}
        ) AS found ON true
        ORDER BY {", ".join(f"found.{column}" for column in walked.split(", "))}
    """)  # noqa: S608 (only our own constants)


Show = Callable[[Any], dict[str, Any]]
"""What makes a row what the API shows."""
