"""However often whole sections are issued again, and whatever comes in between, the last versions are what counts.

Lines go, come back, and have other amounts; files that overlap list some of them as well; a person undoes matches, and
takes back what was settled. What comes of it is what comes of the last versions at once, and of a line that no last
version has, a match that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import uuid4

import psycopg
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from checkout_service.providers.reports import Report, ReportLine
from checkout_service.settlement_words import EntryKind
from checkout_service.settlements.entering import enter
from checkout_service.settlements.settling import resolve, undo
from tests.conftest import Sql
from tests.settlements.entering.reports import PROVIDER, dump, line, payout, report, section
from tests.settlements.entering.test_any_order import AMOUNTS, EMPTY, SUBJECTS, seed

Settlements = psycopg.Connection[Any]
Version = Sequence[int]
"""Of each line of a section: 0 where it is not in it, else which of its two amounts it has."""

SECTIONS: Final = ("po_1", "po_2")
LINES: Final = 3
"""Of a section."""


class Drawn(NamedTuple):
    """A line that a section may have, with its two amounts."""

    kind: EntryKind
    subject: str
    amounts: tuple[str, str]
    is_made: bool


def _named(kind: EntryKind) -> st.SearchStrategy[Drawn]:
    return st.builds(
        Drawn,
        st.just(kind),
        st.sampled_from(SUBJECTS[kind]),
        st.tuples(st.sampled_from(AMOUNTS), st.sampled_from(AMOUNTS)),
        st.booleans(),
    )


drawn = st.lists(st.sampled_from(sorted(SUBJECTS)).flatmap(_named), min_size=LINES, max_size=LINES)
versions = st.lists(st.lists(st.integers(0, 2), min_size=LINES, max_size=LINES), min_size=1, max_size=4)


def _lines(ref: str, found: Sequence[Drawn], version: Version) -> list[ReportLine]:
    return [
        line(
            each.kind,
            each.amounts[which - 1],
            ref=f"{each.kind}{each.subject}{each.amounts[which - 1]}{ref}" if each.is_made else f"{ref}t{number}",
            subject=each.subject,
            payout_ref=ref,
            is_made=each.is_made,
        )
        for number, (each, which) in enumerate(zip(found, version, strict=True))
        if which
    ]


def _issued(ref: str, lines: Iterable[ReportLine]) -> Report:
    """A whole section, whose bytes are its own however often it is the same."""
    lines = list(lines)
    amount = sum((each.net for each in lines), Decimal(0))
    return report(
        lines,
        payouts=[payout(ref, amount)],
        sections=[section(ref, of_payout=ref, complete=True)],
        columns=(uuid4().hex,),
    )


def _window(lines: Sequence[ReportLine]) -> Report:
    lines = [each._replace(section="window") for each in lines]
    net = sum((each.net for each in lines), Decimal(0))
    return report(lines, sections=[section("window", expected={"USD": net} if lines else {}, complete=False)])


def _settle_withdrawn(settlements: Settlements, sql: Sql) -> list[str]:
    """A person settles what no file has any more: the names of those lines."""
    rows = sql(
        """SELECT known.id, entry.entry_ref FROM settlement_matches AS known
        JOIN balance_entries AS entry ON entry.id = known.entry_id
        WHERE known.state = 'withdrawn' AND known.undone_at IS NULL AND known.resolved_at IS NULL ORDER BY 2"""
    )
    for row in rows:
        resolve(settlements, row.id, operator="ada", why="the provider took it out")
    return [row.entry_ref for row in rows]


def _settle_and_take_back(settlements: Settlements, sql: Sql) -> None:
    """A person settles each exception, and takes that back."""
    for row in sql(
        """SELECT id FROM settlement_matches WHERE undone_at IS NULL AND resolved_at IS NULL
            AND state <> ALL ('{matched,not_ours}'::settlement_match_state[])"""
    ):
        resolve(settlements, row.id, operator="ada", why="seen")
        undo(settlements, row.id, operator="ada", why="it was another one")


def _undo(settlements: Settlements, sql: Sql, ref: str) -> None:
    """A person ends the match of a line; an exception that is none stays."""
    for row in sql(
        """SELECT known.id FROM settlement_matches AS known JOIN balance_entries AS entry ON entry.id = known.entry_id
        WHERE entry.entry_ref = :ref AND entry.withdrawn_by IS NULL AND known.undone_at IS NULL
            AND known.state IN ('matched', 'differs') AND known.resolved_at IS NULL""",
        ref=ref,
    ):
        undo(settlements, row.id, operator="ada", why="another order has this name")


@given(
    found=st.tuples(drawn, drawn),
    issued=st.tuples(versions, versions),
    order=st.lists(st.sampled_from(SECTIONS), max_size=8),
    window_at=st.integers(0, 8),
    settled_at=st.integers(0, 8),
    undone=st.one_of(st.none(), st.tuples(st.sampled_from(SECTIONS), st.integers(0, LINES - 1))),
)
@example(
    found=(
        [
            Drawn(EntryKind.CAPTURE, "ch_partial", ("100", "60"), False),
            Drawn(EntryKind.FEE, "", ("-1", "-1"), True),
            Drawn(EntryKind.FEE, "", ("-1", "-1"), True),
        ],
        [
            Drawn(EntryKind.RELEASE, "ch_partial", ("-40", "-30"), False),
            Drawn(EntryKind.DISPUTE, "dp_won", ("-40", "-40"), False),
            Drawn(EntryKind.DISPUTE_REVERSAL, "dp_won", ("40", "30"), False),
        ],
    ),
    issued=([[1, 1, 1], [2, 1, 0], [0, 0, 0], [1, 1, 0]], [[1, 1, 1], [0, 1, 2], [1, 1, 1]]),
    order=["po_1", "po_2", "po_2", "po_1", "po_1", "po_2"],
    window_at=2,
    settled_at=4,
    undone=("po_2", 0),
)
@example(
    found=(
        [Drawn(EntryKind.TRANSFER, "", ("100", "60"), False)] * LINES,
        [Drawn(EntryKind.CAPTURE, "ch_1", ("-40", "60"), False)] * LINES,
    ),
    issued=([[0, 0, 0], [0, 0, 0]], [[0, 0, 1]]),
    order=["po_2"],
    window_at=1,
    settled_at=1,
    undone=("po_2", 2),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_issued_before_the_last_version_is_what_counts(
    settlements: Settlements,
    sql: Sql,
    found: tuple[list[Drawn], list[Drawn]],
    issued: tuple[list[list[int]], list[list[int]]],
    order: list[str],
    window_at: int,
    settled_at: int,
    undone: tuple[str, int] | None,
) -> None:
    if not sql("SELECT FROM captures LIMIT 1"):
        seed(sql)
    lines = dict(zip(SECTIONS, found, strict=True))
    left = {ref: list(each) for ref, each in zip(SECTIONS, issued, strict=True)}
    last = {ref: _lines(ref, lines[ref], each[-1]) for ref, each in left.items()}
    turns = [*order, *(ref for ref in SECTIONS for _ in left[ref])]

    for table in EMPTY:
        sql(f"DELETE FROM {table}")
    listed: set[str] = set()
    undone_ref = ""
    for number, ref in enumerate(turns):
        if number == window_at:
            enter(settlements, _window([*last["po_1"], *last["po_2"]]), provider=PROVIDER, account="")
        if left[ref]:
            version = left[ref].pop(0)
            enter(settlements, _issued(ref, _lines(ref, lines[ref], version)), provider=PROVIDER, account="")
        if number == settled_at:
            _settle_and_take_back(settlements, sql)
        listed |= {row.entry_ref for row in sql("SELECT entry_ref FROM balance_entries")}
        if undone is not None and not left[undone[0]] and not undone_ref:
            undone_ref = f"{undone[0]}t{undone[1]}"
            _undo(settlements, sql, undone_ref)
    gone = _settle_withdrawn(settlements, sql)
    in_parts = dump(sql)

    for table in EMPTY:
        sql(f"DELETE FROM {table}")
    for ref in SECTIONS:
        enter(settlements, _issued(ref, last[ref]), provider=PROVIDER, account="")
    if undone_ref:
        _undo(settlements, sql, undone_ref)

    current = {row.entry_ref for row in sql("SELECT entry_ref FROM balance_entries")}
    assert in_parts == dump(sql)
    assert gone == sorted(listed - current)
