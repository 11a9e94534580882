"""How PostgreSQL answers what is sent: each statement is explained beside it, with its own values.

Scans of whole tables are switched off for that: one that is left has no index to go by, however small the table is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
import pytest

from checkout_service.console.overview import SAMPLE
from tests.many_rows.filling import LARGE

MOST: Final = SAMPLE
"""Rows that a statement may sort, or read without a limit above it, by the plan: those of the console's plots."""

EXPLAINED: Final = re.compile(r"\s*\(?\s*(?:SELECT|WITH|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)


def faults(plan: dict[str, Any], *, limited: bool = False) -> list[str]:
    """What grows with a large table: a scan of all of it or of much of it, or a sort of that."""
    found = []
    kind, rows = plan["Node Type"], plan.get("Plan Rows", 0)
    if kind == "Seq Scan" and plan["Relation Name"] in LARGE:
        found.append(f"reads all of {plan['Relation Name']}")
    elif kind.endswith("Scan") and plan.get("Relation Name") in LARGE and rows > MOST and not limited:
        found.append(f"reads {rows} rows of {plan['Relation Name']}")
    if kind == "Sort" and rows > MOST:
        found.append(f"sorts {rows} rows")
    # What sorts, or counts, reads all of it first, whatever stands above.
    limited = kind == "Limit" or (limited and kind not in {"Sort", "Aggregate", "Hash", "WindowAgg"})
    return found + [fault for inner in plan.get("Plans", ()) for fault in faults(inner, limited=limited)]


@contextmanager
def explained() -> Iterator[list[tuple[str, Any, dict[str, Any]]]]:
    """The statements that are sent within the block, each with its values and its plan."""
    seen: list[tuple[str, Any, dict[str, Any]]] = []
    send = psycopg.Cursor.execute

    def note(cursor: psycopg.Cursor[Any], query: Any, params: Any = None, **options: Any) -> Any:
        if EXPLAINED.match(str(query)):
            with type(cursor)(cursor.connection) as beside:
                send(beside, "SET enable_seqscan = off")
                send(beside, f"EXPLAIN (FORMAT JSON) {query}", params)
                ((plan,),) = beside.fetchall()
                send(beside, "RESET enable_seqscan")
            seen.append((str(query), params, (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))
        return send(cursor, query, params, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", note)
        yield seen


def wrong(seen: list[tuple[str, Any, dict[str, Any]]]) -> str:
    """What is wrong with any of them, in words."""
    return "\n\n".join(
        f"{', '.join(found)}\n{query}\n{json.dumps(plan, indent=1)[:3000]}"
        for query, _, plan in seen
        if (found := faults(plan))
    )
