"""A file that does not prove itself is held whole; nothing of it is entered before a person or a later file says so."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from checkout_service.providers.reports import ReportLine
from checkout_service.settlement_words import EntryKind, FileState, PayoutStatus
from checkout_service.settlements.entered import NotHeldError, UnenterableError, UnknownFileError
from checkout_service.settlements.entering import accept, enter
from tests.conftest import Sql
from tests.settlements.entering.reports import (
    PROVIDER,
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
Change = Callable[[list[ReportLine]], list[ReportLine]]

LINES = [
    line(EntryKind.CAPTURE, "100.00", ref="t1", subject="ch_1", fee="3.20", payout_ref="po_1"),
    line(EntryKind.REFUND, "-30.00", ref="t2", subject="re_1", payout_ref="po_1"),
    line(EntryKind.FEE, "-5.00", ref="fee", is_made=True, payout_ref="po_1"),
    line(EntryKind.FEE, "-5.00", ref="fee", is_made=True, payout_ref="po_1"),
]


def _one_cent(lines: list[ReportLine]) -> list[ReportLine]:
    return [lines[0]._replace(gross=Decimal("100.01"), net=Decimal("96.81")), *lines[1:]]


def _doubled(lines: list[ReportLine]) -> list[ReportLine]:
    return [*lines, lines[2]]


def _lost(lines: list[ReportLine]) -> list[ReportLine]:
    return lines[:-1]


def _enter(settlements: Settlements, lines: list[ReportLine], **more: Any) -> Any:
    made = report(
        lines,
        payouts=[payout("po_1", "56.80")],
        sections=[section("po_1", of_payout="po_1")],
        **more,
    )
    return enter(settlements, made, provider=PROVIDER, account="")


def test_a_file_that_adds_up_is_entered_and_its_equal_rows_are_numbered(settlements: Settlements, sql: Sql) -> None:
    entered = _enter(settlements, LINES)

    assert entered.state == FileState.ENTERED
    assert {row.entry_ref for row in sql("SELECT entry_ref FROM balance_entries")} == {"t1", "t2", "fee:1", "fee:2"}


@pytest.mark.parametrize(
    ("change", "found"), [(_one_cent, "56.81"), (_doubled, "51.80"), (_lost, "61.80")], ids=["cent", "doubled", "lost"]
)
def test_a_file_that_does_not_add_up_is_held_whole(
    settlements: Settlements, sql: Sql, change: Change, found: str
) -> None:
    payment(sql, captured={"ch_1": "100.00"})

    held = _enter(settlements, change(LINES))

    assert held.state == FileState.HELD
    [residue] = held.residues
    assert (residue.section, residue.currency, residue.expected, residue.found, residue.rule) == (
        *("po_1", "USD", Decimal("56.80"), Decimal(found)),
        "lines = payout",
    )
    assert sql("SELECT count(*) AS n FROM settlement_lines")[0].n == len(change(LINES))
    for table in ("payouts", "balance_entries", "settlement_matches", "settlement_accounts"):
        assert sql(f"SELECT count(*) AS n FROM {table}")[0].n == 0
    again = _enter(settlements, change(LINES))
    assert (again.is_known, again.state, again.file_id, list(again.residues)) == (
        *(True, FileState.HELD, held.file_id),
        list(held.residues),
    )


def test_an_operator_accepts_what_does_not_add_up(settlements: Settlements, sql: Sql) -> None:
    payment(sql, captured={"ch_1": "100.00"})
    held = _enter(settlements, LINES[:3])

    entered = accept(settlements, held.file_id, operator="ada", why="the fee of May is booked in June")

    assert (entered.state, entered.new) == (FileState.ENTERED, 3)
    assert states(sql)["t1"] == "matched"
    assert sql("SELECT count(*) AS n FROM settlement_lines")[0].n == 0
    row = sql("SELECT state::text, accepted_by, accepted_why, residues FROM settlement_files")[0]
    assert (row.state, row.accepted_by, row.accepted_why) == ("entered", "ada", "the fee of May is booked in June")
    assert row.residues[0]["found"] == "61.80"
    [audit] = sql("SELECT operator, door, action, subject, why, details FROM audit")
    assert (audit.operator, audit.door, audit.action, audit.subject) == ("ada", "cli", "accept_file", str(held.file_id))
    assert audit.details["residues"] == row.residues
    with pytest.raises(NotHeldError):
        accept(settlements, held.file_id, operator="ada", why="once more")
    assert sql("SELECT count(*) AS n FROM audit")[0].n == 1


def test_an_accepted_residue_is_what_the_payout_adds_up_to(settlements: Settlements, sql: Sql) -> None:
    lines = [line(EntryKind.TRANSFER, "10", ref="t1", payout_ref="po_1")]
    held = enter(
        settlements,
        report(lines, payouts=[payout("po_1", "11")], sections=[section("po_1", of_payout="po_1")]),
        provider=PROVIDER,
        account="",
    )

    accept(settlements, held.file_id, operator="ada", why="a dollar is on the way")

    assert payouts(sql) == {"po_1": "reconciled"}


def test_an_unknown_file_is_not_accepted(settlements: Settlements) -> None:
    with pytest.raises(UnknownFileError):
        accept(settlements, settlements.execute("SELECT uuidv7()").fetchall()[0][0], operator="ada", why="")


def test_a_later_file_takes_the_place_of_a_held_one(settlements: Settlements, sql: Sql) -> None:
    held = _enter(settlements, _lost(LINES))

    entered = _enter(settlements, LINES)

    rows = {
        row.id: (row.state, row.resolved_by) for row in sql("SELECT id, state::text, resolved_by FROM settlement_files")
    }
    assert rows == {held.file_id: ("superseded", entered.file_id), entered.file_id: ("entered", None)}
    with pytest.raises(NotHeldError):
        accept(settlements, held.file_id, operator="ada", why="")


def test_a_file_waits_for_its_payout_and_is_entered_with_it(settlements: Settlements, sql: Sql) -> None:
    payment(sql, captured={"ch_1": "100.00"})
    held = enter(
        settlements, report(LINES, sections=[section("po_1", of_payout="po_1")]), provider=PROVIDER, account=""
    )
    assert held.state == FileState.HELD
    assert [(each.expected, each.found) for each in held.residues] == [(None, Decimal("56.80"))]

    entered = enter(
        settlements, report([], payouts=[payout("po_1", "56.80")], sections=[]), provider=PROVIDER, account=""
    )

    assert list(entered.retried) == [held.file_id]
    assert states(sql)["t1"] == "matched"
    assert sql("SELECT entries, net FROM payouts")[0].entries == 4
    row = sql("SELECT state::text, resolved_by FROM settlement_files WHERE id = :id", id=held.file_id)[0]
    assert tuple(row) == ("entered", entered.file_id)


def test_a_file_whose_payout_comes_with_another_amount_stays_held(settlements: Settlements, sql: Sql) -> None:
    held = enter(
        settlements, report(LINES, sections=[section("po_1", of_payout="po_1")]), provider=PROVIDER, account=""
    )

    enter(settlements, report([], payouts=[payout("po_1", "56.79")], sections=[]), provider=PROVIDER, account="")

    assert sql("SELECT state::text FROM settlement_files WHERE id = :id", id=held.file_id)[0].state == "held"
    assert payouts(sql) == {"po_1": "open"}


@pytest.mark.parametrize(
    ("lines", "more", "message"),
    [
        (
            [line(EntryKind.FEE, "1", ref="t1"), line(EntryKind.FEE, "1", ref="t1")],
            {},
            "lines that are named as another one is: 1, the first is t1 in line 2",
        ),
        (
            [line(EntryKind.FEE, "1", ref="t1", net=Decimal("0.99"))],
            {},
            "lines whose net is not gross less fee: 1, the first is line 1",
        ),
        (
            [line(EntryKind.FEE, "1", ref="t1")],
            {"sections": [section("another", expected={})]},
            "sections of lines that the file does not have: 1, the first in line 1",
        ),
        (
            [],
            {"payouts": [payout("po", "1"), payout("po", "2")], "sections": []},
            "payout po is listed with two amounts, currencies or accounts",
        ),
        ([], {"faults": ["part 2 of 3 is not here"], "sections": []}, "part 2 of 3 is not here"),
    ],
)
def test_a_file_that_contradicts_itself_is_held(
    settlements: Settlements, sql: Sql, lines: list[ReportLine], more: dict[str, Any], message: str
) -> None:
    held = enter(settlements, report(lines, **more), provider=PROVIDER, account="")

    assert (held.state, list(held.faults)) == (FileState.HELD, [message])
    assert sql("SELECT faults FROM settlement_files")[0].faults == [message]
    assert sql("SELECT count(*) AS n FROM balance_entries")[0].n == 0


def test_lines_that_contradict_each_other_are_accepted_by_nobody(settlements: Settlements, sql: Sql) -> None:
    held = enter(
        settlements,
        report([line(EntryKind.FEE, "1", ref="t1"), line(EntryKind.FEE, "2", ref="t1")]),
        provider=PROVIDER,
        account="",
    )

    with pytest.raises(UnenterableError, match="line 1 "):
        accept(settlements, held.file_id, operator="ada", why="")

    assert sql("SELECT state::text FROM settlement_files")[0].state == "held"
    assert sql("SELECT count(*) AS n FROM audit")[0].n == 0


def test_a_currency_that_a_section_does_not_name_is_a_residue(settlements: Settlements) -> None:
    held = enter(
        settlements,
        report(
            [line(EntryKind.FEE, "1", ref="t1"), line(EntryKind.FEE, "2", ref="t2", currency="EUR")],
            sections=[section("all", expected={"USD": Decimal(1), "GBP": Decimal("0.00")}, rows=3)],
        ),
        provider=PROVIDER,
        account="",
    )

    assert [(each.currency, each.expected, each.found) for each in held.residues] == [
        ("", Decimal(3), Decimal(2)),
        ("EUR", None, Decimal(2)),
    ]


def test_a_payouts_own_line_counts_where_an_account_is_listed_as_a_whole(settlements: Settlements, sql: Sql) -> None:
    entered = enter(
        settlements,
        report(
            [
                line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_1"),
                line(EntryKind.PAYOUT, "-8", ref="t2", payout_ref="po_1", section="all"),
            ],
            payouts=[payout("po_1", "8", itemized=False), payout("po_2", "9", itemized=False)],
            sections=[section("all", expected={"USD": Decimal(2)})],
        ),
        provider=PROVIDER,
        account="",
    )

    assert entered.state == FileState.ENTERED
    assert payouts(sql) == {"po_1": "by_balance", "po_2": "open"}
    assert sql("SELECT entries FROM payouts ORDER BY payout_ref")[0].entries == 0


@pytest.mark.parametrize("status", [PayoutStatus.FAILED, PayoutStatus.CANCELED])
def test_one_that_was_never_paid_and_has_no_lines_is_not_even(
    settlements: Settlements, sql: Sql, status: PayoutStatus
) -> None:
    listed = report([], payouts=[payout("po_1", "80", status=status), payout("po_2", "9")], sections=[])
    enter(settlements, listed, provider=PROVIDER, account="")
    assert payouts(sql) == {"po_1": "not_paid", "po_2": "open"}


def test_a_payout_of_nothing_is_made_of_what_comes_to_nothing(settlements: Settlements, sql: Sql) -> None:
    enter(
        settlements,
        whole("batch_1", [line(EntryKind.RESERVE, "-5"), line(EntryKind.TRANSFER, "5")]),
        provider="adyen",
        account="",
    )

    assert payouts(sql) == {"batch_1": "reconciled"}


def test_what_was_accepted_is_one_amount_and_no_other(settlements: Settlements, sql: Sql) -> None:
    held = _enter(settlements, LINES[:3])
    accept(settlements, held.file_id, operator="ada", why="a fee is on the way")
    assert sql("SELECT net FROM payouts")[0].net == Decimal("61.80")
    for amount, state in (("5000", "open"), ("56.80", "unmatched"), ("0.01", "open")):
        enter(settlements, report([], payouts=[payout("po_1", amount)], sections=[]), provider=PROVIDER, account="")

        assert payouts(sql) == {"po_1": state}


def test_what_was_accepted_without_its_payout_says_nothing_of_the_payouts_amount(
    settlements: Settlements, sql: Sql
) -> None:
    lines = [line(EntryKind.TRANSFER, "10", ref="t1", payout_ref="po_1")]
    held = enter(
        settlements, report(lines, sections=[section("po_1", of_payout="po_1")]), provider=PROVIDER, account=""
    )
    accept(settlements, held.file_id, operator="ada", why="its payout is listed nowhere")

    for amount, state in (("12.34", "open"), ("10", "reconciled")):
        enter(settlements, report([], payouts=[payout("po_1", amount)], sections=[]), provider=PROVIDER, account="")

        assert payouts(sql) == {"po_1": state}


@pytest.mark.parametrize("known", [[payout("po_1", "15")], []])
def test_a_payout_of_two_currencies_or_amounts_is_accepted_by_nobody(
    settlements: Settlements, sql: Sql, known: list[Any]
) -> None:
    enter(settlements, report([], payouts=known, sections=[], name="known"), provider=PROVIDER, account="")
    lines = [line(EntryKind.TRANSFER, "1000", ref="t1", payout_ref="po_1", currency="JPY")]
    listed = [payout("po_1", "1000", currency="JPY"), *([] if known else [payout("po_1", "15")])]
    held = enter(
        settlements,
        report(lines, payouts=listed, sections=[section("po_1", of_payout="po_1")]),
        provider=PROVIDER,
        account="",
    )
    assert len(held.faults) == 1

    with pytest.raises(UnenterableError, match="lists payout po_1 with two amounts, or with another currency"):
        accept(settlements, held.file_id, operator="ada", why="")

    assert payouts(sql) == ({"po_1": "open"} if known else {})
    assert sql("SELECT count(*) AS n FROM audit")[0].n == 0
