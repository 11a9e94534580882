"""The database goes away at each statement in turn: all of it is there, or nothing, and the same again does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from checkout_service.settlement_words import EntryKind
from checkout_service.settlements.dismissing import dismiss
from checkout_service.settlements.entering import accept, enter
from checkout_service.settlements.payout_residues import accept_payout
from checkout_service.settlements.settling import link, undo
from tests.conftest import Servers, Sql
from tests.settlements.entering.reports import PROVIDER, connect, line, payment, payout, payouts, report, section, whole

Settlements = psycopg.Connection[Any]
Act = Callable[[Settlements], Any]


class Ending(psycopg.Cursor[Any]):
    """One whose server process is ended before its statement of a number."""

    statements = 0
    ended_at = 0
    end: Callable[[int], None]

    def execute(self, *given: Any, **named: Any) -> Any:
        cls = type(self)
        cls.statements += 1
        if cls.statements == cls.ended_at:
            cls.end(self.connection.info.backend_pid)
        return super().execute(*given, **named)


def _all(sql: Sql) -> list[Any]:
    """Everything that is there, with ids: nothing of it may be another."""
    return [
        sql(f"SELECT * FROM {table} ORDER BY 1, 2")
        for table in (
            "settlement_files",
            "settlement_lines",
            "payouts",
            "balance_entries",
            "settlement_matches",
            "settlement_accounts",
            "audit",
        )
    ]


def _before(settlements: Settlements, sql: Sql) -> None:
    """A payout of two lines, one that is open, and a held file."""
    payment(sql, captured={"ch_1": "10"})
    lines = [line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_1"), line(EntryKind.TRANSFER, "5", ref="t2")]
    enter(settlements, whole("po_1", lines), provider=PROVIDER, account="")
    free = line(EntryKind.TRANSFER, "3", ref="free", section="window")
    own = [section("window", expected={"USD": free.net}, complete=False)]
    enter(settlements, report([free], payouts=[payout("po_2", "3")], sections=own), provider=PROVIDER, account="")
    held = [line(EntryKind.TRANSFER, "7", ref="t3", payout_ref="po_3")]
    enter(
        settlements,
        report(held, payouts=[payout("po_3", "8")], sections=[section("po_3", of_payout="po_3")]),
        provider=PROVIDER,
        account="",
    )


def _issue(connection: Settlements) -> Any:
    lines = [line(EntryKind.CAPTURE, "9", ref="t1", subject="ch_1"), line(EntryKind.FEE, "-1", ref="f", is_made=True)]
    enter(connection, whole("po_1", lines, cursor="next"), provider=PROVIDER, account="", operator="ada")


def _accept(connection: Settlements) -> Any:
    [(file,)] = connection.execute("SELECT id FROM settlement_files WHERE state = 'held'").fetchall()
    accept(connection, file, operator="ada", why="seen")


def _dismiss(connection: Settlements) -> Any:
    [(file,)] = connection.execute("SELECT id FROM settlement_files WHERE state = 'held'").fetchall()
    dismiss(connection, file, operator="ada", why="seen")


def _undo(connection: Settlements) -> Any:
    [(match,)] = connection.execute("SELECT id FROM settlement_matches WHERE state = 'matched'").fetchall()
    undo(connection, match, operator="ada", why="seen")


def _link(connection: Settlements) -> Any:
    [(entry,)] = connection.execute("SELECT id FROM balance_entries WHERE entry_ref = 'free'").fetchall()
    [(to,)] = connection.execute("SELECT id FROM payouts WHERE payout_ref = 'po_2'").fetchall()
    link(connection, entry, to, operator="ada", why="seen")


def _accept_payout(connection: Settlements) -> Any:
    [(found,)] = connection.execute("SELECT id FROM payouts WHERE payout_ref = 'po_2'").fetchall()
    accept_payout(connection, found, operator="ada", why="seen")


@pytest.mark.parametrize(
    ("act", "after"),
    [
        (_issue, {"po_1": "unmatched", "po_2": "open"}),
        (_accept, {"po_1": "reconciled", "po_2": "open", "po_3": "reconciled"}),
        (_dismiss, {"po_1": "reconciled", "po_2": "open"}),
        (_undo, {"po_1": "unmatched", "po_2": "open"}),
        (_link, {"po_1": "reconciled", "po_2": "reconciled"}),
        (_accept_payout, {"po_1": "reconciled", "po_2": "reconciled"}),
    ],
)
def test_what_is_ended_at_any_statement_leaves_nothing(
    servers: Servers, settlements: Settlements, sql: Sql, act: Act, after: dict[str, str]
) -> None:
    _before(settlements, sql)
    before = _all(sql)
    statement = 0
    while True:
        statement += 1
        cursors: Any = type(
            "Of",
            (Ending,),
            {"ended_at": statement, "end": staticmethod(lambda pid: sql("SELECT pg_terminate_backend(:pid)", pid=pid))},
        )
        with connect(servers) as connection:
            connection.cursor_factory = cursors
            try:
                act(connection)
            except psycopg.OperationalError:
                assert _all(sql) == before, statement
                continue
        break
    assert statement > 5
    assert payouts(sql) == after
    assert _all(sql) != before
