"""A held file that nobody needs: it is listed no more, nothing of it is entered, and it can be held again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from checkout_service.settlement_words import EntryKind, FileState
from checkout_service.settlements import fetching
from checkout_service.settlements.dismissing import dismiss, hold_again
from checkout_service.settlements.entered import NotDismissedError, NotHeldError, UnknownFileError
from checkout_service.settlements.entering import accept, enter
from tests.conftest import Servers, Sql
from tests.flower_pages.stack import eventually
from tests.settlements.commands import WAITS
from tests.settlements.entering.reports import PROVIDER, connect, line, payout, payouts, report, section

Settlements = psycopg.Connection[Any]


def _waiting(**more: Any) -> Any:
    """Of a payout that nobody has listed."""
    lines = [line(EntryKind.TRANSFER, "10", ref="t1", payout_ref="po_1")]
    return report(lines, sections=[section("po_1", of_payout="po_1")], **more)


def _listed() -> Any:
    return report([], payouts=[payout("po_1", "10")], sections=[])


def _held(settlements: Settlements) -> UUID:
    held = enter(settlements, _waiting(), provider=PROVIDER, account="")
    assert held.state is FileState.HELD
    return held.file_id


def _files(sql: Sql) -> list[str]:
    return [row.state for row in sql("SELECT state::text FROM settlement_files ORDER BY id")]


def test_nothing_of_what_was_dismissed_is_entered(settlements: Settlements, sql: Sql) -> None:
    file = _held(settlements)

    dismiss(settlements, file, operator="ada", why="all of it is here")
    again = enter(settlements, _waiting(), provider=PROVIDER, account="")
    enter(settlements, _listed(), provider=PROVIDER, account="")

    assert (again.state, again.is_known, again.file_id) == (FileState.DISMISSED, True, file)
    assert (_files(sql), payouts(sql)) == (["dismissed", "entered"], {"po_1": "open"})
    assert sql("SELECT count(*) AS n FROM balance_entries")[0].n == 0
    [row] = sql("SELECT dismissed_by, dismissed_why FROM settlement_files WHERE id = :id", id=file)
    assert tuple(row) == ("ada", "all of it is here")
    [audit] = sql("SELECT operator, door, action, subject, why, details->>'name' AS name FROM audit")
    assert tuple(audit)[:5] == ("ada", "cli", "dismiss_file", str(file), "all of it is here")
    assert audit.name


def test_a_report_that_was_dismissed_is_not_fetched_again(settlements: Settlements) -> None:
    file = enter(settlements, _waiting(name="po_1"), provider=PROVIDER, account="").file_id
    assert not fetching._is_entered(settlements, PROVIDER, "", "po_1")

    dismiss(settlements, file, operator="ada", why="of another shop")
    assert fetching._is_entered(settlements, PROVIDER, "", "po_1")

    hold_again(settlements, file, operator="ada", why="it is ours")
    assert not fetching._is_entered(settlements, PROVIDER, "", "po_1")


def test_one_that_is_held_again_is_tried_with_the_next_file(settlements: Settlements, sql: Sql) -> None:
    file = _held(settlements)
    dismiss(settlements, file, operator="ada", why="of another shop")
    enter(settlements, _listed(), provider=PROVIDER, account="")

    hold_again(settlements, file, operator="bob", why="it is ours")

    assert _files(sql) == ["held", "entered"]
    assert [row.action for row in sql("SELECT action FROM audit ORDER BY id")] == ["dismiss_file", "hold_file"]
    entered = enter(settlements, report([line(EntryKind.TRANSFER, "1")]), provider=PROVIDER, account="")
    assert (list(entered.retried), payouts(sql)) == ([file], {"po_1": "reconciled"})
    assert sql("SELECT count(*) AS n FROM settlement_lines")[0].n == 0


def test_what_is_not_held_is_not_dismissed(settlements: Settlements, sql: Sql) -> None:
    entered = enter(settlements, report([line(EntryKind.TRANSFER, "1")]), provider=PROVIDER, account="").file_id
    held = _held(settlements)

    for file, error in ((entered, NotHeldError), (uuid4(), UnknownFileError)):
        with pytest.raises(error):
            dismiss(settlements, file, operator="ada", why="")
    for file, refusal in ((entered, NotDismissedError), (held, NotDismissedError), (uuid4(), UnknownFileError)):
        with pytest.raises(refusal):
            hold_again(settlements, file, operator="ada", why="")
    dismiss(settlements, held, operator="ada", why="seen")
    with pytest.raises(NotHeldError):
        accept(settlements, held, operator="ada", why="seen")

    assert [row.action for row in sql("SELECT action FROM audit")] == ["dismiss_file"]


@pytest.mark.parametrize(
    "change",
    [
        "state = 'entered', entered_at = now(), dismissed_by = NULL, dismissed_why = NULL",
        "state = 'held', dismissed_by = NULL, dismissed_why = NULL, rows = 7",
        "dismissed_why = 'another one'",
    ],
)
def test_of_what_was_dismissed_the_role_may_change_nothing_else(settlements: Settlements, change: str) -> None:
    file = _held(settlements)
    dismiss(settlements, file, operator="ada", why="seen")

    with pytest.raises(psycopg.errors.CheckViolation):
        settlements.execute(f"UPDATE settlement_files SET {change} WHERE id = %s", [file])


def test_of_two_operators_one_is_refused(servers: Servers, settlements: Settlements, sql: Sql) -> None:
    file = _held(settlements)

    def act(does: Any) -> str:
        with connect(servers) as connection:
            try:
                does(connection, file, operator="ada", why="seen")
            except NotHeldError:
                return "refused"
            return str(does.__name__)

    with ThreadPoolExecutor(2) as pool:
        done = sorted(pool.map(act, [dismiss, accept]))

    assert len(set(done)) == 2
    assert "refused" in done
    [row] = sql("SELECT state::text, dismissed_by, accepted_by FROM settlement_files")
    assert tuple(row) == (("dismissed", "ada", None) if "dismiss" in done else ("entered", None, "ada"))


@pytest.mark.parametrize("does", [dismiss, hold_again])
def test_it_waits_for_whoever_changes_settled_money(
    servers: Servers, settlements: Settlements, sql: Sql, does: Any
) -> None:
    file = _held(settlements)
    if does is hold_again:
        dismiss(settlements, file, operator="ada", why="seen")
    with connect(servers) as other, ThreadPoolExecutor(1) as pool:
        with other.transaction():
            other.execute("LOCK TABLE settlement_accounts IN SHARE ROW EXCLUSIVE MODE")
            acting = pool.submit(does, settlements, file, operator="ada", why="seen")
            eventually(lambda: sql(WAITS))
            assert not acting.done()
        acting.result(30)
    assert _files(sql) == ["dismissed" if does is dismiss else "held"]


def test_one_that_contradicts_itself_and_that_nobody_can_accept_is_dismissed(
    settlements: Settlements, sql: Sql
) -> None:
    lines = [line(EntryKind.TRANSFER, amount, ref="t1") for amount in ("1", "2")]
    held = enter(
        settlements,
        report(lines, sections=[section("all", expected={"USD": Decimal(3)})]),
        provider=PROVIDER,
        account="",
    )
    assert (held.state, len(held.faults)) == (FileState.HELD, 1)

    dismiss(settlements, held.file_id, operator="ada", why="the provider issued it anew")

    assert _files(sql) == ["dismissed"]
