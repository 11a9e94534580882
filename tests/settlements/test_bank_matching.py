"""A bank's entries are matched with payouts by what they name, proposed by their amounts, and alike in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from checkout_service.settlements import bank_matching
from checkout_service.settlements.settling import NotMatchedError, undo
from tests.conftest import Servers, Sql
from tests.settlements.bank_entries import (
    ARRIVAL,
    at_bank,
    connect,
    details,
    enter_payouts,
    enter_statement,
    entry,
    matches,
    payout,
    states,
)

ADYEN = "TX900000000041XT batch 41, TulipShopECOM"
MOLLIE = "0000001.2611.27"


@pytest.fixture
def settlements(servers: Servers) -> Iterator[psycopg.Connection[Any]]:
    """Of the role that writes settled money, in autocommit."""
    with connect(servers) as connection:
        yield connection


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        (ADYEN, "TX900000000041XT batch 41, TulipShopECOM"),
        (ADYEN, "EREF+X | SVWZ+tx900000000041xt BATCH_41, TulipShop ECOM"),
        (ADYEN, "TX9000000000 41XT batch 41, TulipShopECOM | NTRF"),
        (ADYEN, "TX900000000041XT batch 41, Tuli | MADEUP-E2E"),
        (ADYEN, "something of the bank TX900000000041XT and more"),
        (MOLLIE, "/REMI/0000001.2611.27"),
        (MOLLIE, "Mollie 0000001 2611 27"),
        ("po_1QmadeUp00000042", "STRIPE PO 1QmadeUp00000042"),
    ],
)
def test_a_reference_with_its_amount_is_sure(
    settlements: psycopg.Connection[Any], sql: Sql, reference: str, text: str
) -> None:
    enter_payouts(
        settlements, [payout("one", "90.09", reference), payout("other", "90.09", "TX900000000042XT batch 42")]
    )
    enter_statement(settlements, [entry("90.09", text, on=ARRIVAL + timedelta(days=30))])
    assert matches(sql) == {("90.09", text, "one", "matched", "90.09", "")}
    assert at_bank(sql) == {"one": "90.09", "other": None}


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("TULIPSHOP BATCH 10041", "TULIPSHOP BATCH 100412"),
        ("TULIPSHOP BATCH 10041", "XTULIPSHOP BATCH 10041"),
        ("TX900000000041XT", "TX900000000"),
        ("Batch 8", "Batch 8"),
        ("STRIPE PAYOUT", "STRIPE PAYOUT"),
        ("", ""),
    ],
)
def test_a_text_that_names_another_or_says_too_little_is_no_reference(
    settlements: psycopg.Connection[Any], sql: Sql, reference: str, text: str
) -> None:
    enter_payouts(settlements, [payout("one", "90.09", reference)])
    enter_statement(settlements, [entry("90.09", text), entry("90.08", text)])
    assert matches(sql) == {
        ("90.09", text, "one", "proposed", "90.09", ""),
        ("90.08", text, None, "not_ours", "90.08", ""),
    }
    assert at_bank(sql) == {"one": None}


def test_a_reference_of_another_year_is_none(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "90.09", ADYEN)])
    enter_statement(settlements, [entry("90.09", ADYEN, on=ARRIVAL.replace(year=2027))])
    assert states(sql) == {(ADYEN, None): "not_ours"}


@pytest.mark.parametrize(
    ("on", "state"),
    [
        (date(2026, 11, 24), "proposed"),
        (date(2026, 11, 23), "not_ours"),
        (date(2026, 12, 2), "proposed"),
        (date(2026, 12, 3), "not_ours"),
    ],
)
def test_an_amount_alone_counts_from_the_day_before_to_five_business_days_after(
    settlements: psycopg.Connection[Any], sql: Sql, on: date, state: str
) -> None:
    enter_payouts(settlements, [payout("one", "90.09")])
    enter_statement(settlements, [entry("90.09", on=on)])
    assert [found[3] for found in matches(sql)] == [state]


def test_of_two_payouts_of_one_amount_none_is_taken(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "50.00"), payout("two", "50.00", on=ARRIVAL + timedelta(days=1))])
    enter_statement(settlements, [entry("50.00", "STRIPE")])
    assert matches(sql) == {("50.00", "STRIPE", None, "proposed", "50.00", "")}
    assert details(sql) == ["2 payouts of this amount: one, two"]
    assert at_bank(sql) == {"one": None, "two": None}


def test_the_descriptor_chooses_among_them_and_is_still_a_proposal(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    enter_payouts(
        settlements, [payout("one", "50.00", descriptor="TULIP SHOP"), payout("two", "50.00", descriptor="ROSE SHOP")]
    )
    enter_statement(settlements, [entry("50.00", "From the rose shop 7")])
    assert states(sql) == {("From the rose shop 7", "two"): "proposed"}


def test_one_that_a_reference_found_is_no_candidate_for_others(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "50.00", ADYEN), payout("two", "50.00")])
    enter_statement(settlements, [entry("50.00", "no name")], name="first")
    assert details(sql) == ["2 payouts of this amount: one, two"]
    enter_statement(settlements, [entry("50.00", ADYEN)], name="second")
    assert states(sql) == {("no name", "two"): "proposed", (ADYEN, "one"): "matched"}


def test_an_entry_of_several_payouts_is_each_of_them_where_they_add_up_to_it(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    text = f"{ADYEN} | {MOLLIE}"
    enter_payouts(settlements, [payout("one", "90.09", ADYEN), payout("two", "159.91", MOLLIE)])
    enter_statement(settlements, [entry("250.00", text)])
    assert matches(sql) == {
        ("250.00", text, "one", "matched", "90.09", ""),
        ("250.00", text, "two", "matched", "159.91", ""),
    }
    assert at_bank(sql) == {"one": "90.09", "two": "159.91"}


def test_an_entry_of_several_payouts_that_do_not_add_up_differs(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    text = f"{ADYEN} | {MOLLIE}"
    enter_payouts(settlements, [payout("one", "90.09", ADYEN), payout("two", "159.91", MOLLIE)])
    enter_statement(settlements, [entry("249.99", text)])
    assert matches(sql) == {
        ("249.99", text, "one", "differs", None, "amount"),
        ("249.99", text, "two", "differs", None, "amount"),
    }
    assert at_bank(sql) == {"one": None, "two": None}


def test_an_unnamed_batch_is_never_guessed(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "90.09"), payout("two", "159.91")])
    enter_statement(settlements, [entry("250.00", "batch of 2")])
    assert states(sql) == {("batch of 2", None): "not_ours"}


def test_the_parts_of_a_payout_differ_until_all_are_there(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "100.00", ADYEN)])
    enter_statement(settlements, [entry("60.00", ADYEN)], name="first")
    assert matches(sql) == {("60.00", ADYEN, "one", "differs", "60.00", "amount")}
    assert at_bank(sql) == {"one": "60.00"}
    enter_statement(settlements, [entry("40.00", ADYEN)], name="second")
    assert {found[3] for found in matches(sql)} == {"matched"}
    assert at_bank(sql) == {"one": "100.00"}


def test_a_payout_that_came_back_is_netted(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "100.00", ADYEN)])
    enter_statement(settlements, [entry("100.00", ADYEN)], name="first")
    enter_statement(settlements, [entry("-100.00", f"RETURN {ADYEN}")], name="second")
    assert {found[3] for found in matches(sql)} == {"matched"}
    assert at_bank(sql) == {"one": "0.00"}
    enter_statement(settlements, [entry("100.00", ADYEN, on=ARRIVAL + timedelta(days=9))], name="third")
    assert {found[3] for found in matches(sql)} == {"matched"}
    assert at_bank(sql) == {"one": "100.00"}


def test_a_payout_that_came_in_parts_and_went_back_as_a_whole_is_nothing(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    enter_payouts(settlements, [payout("one", "100.00", ADYEN)])
    enter_statement(settlements, [entry("60.00", ADYEN), entry("40.00", ADYEN), entry("-100.00", f"RETURN {ADYEN}")])
    assert {found[3] for found in matches(sql)} == {"matched"}
    assert at_bank(sql) == {"one": "0.00"}


def test_a_payout_that_came_twice_differs(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "100.00", ADYEN)])
    enter_statement(settlements, [entry("100.00", ADYEN), entry("100.00", ADYEN, ref="again")])
    assert {found[3] for found in matches(sql)} == {"differs"}
    assert at_bank(sql) == {"one": "200.00"}


def test_a_payout_that_takes_money_is_a_debit(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "-12.00", ADYEN), payout("two", "-7.00")])
    enter_statement(settlements, [entry("-12.00", ADYEN), entry("-7.00", "STRIPE"), entry("7.00", "other")])
    assert states(sql) == {
        (ADYEN, "one"): "matched",
        ("STRIPE", "two"): "proposed",
        ("other", None): "not_ours",
    }


def test_the_bank_s_fee_with_the_same_reference_differs_beside_the_whole(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    enter_payouts(settlements, [payout("one", "100.00", ADYEN)])
    enter_statement(settlements, [entry("100.00", ADYEN), entry("-1.50", f"FEE {ADYEN}")])
    assert states(sql) == {(ADYEN, "one"): "matched", (f"FEE {ADYEN}", "one"): "differs"}


def test_a_reference_in_another_currency_differs(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "100.00", ADYEN, currency="USD")])
    enter_statement(settlements, [entry("92.10", ADYEN)])
    assert matches(sql) == {("92.10", ADYEN, "one", "differs", None, "currency")}
    assert at_bank(sql) == {"one": None}


def test_a_reference_of_two_payouts_is_decided_by_the_amount(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "100.00", ADYEN), payout("two", "50.00", ADYEN)])
    enter_statement(settlements, [entry("50.00", ADYEN)], name="first")
    assert matches(sql) == {("50.00", ADYEN, "two", "matched", "50.00", "")}
    enter_statement(settlements, [entry("70.00", ADYEN)], name="second")
    assert ("70.00", ADYEN, None, "proposed", "70.00", "") in matches(sql)
    assert "2 payouts of this reference" in details(sql)


def test_payouts_that_come_later_undo_what_was_not_ours(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_statement(settlements, [entry("100.00", ADYEN), entry("50.00", "STRIPE")])
    assert set(states(sql).values()) == {"not_ours"}
    enter_payouts(settlements, [payout("one", "100.00", ADYEN), payout("two", "50.00")])
    assert states(sql) == {(ADYEN, "one"): "matched", ("STRIPE", "two"): "proposed"}
    assert [row.undone_why for row in sql("SELECT undone_why FROM settlement_matches WHERE undone_at IS NOT NULL")] == [
        "recomputed",
        "recomputed",
    ]
    enter_payouts(settlements, [payout("three", "50.00")])
    assert states(sql) == {(ADYEN, "one"): "matched", ("STRIPE", None): "proposed"}


def test_a_payout_whose_arrival_moves_takes_its_proposal_along(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "50.00"), payout("two", "50.00")])
    enter_statement(settlements, [entry("50.00", "STRIPE"), entry("50.00", "later", on=ARRIVAL + timedelta(days=40))])
    assert states(sql) == {("STRIPE", None): "proposed", ("later", None): "not_ours"}
    enter_payouts(settlements, [payout("two", "50.00", on=ARRIVAL + timedelta(days=40))])
    assert states(sql) == {("STRIPE", "one"): "proposed", ("later", "two"): "proposed"}


def test_what_a_person_decided_stays_and_counts(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "100.00", ADYEN), payout("two", "50.00")])
    enter_statement(settlements, [entry("60.00", "no name"), entry("50.00", "STRIPE")])
    sql(
        """WITH undone AS (
            UPDATE settlement_matches SET undone_at = now(), undone_by = 'ann', undone_why = 'it is one'
            WHERE state = 'not_ours' RETURNING entry_id)
        INSERT INTO settlement_matches (provider, account, entry_id, payout_id, state, amount, currency, made_by,
            made_why)
        SELECT 'bank', entry.account, entry.id, payout.id, 'matched', 60, 'EUR', 'ann', 'it is one'
        FROM undone JOIN balance_entries AS entry ON entry.id = undone.entry_id JOIN payouts AS payout
            ON payout.payout_ref = 'one'"""
    )
    sql(
        """UPDATE settlement_matches SET resolved_at = now(), resolved_by = 'ann', resolved_why = 'another shop'
        WHERE state = 'proposed'"""
    )
    enter_statement(settlements, [entry("40.00", ADYEN)], name="second")
    enter_payouts(settlements, [payout("three", "50.00")])
    assert matches(sql) == {
        ("60.00", "no name", "one", "matched", "60", ""),
        ("40.00", ADYEN, "one", "matched", "40.00", ""),
        ("50.00", "STRIPE", "two", "proposed", "50.00", ""),
    }
    assert at_bank(sql)["one"] == "100.00"


def test_what_a_person_has_undone_is_not_made_again(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "100.00", ADYEN), payout("two", "50.00")])
    enter_statement(settlements, [entry("100.00", ADYEN), entry("50.00", "STRIPE")])
    sql("UPDATE settlement_matches SET undone_at = now(), undone_by = 'ann', undone_why = 'no'")
    [one] = [row.id for row in sql("SELECT id FROM payouts WHERE payout_ref = 'one'")]
    [two] = [row.id for row in sql("SELECT id FROM payouts WHERE payout_ref = 'two'")]
    with settlements.transaction():
        bank_matching.match_bank_entries(settlements, payout_ids=[one, two])
    assert states(sql) == {(ADYEN, None): "not_ours", ("STRIPE", None): "not_ours"}
    assert at_bank(sql) == {"one": None, "two": None}


def test_an_entry_that_a_later_file_has_no_more_is_open_and_counts_no_more(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    enter_payouts(settlements, [payout("one", "100.00", ADYEN)])
    enter_statement(settlements, [entry("60.00", ADYEN), entry("40.00", ADYEN)], complete=True)
    assert at_bank(sql) == {"one": "100.00"}
    enter_statement(settlements, [entry("60.00", ADYEN)], complete=True)
    assert matches(sql) == {
        ("60.00", ADYEN, "one", "differs", "60.00", "amount"),
        ("40.00", ADYEN, None, "withdrawn", "40.00", ""),
    }
    assert at_bank(sql) == {"one": "60.00"}
    enter_statement(settlements, [entry("60.00", ADYEN), entry("40.00", ADYEN), entry("1.00", "x")], complete=True)
    assert {found[:4] for found in matches(sql)} == {
        ("60.00", ADYEN, "one", "matched"),
        ("40.00", ADYEN, "one", "matched"),
        ("1.00", "x", None, "not_ours"),
    }


def test_the_same_again_writes_nothing(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "100.00", ADYEN), payout("two", "50.00"), payout("three", "50.00")])
    entered = enter_statement(
        settlements, [entry("100.00", ADYEN), entry("50.00", "STRIPE"), entry("1.00", "x"), entry("9.00", MOLLIE)]
    )
    before = sql("SELECT id, xmin::text FROM settlement_matches UNION ALL SELECT id, xmin::text FROM payouts")
    payouts = [row.id for row in sql("SELECT id FROM payouts")]
    with settlements.transaction():
        bank_matching.match_bank_entries(settlements, file_id=entered.file_id)
        bank_matching.match_bank_entries(settlements, payout_ids=payouts)
        bank_matching.match_bank_entries(settlements, payout_ids=[])
    after = sql("SELECT id, xmin::text FROM settlement_matches UNION ALL SELECT id, xmin::text FROM payouts")
    assert sorted(map(tuple, after)) == sorted(map(tuple, before))


PIECES: tuple[Callable[[psycopg.Connection[Any]], object], ...] = (
    lambda connection: enter_payouts(connection, [payout("one", "100.00", ADYEN), payout("two", "50.00")]),
    lambda connection: enter_payouts(connection, [payout("three", "50.00"), payout("four", "20.00", MOLLIE)]),
    lambda connection: enter_payouts(connection, [payout("five", "30.00", ADYEN)], provider="adyen"),
    lambda connection: enter_payouts(connection, [payout("six", "50.00", "TX900000000077XT")], provider="adyen"),
    lambda connection: enter_statement(connection, [entry("100.00", ADYEN), entry("50.00", "a")], name="a"),
    lambda connection: enter_statement(connection, [entry("130.00", f"{ADYEN} b"), entry("50.00", "b")], name="b"),
    lambda connection: enter_statement(connection, [entry("-20.00", f"back {MOLLIE}"), entry("5.00", "c")], name="c"),
    lambda connection: enter_statement(
        connection, [entry("20.00", MOLLIE), entry("50.00", "paid TX900000000077XT")], name="d"
    ),
)


@given(order=st.permutations(range(len(PIECES))))
@hypothesis_settings(max_examples=25)
def test_any_order_of_files_comes_to_the_same(
    servers: Servers,
    sql: Sql,
    _empty_tables: Callable[[], None],  # noqa: PT019 (it empties them before each order)
    order: list[int],
) -> None:
    def enter_all(numbers: Iterable[int]) -> tuple[Any, ...]:
        _empty_tables()
        with connect(servers) as connection:
            for number in numbers:
                PIECES[number](connection)
        return matches(sql), at_bank(sql), details(sql)

    first = enter_all(range(len(PIECES)))
    assert first[1] == {"one": "200.00", "two": None, "three": None, "four": "0.00", "five": "30.00", "six": "50.00"}
    assert enter_all(order) == first


def test_a_proposal_that_a_person_undoes_is_not_made_again(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(settlements, [payout("one", "10.00")])
    enter_statement(settlements, [entry("10.00", "of somebody")])
    assert states(sql) == {("of somebody", "one"): "proposed"}
    proposed = sql("SELECT id FROM settlement_matches WHERE undone_at IS NULL")[0].id

    undo(settlements, proposed, operator="ann", why="of another shop")

    assert states(sql) == {("of somebody", None): "not_ours"}
    assert sql("SELECT undone_by FROM settlement_matches WHERE id = :id", id=proposed)[0].undone_by == "ann"
    # Another payout of this amount may be it.
    enter_payouts(settlements, [payout("two", "10.00")])
    assert states(sql) == {("of somebody", "two"): "proposed"}


def test_a_proposal_that_names_none_of_several_payouts_cannot_be_undone(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    enter_payouts(settlements, [payout("one", "10.00"), payout("two", "10.00")])
    enter_statement(settlements, [entry("10.00", "of somebody")])

    with pytest.raises(NotMatchedError):
        undo(settlements, sql("SELECT id FROM settlement_matches")[0].id, operator="ann", why="of another shop")

    assert states(sql) == {("of somebody", None): "proposed"}
