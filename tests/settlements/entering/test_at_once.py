"""Two at once on two machines: whichever is first, nothing is lost, doubled or half done."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from checkout_service.settlement_words import EntryKind
from checkout_service.settlements.entered import NotHeldError
from checkout_service.settlements.entering import accept, enter
from checkout_service.settlements.missing import find_missing
from checkout_service.settlements.settling import (
    LinkedAlreadyError,
    ResolvedAlreadyError,
    UndoneAlreadyError,
    UnknownEntryError,
    link,
    resolve,
    undo,
)
from tests.conftest import Servers, Sql
from tests.settlements.entering.reports import (
    NOW,
    PROVIDER,
    connect,
    dump,
    line,
    payment,
    payout,
    payouts,
    report,
    section,
    states,
    whole,
)

Settlements = psycopg.Connection[Any]


def _both(servers: Servers, *acts: Any) -> list[Any]:
    """What comes of each on a connection of its own, begun at one moment."""
    gate = threading.Barrier(len(acts))

    def act(does: Any) -> Any:
        with connect(servers) as connection:
            gate.wait(timeout=30)
            try:
                return does(connection)
            except (UndoneAlreadyError, ResolvedAlreadyError, LinkedAlreadyError, UnknownEntryError) as error:
                return type(error)

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))


def _match(sql: Sql, ref: str) -> UUID:
    found: UUID = sql(
        """SELECT known.id FROM settlement_matches AS known JOIN balance_entries AS entry ON entry.id = known.entry_id
        WHERE entry.entry_ref = :ref AND known.undone_at IS NULL""",
        ref=ref,
    )[0].id
    return found


def _current(sql: Sql) -> int:
    """How often an entry has more than one current match."""
    rows = sql(
        """SELECT count(*) AS n FROM (SELECT entry_id FROM settlement_matches
        WHERE undone_at IS NULL AND entry_id IS NOT NULL GROUP BY entry_id HAVING count(*) > 1) AS several"""
    )
    return int(rows[0].n)


@pytest.mark.parametrize("round_", range(3))
def test_an_undo_beside_a_new_version_of_its_entry(
    servers: Servers, settlements: Settlements, sql: Sql, round_: int
) -> None:
    payment(sql, captured={"ch_1": "10"})
    enter(
        settlements,
        whole("po_1", [line(EntryKind.CAPTURE, "9", ref="t1", subject="ch_1")]),
        provider=PROVIDER,
        account="",
    )
    match = _match(sql, "t1")

    def issue(connection: Settlements) -> Any:
        lines = [line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_1")]
        return enter(connection, whole("po_1", lines), provider=PROVIDER, account="").new

    done = _both(servers, issue, lambda connection: undo(connection, match, operator="ada", why="another"))

    assert done[0] == 1
    assert done[1] in (None, UndoneAlreadyError)
    # The new version is matched anew, whichever was first.
    assert states(sql) == {"t1": "matched"}
    assert (_current(sql), payouts(sql)) == (0, {"po_1": "reconciled"})
    assert sql("SELECT count(*) AS n FROM audit")[0].n == (1 if done[1] is None else 0)


def test_a_resolve_beside_another_line_about_the_same(servers: Servers, settlements: Settlements, sql: Sql) -> None:
    payment(sql, captured={"ch_1": "60"})
    enter(
        settlements,
        whole("po_1", [line(EntryKind.CAPTURE, "100", ref="t1", subject="ch_1")]),
        provider=PROVIDER,
        account="",
    )
    match = _match(sql, "t1")

    def more(connection: Settlements) -> Any:
        lines = [line(EntryKind.RELEASE, "-40", ref="t2", subject="ch_1")]
        return enter(connection, whole("po_2", lines), provider=PROVIDER, account="").new

    done = _both(servers, more, lambda connection: resolve(connection, match, operator="ada", why="seen"))

    assert done[0] == 1
    assert done[1] in (None, UndoneAlreadyError)
    assert states(sql) == {"t1": "matched", "t2": "matched"}
    assert payouts(sql) == {"po_1": "reconciled", "po_2": "reconciled"}


def test_a_link_beside_the_report_that_says_another_payout(
    servers: Servers, settlements: Settlements, sql: Sql
) -> None:
    free = line(EntryKind.TRANSFER, "10", ref="t1")
    enter(
        settlements,
        report(
            [free],
            payouts=[payout("po_1", "10"), payout("po_2", "10")],
            sections=[section("all", expected={"USD": Decimal(10)}, complete=False)],
        ),
        provider=PROVIDER,
        account="",
    )
    [(entry,)] = sql("SELECT id FROM balance_entries")
    [(first,)] = sql("SELECT id FROM payouts WHERE payout_ref = 'po_1'")

    _both(
        servers,
        lambda connection: enter(connection, whole("po_2", [free]), provider=PROVIDER, account=""),
        lambda connection: link(connection, entry, first, operator="ada", why="it says so"),
    )

    # What the provider says of it counts.
    assert payouts(sql) == {"po_1": "open", "po_2": "reconciled"}
    assert sql("SELECT count(*) AS n FROM balance_entries WHERE withdrawn_by IS NULL")[0].n == 1


def test_two_acceptances_of_one_section_and_a_file_that_adds_up(
    servers: Servers, settlements: Settlements, sql: Sql
) -> None:
    lines = [line(EntryKind.TRANSFER, "10", ref=f"t{number}", payout_ref="po_1") for number in range(3)]
    own = [section("po_1", of_payout="po_1")]
    held = [
        enter(
            settlements,
            report(part, payouts=[payout("po_1", "30")], sections=own),
            provider=PROVIDER,
            account="",
        ).file_id
        for part in (lines[:1], lines[:2])
    ]

    def accepted(file: UUID) -> Any:
        def act(connection: Settlements) -> Any:
            try:
                return accept(connection, file, operator="ada", why="seen").new
            except NotHeldError:
                return 0

        return act

    _both(
        servers,
        accepted(held[0]),
        accepted(held[1]),
        lambda connection: enter(
            connection, report(lines, payouts=[payout("po_1", "30")], sections=own), provider=PROVIDER, account=""
        ),
    )

    # The last one counts, and what it has less is an exception.
    current = {row.entry_ref for row in sql("SELECT entry_ref FROM balance_entries WHERE withdrawn_by IS NULL")}
    gone = {ref for ref, state in states(sql).items() if state == "withdrawn"}
    assert current | gone == {"t0", "t1", "t2"}
    assert not current & gone
    assert sql("SELECT count(*) AS n FROM settlement_files WHERE state = 'held'")[0].n == 0
    assert sql("SELECT count(*) AS n FROM settlement_lines")[0].n == 0
    assert _current(sql) == 0


@pytest.mark.parametrize("order", [1, -1])
def test_a_line_that_moved_is_in_the_later_payout_whichever_report_of_it_is_first(
    settlements: Settlements, sql: Sql, order: int
) -> None:
    payment(sql, captured={"ch_1": "10"})
    moved = line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_1")
    others = [line(EntryKind.TRANSFER, "5", ref="t2"), line(EntryKind.TRANSFER, "7", ref="t3")]
    enter(settlements, whole("po_1", [moved, others[0]]), provider=PROVIDER, account="")
    enter(settlements, whole("po_2", [others[1]]), provider=PROVIDER, account="")

    for made in [("po_1", [others[0]]), ("po_2", [others[1], moved])][::order]:
        enter(settlements, whole(*made), provider=PROVIDER, account="")

    assert payouts(sql) == {"po_1": "reconciled", "po_2": "reconciled"}
    assert states(sql) == {"t1": "matched"}
    assert dump(sql)[0][0][5] == "po_2"


def test_what_is_missing_is_found_once_beside_the_report_that_has_it(
    servers: Servers, settlements: Settlements, sql: Sql
) -> None:
    payment(sql, captured={"ch_1": "10"})
    sql("UPDATE captures SET created_at = now() - interval '20 days'")
    enter(
        settlements,
        report([line(EntryKind.TRANSFER, "1", ref="t0", occurred_at=NOW - timedelta(days=40))]),
        provider=PROVIDER,
        account="",
    )

    def late(connection: Settlements) -> Any:
        lines = [line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_1", occurred_at=NOW - timedelta(days=19))]
        return enter(connection, whole("po_1", lines), provider=PROVIDER, account="").new

    def find(connection: Settlements) -> Any:
        return find_missing(connection, after_days=14, now=NOW)

    _both(servers, late, find, find)

    assert states(sql) == {"t1": "matched"}
    open_ = sql("SELECT count(*) AS n FROM settlement_matches WHERE state = 'missing_there' AND undone_at IS NULL")
    assert open_[0].n == 0
