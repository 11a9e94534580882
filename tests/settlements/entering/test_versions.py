"""What comes again: the same, with other values, without some lines, and with what was not known before."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from checkout_service.settlement_words import EntryKind, MatchState, PayoutStatus
from checkout_service.settlements.entering import enter
from tests.conftest import Sql
from tests.events.written import types, written
from tests.settlements.entering.reports import (
    NOW,
    PROVIDER,
    dump,
    line,
    payment,
    payout,
    payouts,
    refund,
    report,
    section,
    states,
    whole,
)

Settlements = psycopg.Connection[Any]


def test_the_same_bytes_and_overlapping_windows_change_nothing(settlements: Settlements, sql: Sql) -> None:
    payment(sql, captured={"ch_1": "10", "ch_2": "20"})
    first = line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_1")
    second = line(EntryKind.CAPTURE, "20", ref="t2", subject="ch_2")
    fee = line(EntryKind.FEE, "-1", ref="digest", is_made=True)
    enter(settlements, report([first, second, fee, fee]), provider=PROVIDER, account="")
    before = dump(sql)

    same = enter(settlements, report([first, second, fee, fee]), provider=PROVIDER, account="")
    overlapping = enter(settlements, report([fee, second, fee]), provider=PROVIDER, account="")

    assert same.is_known
    assert not overlapping.is_known
    assert (overlapping.new, overlapping.known, overlapping.withdrawn) == (0, 3, 0)
    assert dump(sql) == before


def test_a_row_with_other_values_takes_the_place_of_the_old_one(settlements: Settlements, sql: Sql) -> None:
    payment(sql, captured={"ch_1": "10"})
    enter(
        settlements,
        whole("po_1", [line(EntryKind.CAPTURE, "9", ref="t1", subject="ch_1")]),
        provider=PROVIDER,
        account="",
    )
    assert states(sql) == {"t1": "differs amount"}

    entered = enter(
        settlements,
        whole("po_1", [line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_1")]),
        provider=PROVIDER,
        account="",
    )

    assert (entered.new, entered.known, entered.withdrawn) == (1, 0, 1)
    assert entered.by_state == {MatchState.MATCHED: 1}
    rows = sql("SELECT gross, withdrawn_by FROM balance_entries ORDER BY id")
    assert [(str(row.gross), row.withdrawn_by) for row in rows] == [("9", entered.file_id), ("10", None)]
    assert states(sql) == {"t1": "matched"}
    found = sql("SELECT state::text, amount, net, version, exceptions FROM payouts")[0]
    assert (found.state, str(found.amount), str(found.net), found.exceptions) == ("reconciled", "10", "10", 0)
    assert found.version > 2


def test_rows_that_went_are_open_items_until_they_come_back(settlements: Settlements, sql: Sql) -> None:
    payment(sql, captured={"ch_1": "10", "ch_2": "20"})
    lines = [
        line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_1"),
        line(EntryKind.CAPTURE, "20", ref="t2", subject="ch_2"),
    ]
    enter(settlements, whole("po_1", lines), provider=PROVIDER, account="")

    less = enter(settlements, whole("po_1", lines[:1]), provider=PROVIDER, account="")

    assert (less.new, less.known, less.withdrawn) == (0, 1, 1)
    assert states(sql) == {"t1": "matched", "t2": "withdrawn"}
    assert payouts(sql) == {"po_1": "unmatched"}
    assert sql("SELECT count(*) AS n FROM balance_entries")[0].n == 2

    again = enter(
        settlements, whole("po_1", [*lines, line(EntryKind.TRANSFER, "1", ref="t3")]), provider=PROVIDER, account=""
    )

    assert (again.new, again.known) == (2, 1)
    assert states(sql) == {"t1": "matched", "t2": "matched"}
    assert payouts(sql) == {"po_1": "reconciled"}


def test_a_part_of_a_section_withdraws_nothing(settlements: Settlements, sql: Sql) -> None:
    lines = [line(EntryKind.TRANSFER, "10", ref="t1"), line(EntryKind.TRANSFER, "20", ref="t2")]
    enter(settlements, report(lines[:1]), provider=PROVIDER, account="")

    entered = enter(settlements, report(lines[1:]), provider=PROVIDER, account="")

    assert entered.withdrawn == 0
    assert sql("SELECT count(*) AS n FROM balance_entries WHERE withdrawn_by IS NULL")[0].n == 2


def test_entries_wait_for_their_payout(settlements: Settlements, sql: Sql) -> None:
    payment(sql, captured={"ch_1": "10"})
    lines = [
        line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_1", payout_ref="po_1", section="window"),
        line(EntryKind.TRANSFER, "5", ref="t2", section="window"),
    ]
    enter(settlements, report(lines), provider=PROVIDER, account="")
    assert payouts(sql) == {}

    enter(settlements, report([], payouts=[payout("po_1", "15")], sections=[]), provider=PROVIDER, account="")
    assert payouts(sql) == {"po_1": "open"}
    assert sql("SELECT entries FROM payouts")[0].entries == 1

    entered = enter(
        settlements,
        report(
            [lines[0], lines[1]._replace(payout_ref="po_1")],
            sections=[section("window", expected={"USD": Decimal(15)}, complete=False)],
        ),
        provider=PROVIDER,
        account="",
    )

    assert (entered.known, entered.withdrawn) == (2, 0)
    assert payouts(sql) == {"po_1": "reconciled"}


@pytest.mark.parametrize("order", [1, -1])
def test_a_payout_that_fails_after_it_was_paid_stays_what_it_was_made_of(
    settlements: Settlements, sql: Sql, order: int
) -> None:
    payment(sql, captured={"ch_1": "10"})
    enter(
        settlements,
        whole("po_1", [line(EntryKind.CAPTURE, "10", ref="t1", subject="ch_1")]),
        provider=PROVIDER,
        account="",
    )
    listed = [
        payout("po_1", "10", status=PayoutStatus.FAILED, failed_at=NOW, failure_code="account_closed"),
        payout("po_1", "10", status=PayoutStatus.PAID),
    ]

    for each in listed[::order]:
        enter(settlements, report([], payouts=[each], sections=[]), provider=PROVIDER, account="")

    row = sql("SELECT status::text, state::text, failure_code, failed_at FROM payouts")[0]
    assert tuple(row) == ("failed", "reconciled", "account_closed", NOW)
    assert types(sql, "payout") == ["payout.reconciled", "payout.failed"]


def test_a_payout_whose_amount_changes_does_not_add_up_any_more(settlements: Settlements, sql: Sql) -> None:
    enter(settlements, whole("po_1", [line(EntryKind.TRANSFER, "10", ref="t1")]), provider=PROVIDER, account="")
    before = sql("SELECT version FROM payouts")[0].version

    enter(settlements, report([], payouts=[payout("po_1", "9")], sections=[]), provider=PROVIDER, account="")

    row = sql("SELECT state::text, version, reconciled_at FROM payouts")[0]
    assert (row.state, row.reconciled_at) == ("open", None)
    assert row.version > before
    assert types(sql, "payout") == ["payout.reconciled", "payout.reopened"]
    assert written(sql, "payout")[-1].body["residue"] == "1.00"


def test_the_first_entry_of_an_account_only_becomes_an_earlier_one(settlements: Settlements, sql: Sql) -> None:
    for days in (5, 9, 1):
        moment = NOW - timedelta(days=days)
        enter(
            settlements,
            report([line(EntryKind.TRANSFER, "1", occurred_at=moment)], cursor=f"after {days}"),
            provider=PROVIDER,
            account="",
        )

    [row] = sql("SELECT provider, account, first_entry_at, cursor FROM settlement_accounts")
    assert tuple(row) == (PROVIDER, "", NOW - timedelta(days=9), "after 1")


@pytest.mark.parametrize("status", [PayoutStatus.CANCELED, PayoutStatus.FAILED])
def test_a_payout_that_came_to_nothing_is_neither_open_nor_reconciled(
    settlements: Settlements, sql: Sql, status: PayoutStatus
) -> None:
    listed = [payout("po_1", "10", status=status), payout("po_2", "10", status=status, itemized=False)]

    enter(settlements, report([], payouts=listed, sections=[]), provider=PROVIDER, account="")

    assert payouts(sql) == {"po_1": "not_paid", "po_2": "not_paid"}
    assert sql("SELECT count(*) AS n FROM payouts WHERE reconciled_at IS NOT NULL")[0].n == 0
    assert sql("SELECT count(*) AS n FROM events WHERE type = 'payout.reconciled'")[0].n == 0

    enter(settlements, whole("po_1", [line(EntryKind.TRANSFER, "10", ref="t1")]), provider=PROVIDER, account="")

    assert payouts(sql) == {"po_1": "reconciled", "po_2": "not_paid"}


@pytest.mark.parametrize("order", [1, -1])
def test_one_source_says_what_a_line_is_about_and_the_other_which_payout_it_is_of(
    settlements: Settlements, sql: Sql, order: int
) -> None:
    payment(sql, captured={"ch_1": "100"})
    plain = line(EntryKind.CAPTURE, "92", ref="t1", currency="EUR", payout_ref="po_1", section="all")
    rich = line(
        *(EntryKind.CAPTURE, "92"),
        ref="t1",
        subject="ch_1",
        currency="EUR",
        customer_amount=Decimal(100),
        customer_currency="USD",
    )
    enter(
        settlements,
        report([], payouts=[payout("po_1", "92", currency="EUR")], sections=[]),
        provider=PROVIDER,
        account="",
    )

    for each in [plain, rich][::order]:
        enter(settlements, report([each]), provider=PROVIDER, account="")

    assert states(sql) == {"t1": "matched"}
    assert payouts(sql) == {"po_1": "reconciled"}
    assert enter(settlements, report([plain, line(EntryKind.TRANSFER, "1")]), provider=PROVIDER, account="").known == 1


def test_a_line_that_is_of_another_kind_is_another_version(settlements: Settlements, sql: Sql) -> None:
    refund(sql, payment(sql, captured={"ch_1": "10"}), "re_1", "4")
    enter(
        settlements,
        whole("po_1", [line(EntryKind.RELEASE, "-4", ref="t1", subject="re_1")]),
        provider=PROVIDER,
        account="",
    )
    assert states(sql) == {"t1": "unknown_here"}

    entered = enter(
        settlements,
        report([line(EntryKind.REFUND, "-4", ref="t1", subject="re_1")]),
        provider=PROVIDER,
        account="",
    )
    same = enter(
        settlements,
        report([line(EntryKind.UNKNOWN, "-4", ref="t1", subject="re_1", payment_ref="pi_1")]),
        provider=PROVIDER,
        account="",
    )

    assert (entered.withdrawn, same.withdrawn) == (1, 1)
    assert states(sql) == {"t1": "matched"}
    assert payouts(sql) == {"po_1": "reconciled"}


def test_a_row_that_went_is_missed_where_another_file_had_brought_it(settlements: Settlements, sql: Sql) -> None:
    lines = [line(EntryKind.TRANSFER, "10", ref="t1"), line(EntryKind.TRANSFER, "5", ref="t2")]
    enter(settlements, report(lines), provider=PROVIDER, account="")
    enter(settlements, whole("po_1", lines), provider=PROVIDER, account="")

    less = enter(settlements, whole("po_1", lines[:1]), provider=PROVIDER, account="")

    assert (less.known, less.withdrawn) == (1, 1)
    assert states(sql) == {"t2": "withdrawn"}
    assert payouts(sql) == {"po_1": "unmatched"}


def test_an_older_listing_of_a_payout_changes_nothing(settlements: Settlements, sql: Sql) -> None:
    enter(settlements, whole("po_1", [line(EntryKind.TRANSFER, "10", ref="t1")]), provider=PROVIDER, account="")
    before = dump(sql)

    older = payout("po_1", "9", status=PayoutStatus.PENDING)
    enter(settlements, report([], payouts=[older], sections=[]), provider=PROVIDER, account="")

    assert dump(sql) == before
