"""Held files that wait for their payouts: tried again with each file, each once for what is new, in nobody's way."""

from __future__ import annotations

from decimal import Decimal
from io import BytesIO
from typing import Any

import psycopg
import pytest

from checkout_service.settlement_words import EntryKind, FileState
from checkout_service.settlements import booking
from checkout_service.settlements.entered import Entered
from checkout_service.settlements.entering import accept, enter
from checkout_service.settlements.readers import reader_of
from tests.conftest import ROOT, Sql
from tests.settlements.entering.reports import PROVIDER, line, payout, payouts, report, section

Settlements = psycopg.Connection[Any]


def _enter(settlements: Settlements, made: Any) -> Entered:
    return enter(settlements, made, provider=PROVIDER, account="")


def _waiting(number: int, *, amount: str = "1") -> Any:
    lines = [line(EntryKind.TRANSFER, amount, ref=f"t{number}", payout_ref=f"po_{number}")]
    return report(lines, sections=[section(f"po_{number}", of_payout=f"po_{number}")])


def _listed(*numbers: int, amount: str = "1") -> Any:
    return report([], payouts=[payout(f"po_{number}", amount) for number in numbers], sections=[])


def _states(sql: Sql) -> list[str]:
    return [row.state for row in sql("SELECT state::text FROM settlement_files ORDER BY id")]


def _lines(sql: Sql) -> int:
    return sql("SELECT count(*) AS n FROM settlement_lines")[0].n


def test_of_two_held_files_about_the_same_the_first_one_is_entered(settlements: Settlements, sql: Sql) -> None:
    lines = [
        line(EntryKind.TRANSFER, "10", ref="t1", payout_ref="po_1"),
        line(EntryKind.TRANSFER, "5", ref="t2", payout_ref="po_1"),
    ]
    first = _enter(settlements, report(lines, sections=[section("po_1", of_payout="po_1")]))
    _enter(settlements, report(lines[::-1], sections=[section("po_1", of_payout="po_1")]))

    entered = _enter(settlements, report([], payouts=[payout("po_1", "15")], sections=[]))

    assert list(entered.retried) == [first.file_id]
    assert _states(sql) == ["entered", "superseded", "entered"]
    assert payouts(sql) == {"po_1": "reconciled"}
    assert _lines(sql) == 0


def test_two_exports_of_stripe_wait_for_their_payouts(settlements: Settlements, sql: Sql) -> None:
    folder = ROOT / "tests/providers/report_samples"
    rows = (folder / "stripe-report-payout_reconciliation.itemized.5.csv").read_bytes()
    for number, content in enumerate(
        (rows, rows + b"\n", (folder / "stripe-report-payouts.itemized.3.csv").read_bytes())
    ):
        _enter(settlements, reader_of(PROVIDER)(BytesIO(content), name=f"{number}.csv", account=""))

    assert sorted(_states(sql)) == ["entered", "entered", "superseded"]


def test_a_file_that_is_accepted_takes_the_place_of_another_and_of_its_lines(
    settlements: Settlements, sql: Sql
) -> None:
    lines = [
        line(EntryKind.TRANSFER, "10", ref="t1", payout_ref="po_1"),
        line(EntryKind.TRANSFER, "5", ref="t2", payout_ref="po_1"),
    ]
    first = _enter(settlements, report(lines, sections=[section("po_1", of_payout="po_1")]))
    _enter(settlements, report(lines[::-1], sections=[section("po_1", of_payout="po_1")]))
    assert _lines(sql) == 4

    accept(settlements, first.file_id, operator="ada", why="the payout is listed nowhere")

    assert _states(sql) == ["entered", "superseded"]
    assert _lines(sql) == 0


def test_those_for_which_one_file_has_no_time_are_tried_with_the_next(
    settlements: Settlements, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booking, "RETRIED", 3)
    for number in range(8):
        _enter(settlements, _waiting(number))

    counts = [len(_enter(settlements, _listed(*range(8))).retried)]
    counts += [len(_enter(settlements, report([line(EntryKind.TRANSFER, "1")])).retried) for _ in range(3)]

    assert counts == [3, 3, 2, 0]
    assert "held" not in _states(sql)


def test_what_does_not_add_up_is_in_nobodys_way(
    settlements: Settlements, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booking, "RETRIED", 2)
    for number in range(3):
        _enter(settlements, _waiting(number, amount="7" if number < 2 else "1"))
    proved = []
    prove = booking.prove
    monkeypatch.setattr(booking, "prove", lambda cursor, file: proved.append(file) or prove(cursor, file))

    counts = [len(_enter(settlements, _listed(0, 1, 2)).retried)]
    counts += [len(_enter(settlements, report([line(EntryKind.TRANSFER, "1")])).retried) for _ in range(2)]

    assert (counts, len(proved)) == ([0, 1, 0], 3)
    assert _states(sql)[:3] == ["held", "held", "entered"]
    residues = sql("SELECT residues FROM settlement_files ORDER BY id")[0].residues
    assert [(each["expected"], each["found"]) for each in residues] == [("1", "7")]
    # The provider lists it with another amount later.
    assert len(_enter(settlements, _listed(1, amount="7")).retried) == 1


def test_a_file_of_ten_thousand_payouts_is_proved_within_seconds(
    settlements: Settlements, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booking, "_SETTINGS", booking._SETTINGS.replace("'900s'", "'10s'"))
    numbers = range(10_000)
    lines = [line(EntryKind.TRANSFER, "1", ref=f"t{number}", payout_ref=f"po_{number}") for number in numbers]

    held = _enter(
        settlements,
        report(
            lines[:-1],
            payouts=[payout(f"po_{number}", "1") for number in numbers],
            sections=[section(f"po_{number}", of_payout=f"po_{number}") for number in numbers],
        ),
    )

    assert [(each.section, each.found) for each in held.residues] == [("po_9999", Decimal(0))]


def test_a_file_of_ten_thousand_parts_takes_the_place_of_one_within_seconds(
    settlements: Settlements, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booking, "_SETTINGS", booking._SETTINGS.replace("'900s'", "'10s'"))
    numbers = range(10_000)
    lines = [line(EntryKind.TRANSFER, "1", ref=f"t{number}", section=f"part {number}") for number in numbers]
    sections = [section(f"part {number}", expected={"USD": Decimal(1)}) for number in numbers]
    _enter(settlements, report(lines[:-1], sections=sections))

    entered = _enter(settlements, report(lines, sections=sections))

    assert (entered.state, _states(sql)) == (FileState.ENTERED, ["superseded", "entered"])


def test_the_same_bytes_are_read_again_while_they_are_held(settlements: Settlements, sql: Sql) -> None:
    lines = [line(EntryKind.TRANSFER, "10", ref="t1"), line(EntryKind.FEE, "-1", ref="fee", is_made=True)]
    made = [
        report(lines[:number], sections=[section("all", expected={"USD": Decimal(9)})], name="same.csv")
        for number in (1, 1, 2)
    ]
    for each in made:
        each.lines = _as_one_file(each, each.lines)

    held, same, entered = (enter(settlements, each, provider=PROVIDER, account="", operator="ada") for each in made)

    assert (held.state, held.is_known, same.state, same.is_known) == (FileState.HELD, False, FileState.HELD, True)
    assert (entered.state, entered.is_known, entered.new) == (FileState.ENTERED, False, 2)
    assert held.file_id == same.file_id == entered.file_id
    [row] = sql("SELECT rows, state::text, residues FROM settlement_files")
    assert tuple(row) == (2, "entered", [])
    assert _lines(sql) == 0
    audits = sql("SELECT operator, action, subject, details FROM audit ORDER BY id")
    assert [(row.operator, row.action, row.subject, row.details["state"]) for row in audits] == [
        ("ada", "enter_file", str(held.file_id), "held"),
        ("ada", "enter_file", str(held.file_id), "entered"),
    ]
    assert audits[0].details == {"name": "same.csv", "provider": PROVIDER, "state": "held"}


def test_the_same_bytes_are_entered_once_their_payout_has_the_right_amount(settlements: Settlements, sql: Sql) -> None:
    _enter(settlements, _waiting(1, amount="7"))
    _enter(settlements, _listed(1, amount="1"))
    # As an earlier release left it.
    sql("UPDATE payouts SET amount = 7")

    assert _enter(settlements, _waiting(1, amount="7")).state == FileState.ENTERED
    assert payouts(sql) == {"po_1": "reconciled"}


def _as_one_file(made: Any, lines: Any) -> Any:
    yield from lines
    made.sha256 = b"1" * 32
