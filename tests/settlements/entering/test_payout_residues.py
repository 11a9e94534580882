"""Payouts that never add up, and of which no file is held: a person accepts them, while nothing of them changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from checkout_service.oversight import settlement_invariants
from checkout_service.settlement_words import EntryKind, MatchState
from checkout_service.settlements.entering import accept, enter
from checkout_service.settlements.payout_residues import ChangedError, NotOpenError, accept_payout
from checkout_service.settlements.settling import UnknownPayoutError, resolve_all, undo
from tests.conftest import Sql
from tests.settlements.entering.reports import PROVIDER, line, payout, payouts, report, section, whole

Settlements = psycopg.Connection[Any]


def _enter(settlements: Settlements, made: Any) -> Any:
    return enter(settlements, made, provider=PROVIDER, account="")


def _id(sql: Sql) -> UUID:
    [row] = sql("SELECT id FROM payouts")
    found: UUID = row.id
    return found


def _accept(settlements: Settlements, sql: Sql) -> UUID:
    return accept_payout(settlements, _id(sql), operator="ada", why="the provider says so")


def _of_a_line_that_went(settlements: Settlements) -> None:
    lines = [line(EntryKind.TRANSFER, "10", ref="t1"), line(EntryKind.TRANSFER, "5", ref="t2")]
    _enter(settlements, whole("po_1", lines))
    _enter(
        settlements,
        report(
            [lines[0]._replace(payout_ref="po_1")],
            sections=[section("all", expected={"USD": Decimal(10)})],
            columns=("b",),
        ),
    )
    held = _enter(
        settlements,
        report([lines[0]._replace(payout_ref="po_1", section="po_1")], sections=[section("po_1", of_payout="po_1")]),
    )
    accept(settlements, held.file_id, operator="ada", why="it has less by now")


def _of_lines_without_their_payout(settlements: Settlements) -> None:
    lines = [line(EntryKind.TRANSFER, "10", ref="t1", payout_ref="po_1", section="window")]
    _enter(settlements, report(lines, sections=[section("window", expected={"USD": Decimal(10)}, complete=False)]))
    _enter(settlements, report([], payouts=[payout("po_1", "12")], sections=[]))


def _of_another_currency(settlements: Settlements) -> None:
    lines = [line(EntryKind.TRANSFER, "10", ref="t1", currency="EUR"), line(EntryKind.TRANSFER, "9", ref="t2")]
    lines = [each._replace(payout_ref="po_1", section="po_1") for each in lines]
    held = _enter(
        settlements,
        report(lines, payouts=[payout("po_1", "20")], sections=[section("po_1", of_payout="po_1")]),
    )
    accept(settlements, held.file_id, operator="ada", why="it was exchanged")


def _of_nothing(settlements: Settlements) -> None:
    _enter(settlements, report([], payouts=[payout("po_1", "20")], sections=[]))


def _that_nobody_itemizes(settlements: Settlements) -> None:
    _enter(settlements, report([], payouts=[payout("po_1", "20", itemized=False)], sections=[]))


@pytest.mark.parametrize(
    "made", [_of_lines_without_their_payout, _of_another_currency, _of_nothing, _that_nobody_itemizes]
)
def test_a_payout_that_stays_open_is_accepted_and_that_can_be_taken_back(
    settlements: Settlements, sql: Sql, made: Any
) -> None:
    made(settlements)
    assert payouts(sql) == {"po_1": "open"}

    match = _accept(settlements, sql)

    assert payouts(sql) == {"po_1": "reconciled"}
    [audit] = sql("SELECT operator, action, subject, why, details FROM audit WHERE action = 'accept_payout'")
    assert tuple(audit)[:4] == ("ada", "accept_payout", str(_id(sql)), "the provider says so")
    assert (audit.details["match"], audit.details["currency"]) == (str(match), "USD")
    with pytest.raises(NotOpenError):
        _accept(settlements, sql)
    # Whatever comes of another payout changes nothing.
    _enter(settlements, whole("po_2", [line(EntryKind.TRANSFER, "1", ref="other")]))
    assert payouts(sql) == {"po_1": "reconciled", "po_2": "reconciled"}

    undo(settlements, match, operator="bob", why="it was another one")

    assert payouts(sql) == {"po_1": "open", "po_2": "reconciled"}


def test_what_was_accepted_counts_while_sum_and_amount_are_those(settlements: Settlements, sql: Sql) -> None:
    _of_lines_without_their_payout(settlements)
    _accept(settlements, sql)

    more = [line(EntryKind.TRANSFER, "1", ref="t2", payout_ref="po_1", section="window")]
    _enter(settlements, report(more, sections=[section("window", expected={"USD": Decimal(1)}, complete=False)]))
    assert payouts(sql) == {"po_1": "open"}

    _accept(settlements, sql)
    assert payouts(sql) == {"po_1": "reconciled"}
    assert sql("SELECT count(*) AS n FROM settlement_matches WHERE undone_at IS NULL")[0].n == 1

    _enter(settlements, report([], payouts=[payout("po_1", "13")], sections=[]))
    assert payouts(sql) == {"po_1": "open"}


def test_a_line_of_another_currency_that_comes_later_was_not_accepted(settlements: Settlements, sql: Sql) -> None:
    _of_lines_without_their_payout(settlements)
    _accept(settlements, sql)
    assert payouts(sql) == {"po_1": "reconciled"}

    more = [line(EntryKind.TRANSFER, "900", ref="t2", payout_ref="po_1", section="window", currency="EUR")]
    _enter(settlements, report(more, sections=[section("window", expected={"EUR": Decimal(900)}, complete=False)]))
    assert payouts(sql) == {"po_1": "open"}

    _accept(settlements, sql)
    assert payouts(sql) == {"po_1": "reconciled"}


def test_nobody_accepts_another_sum_or_amount_than_was_shown(settlements: Settlements, sql: Sql) -> None:
    _of_lines_without_their_payout(settlements)
    for seen in ((Decimal(9), Decimal(12)), (Decimal(10), Decimal(13))):
        with pytest.raises(ChangedError):
            accept_payout(settlements, _id(sql), operator="ada", why="so it is", seen=seen)
    assert payouts(sql) == {"po_1": "open"}
    assert sql("SELECT FROM audit WHERE action = 'accept_payout'") == []

    accept_payout(settlements, _id(sql), operator="ada", why="so it is", seen=(Decimal(10), Decimal(12)))

    assert payouts(sql) == {"po_1": "reconciled"}


def test_a_payout_of_which_a_line_went_is_open_no_longer_once_both_are_settled(
    settlements: Settlements, sql: Sql
) -> None:
    _of_a_line_that_went(settlements)
    assert payouts(sql) == {"po_1": "unmatched"}

    resolve_all(settlements, _id(sql), MatchState.WITHDRAWN, operator="ada", why="it is in the next one")

    assert payouts(sql) == {"po_1": "reconciled"}


def test_an_accepted_payout_with_exceptions_needs_a_person(settlements: Settlements, sql: Sql) -> None:
    lines = [line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_x", payout_ref="po_1", section="window")]
    _enter(settlements, report(lines, sections=[section("window", expected={"USD": Decimal(10)}, complete=False)]))
    _enter(settlements, report([], payouts=[payout("po_1", "12")], sections=[]))

    _accept(settlements, sql)

    assert payouts(sql) == {"po_1": "unmatched"}


def test_what_does_not_exist_is_not_accepted(settlements: Settlements) -> None:
    with pytest.raises(UnknownPayoutError):
        accept_payout(settlements, uuid4(), operator="ada", why="")


def test_the_invariants_know_what_was_accepted(settlements: Settlements, sql: Sql) -> None:
    _of_lines_without_their_payout(settlements)
    _accept(settlements, sql)
    values = {"after": UUID(int=0)}

    def astray() -> list[bool]:
        return [row.astray for row in sql(str(settlement_invariants.ADDED_UP), **values)]

    assert True not in astray()
    sql("UPDATE settlement_matches SET undone_at = now(), undone_why = 'by nobody' WHERE payout_id IS NOT NULL")
    assert True in astray()


def test_of_an_accepted_file_each_payout_is_so(settlements: Settlements, sql: Sql) -> None:
    numbers = range(1100)
    held = _enter(
        settlements,
        report(
            [line(EntryKind.TRANSFER, "1", ref=f"t{number}", payout_ref=f"po_{number}") for number in numbers],
            payouts=[payout(f"po_{number}", "2") for number in numbers],
            sections=[section(f"po_{number}", of_payout=f"po_{number}") for number in numbers],
        ),
    )

    accept(settlements, held.file_id, operator="ada", why="a fee of each")

    assert set(payouts(sql).values()) == {"reconciled"}
