"""What persons say of a bank's entries holds, whatever comes later; and each remedy closes its exception for good."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from checkout_service.settlements.settling import LinkedAlreadyError, link, resolve, undo
from tests.conftest import Servers, Sql
from tests.settlements.bank_entries import (
    ARRIVAL,
    at_bank,
    connect,
    enter_payouts,
    enter_statement,
    entry,
    payout,
    states,
)

Settlements = psycopg.Connection[Any]
NAMED = "TX900000000041XT batch 41"


@pytest.fixture
def settlements(servers: Servers) -> Iterator[Settlements]:
    """Of the role that writes settled money, in autocommit."""
    with connect(servers) as connection:
        yield connection


def _match(sql: Sql, text: str, ref: str | None = None) -> UUID:
    [row] = sql(
        """SELECT known.id FROM settlement_matches AS known JOIN balance_entries AS entry ON entry.id = known.entry_id
        LEFT JOIN payouts AS payout ON payout.id = known.payout_id
        WHERE entry.description = :text AND known.undone_at IS NULL
            AND (CAST(:ref AS text) IS NULL OR payout.payout_ref = :ref)""",
        text=text,
        ref=ref,
    )
    found: UUID = row.id
    return found


def _entry(sql: Sql, text: str) -> UUID:
    [row] = sql("SELECT id FROM balance_entries WHERE description = :text", text=text)
    found: UUID = row.id
    return found


def _payout(sql: Sql, ref: str) -> UUID:
    [row] = sql("SELECT id FROM payouts WHERE payout_ref = :ref", ref=ref)
    found: UUID = row.id
    return found


def _exceptions(sql: Sql) -> list[str]:
    rows = sql(
        """SELECT state::text FROM settlement_matches WHERE undone_at IS NULL AND resolved_at IS NULL
            AND state <> ALL ('{matched,not_ours}'::settlement_match_state[]) ORDER BY 1"""
    )
    return [row.state for row in rows]


def _run_again(settlements: Settlements) -> None:
    """Whatever may have matching run again: other entries, other payouts, the same payouts with more known of them."""
    enter_statement(settlements, [entry("7", "other"), entry("10", "alike", on=ARRIVAL + timedelta(days=1))], name="b")
    enter_payouts(settlements, [payout("other", "7"), payout("third", "99")])
    enter_payouts(settlements, [payout("41", "10", NAMED, descriptor="SHOP"), payout("42", "10", descriptor="SHOP")])


def test_what_was_undone_is_not_matched_again_by_itself(settlements: Settlements, sql: Sql) -> None:
    enter_payouts(settlements, [payout("41", "10", NAMED)])
    enter_statement(settlements, [entry("10", NAMED)], name="a")
    undo(settlements, _match(sql, NAMED), operator="ada", why="it is of another shop")

    _run_again(settlements)

    assert states(sql)[NAMED, "42"] == "proposed"
    assert (NAMED, "41") not in states(sql)
    assert at_bank(sql)["41"] is None
    link(settlements, _entry(sql, NAMED), _payout(sql, "41"), operator="bob", why="it is ours")
    assert states(sql)[NAMED, "41"] == "matched"
    assert at_bank(sql)["41"] == "10"


def test_an_entry_of_which_nothing_is_left_brings_no_other_payout(settlements: Settlements, sql: Sql) -> None:
    enter_payouts(settlements, [payout("41", "10", NAMED), payout("42", "4", on=None), payout("43", "6", on=None)])
    enter_statement(settlements, [entry("10", NAMED), entry("10", "two")], name="a")

    with pytest.raises(LinkedAlreadyError):
        link(settlements, _entry(sql, NAMED), _payout(sql, "42"), operator="ada", why="it may be this")
    assert sql("SELECT count(*) AS n FROM audit")[0].n == 0
    assert at_bank(sql) == {"41": "10", "42": None, "43": None}

    for ref in ("42", "43"):
        link(settlements, _entry(sql, "two"), _payout(sql, ref), operator="ada", why="both are in it")
    assert at_bank(sql) == {"41": "10", "42": "4", "43": "6"}
    with pytest.raises(LinkedAlreadyError):
        link(settlements, _entry(sql, "two"), _payout(sql, "41"), operator="ada", why="and this")
    # The way out is to undo the wrong one first.
    undo(settlements, _match(sql, NAMED), operator="ada", why="it was another")
    link(settlements, _entry(sql, NAMED), _payout(sql, "41"), operator="ada", why="it was not")
    assert at_bank(sql) == {"41": "10", "42": "4", "43": "6"}


def test_the_same_money_in_two_statements_is_even_once_the_wrong_one_is_undone(
    settlements: Settlements, sql: Sql
) -> None:
    enter_payouts(settlements, [payout("41", "10", NAMED)])
    enter_statement(settlements, [entry("10", NAMED, ref="r1")], name="a")
    enter_statement(settlements, [entry("10", f"{NAMED} again", ref="r2", on=ARRIVAL + timedelta(days=1))], name="b")
    assert _exceptions(sql) == ["differs", "differs"]

    undo(settlements, _match(sql, f"{NAMED} again"), operator="ada", why="a copy")

    assert (_exceptions(sql), at_bank(sql)) == ([], {"41": "10"})
    _run_again(settlements)
    assert at_bank(sql)["41"] == "10"
    assert states(sql)[NAMED, "41"] == "matched"


@pytest.mark.parametrize("remedy", ["link", "resolve", "undo"])
def test_each_remedy_of_a_proposal_closes_it_for_good(settlements: Settlements, sql: Sql, remedy: str) -> None:
    enter_payouts(settlements, [payout("41", "10")])
    enter_statement(settlements, [entry("10", "text")], name="a")
    assert _exceptions(sql) == ["proposed"]
    match = _match(sql, "text")

    if remedy == "link":
        link(settlements, _entry(sql, "text"), _payout(sql, "41"), operator="ada", why="seen")
    elif remedy == "resolve":
        resolve(settlements, match, operator="ada", why="of another shop")
    else:
        undo(settlements, match, operator="ada", why="not this one")
    assert _exceptions(sql) == []
    enter_statement(settlements, [entry("7", "other")], name="b")
    enter_payouts(settlements, [payout("41", "10", descriptor="SHOP")])

    assert _exceptions(sql) == []
    assert at_bank(sql) == {"41": "10" if remedy == "link" else None}


@pytest.mark.parametrize("remedy", ["link", "resolve"])
def test_each_remedy_of_a_proposal_of_several_payouts_closes_it(
    settlements: Settlements, sql: Sql, remedy: str
) -> None:
    enter_payouts(settlements, [payout("41", "10"), payout("42", "10")])
    enter_statement(settlements, [entry("10", "text")], name="a")
    assert _exceptions(sql) == ["proposed"]

    if remedy == "link":
        link(settlements, _entry(sql, "text"), _payout(sql, "42"), operator="ada", why="seen")
    else:
        resolve(settlements, _match(sql, "text"), operator="ada", why="of another shop")
    assert _exceptions(sql) == []
    enter_payouts(settlements, [payout("43", "10")])

    assert _exceptions(sql) == []


def test_what_differs_at_the_bank_is_resolved_for_good(settlements: Settlements, sql: Sql) -> None:
    enter_payouts(settlements, [payout("41", "10", NAMED)])
    enter_statement(settlements, [entry("9.50", NAMED)], name="a")
    assert _exceptions(sql) == ["differs"]

    resolve(settlements, _match(sql, NAMED), operator="ada", why="a fee of the bank")
    enter_statement(settlements, [entry("7", "other")], name="b")
    enter_payouts(settlements, [payout("41", "10", NAMED, descriptor="SHOP")])

    assert (_exceptions(sql), at_bank(sql)) == ([], {"41": "9.50"})


def test_a_payout_that_came_back_and_came_again_is_even(settlements: Settlements, sql: Sql) -> None:
    enter_payouts(settlements, [payout("41", "10", NAMED)])
    for number, amount in enumerate(("10", "-10", "10")):
        enter_statement(
            settlements, [entry(amount, f"{NAMED} {number}", on=ARRIVAL + timedelta(days=number))], name=f"s{number}"
        )
        assert _exceptions(sql) == []
    assert at_bank(sql) == {"41": "10"}
