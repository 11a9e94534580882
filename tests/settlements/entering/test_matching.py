"""What comes of entries beside what of ours they are about."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from checkout_service.settlement_words import EntryKind, FileState, MatchState, Subject
from checkout_service.settlements.entering import enter
from tests.conftest import Sql
from tests.money import capture
from tests.settlements.entering.reports import (
    NOW,
    PROVIDER,
    dispute,
    line,
    payment,
    payouts,
    presumed,
    refund,
    report,
    states,
    whole,
)

Settlements = psycopg.Connection[Any]


def test_a_payout_whose_lines_are_ours_is_reconciled(settlements: Settlements, sql: Sql) -> None:
    paid = payment(sql, captured={"ch_1": "100.00"})
    refund(sql, paid, "re_1", "30.00")
    dispute(sql, paid, "dp_1", "40.00")

    entered = enter(
        settlements,
        whole(
            "po_1",
            [
                line(EntryKind.CAPTURE, "100.00", ref="t1", subject="ch_1", fee="3.20"),
                line(EntryKind.REFUND, "-30.00", ref="t2", subject="re_1", fee="-0.50"),
                line(EntryKind.DISPUTE, "-40.00", ref="t3", subject="dp_1", fee="20.00"),
                line(EntryKind.FEE, "-5.00", ref="t4"),
                line(EntryKind.RESERVE, "-1.00", ref="t5"),
            ],
        ),
        provider=PROVIDER,
        account="",
    )

    assert (entered.state, entered.new, entered.known, entered.withdrawn) == (FileState.ENTERED, 5, 0, 0)
    assert entered.by_state == {MatchState.MATCHED: 3, MatchState.UNOWNED_FEE: 1}
    assert states(sql) == {"t1": "matched", "t2": "matched", "t3": "matched", "t4": "unowned_fee"}
    row = sql("SELECT * FROM payouts")[0]
    assert (row.state, row.entries, str(row.gross), str(row.fee), str(row.net), row.exceptions) == (
        *("reconciled", 5, "24.00", "22.70", "1.30"),
        0,
    )
    assert row.reconciled_at is not None
    found = sql("SELECT amount_here, currency_here, payment_id FROM settlement_matches WHERE subject = 'dispute'")[0]
    assert (str(found.amount_here), found.currency_here, found.payment_id) == ("-40.00", "USD", paid)
    assert sql("SELECT count(*) AS n FROM settlement_lines")[0].n == 0


@pytest.mark.parametrize(
    ("gross", "more", "expected"),
    [
        ("100.00", {}, "matched"),
        ("100", {}, "matched"),
        ("99.99", {}, "differs amount"),
        ("-100.00", {}, "differs amount"),
        ("92.10", {"currency": "EUR"}, "matched"),
        ("92.10", {"currency": "EUR", "customer_amount": "100.00", "customer_currency": "USD"}, "matched"),
        ("92.10", {"currency": "EUR", "customer_amount": "99.00", "customer_currency": "USD"}, "differs amount"),
        ("92.10", {"currency": "EUR", "customer_amount": "80.00", "customer_currency": "GBP"}, "differs currency"),
        ("100.00", {"occurred_at": NOW + timedelta(days=32)}, "differs date"),
        ("99.00", {"occurred_at": NOW - timedelta(days=32)}, "differs amount date"),
        ("100.00", {"occurred_at": NOW - timedelta(days=30)}, "matched"),
    ],
)
def test_a_line_is_compared_by_amount_currency_and_date(
    settlements: Settlements, sql: Sql, gross: str, more: dict[str, Any], expected: str
) -> None:
    payment(sql, captured={"ch_1": "100.00"})
    if "customer_amount" in more:
        more = more | {"customer_amount": Decimal(more["customer_amount"])}

    enter(
        settlements,
        report([line(EntryKind.CAPTURE, gross, ref="t1", subject="ch_1", **more)]),
        provider=PROVIDER,
        account="",
    )

    assert states(sql) == {"t1": expected}


def test_a_partial_capture_and_what_was_released_of_it_come_to_what_was_captured(
    settlements: Settlements, sql: Sql
) -> None:
    payment(sql, captured={"ch_1": "60.00"})
    enter(
        settlements,
        report([line(EntryKind.CAPTURE, "100.00", ref="t1", subject="ch_1")]),
        provider=PROVIDER,
        account="",
    )
    assert states(sql) == {"t1": "differs amount"}

    enter(
        settlements,
        report([line(EntryKind.RELEASE, "-40.00", ref="t2", subject="ch_1")]),
        provider=PROVIDER,
        account="",
    )

    assert states(sql) == {"t1": "matched", "t2": "matched"}
    assert sql("SELECT count(*) AS n FROM settlement_matches WHERE undone_at IS NOT NULL")[0].n == 1


def test_presumed_money_is_matched_by_the_attempt_or_by_the_payment(settlements: Settlements, sql: Sql) -> None:
    presumed(sql, payment(sql, provider="adyen"), "100.00", ref="psp_1")
    presumed(sql, payment(sql, provider="adyen", ref="tr_1"), "50.00")

    enter(
        settlements,
        report(
            [
                line(EntryKind.CAPTURE, "100.00", ref="t1", subject="cap_nobody_named", payment_ref="psp_1"),
                line(EntryKind.CAPTURE, "50.00", ref="t2", subject="tr_1"),
            ]
        ),
        provider="adyen",
        account="",
    )

    assert states(sql) == {"t1": "matched", "t2": "matched"}


def test_presumed_money_gives_way_to_a_named_capture(settlements: Settlements, sql: Sql) -> None:
    paid = payment(sql, provider="adyen")
    presumed(sql, paid, "100.00", ref="psp_1")
    capture(sql, paid, "cap_1", "60.00", attempt_ref="psp_1")

    enter(
        settlements,
        report([line(EntryKind.CAPTURE, "60.00", ref="t1", subject="", payment_ref="psp_1")]),
        provider="adyen",
        account="",
    )

    assert states(sql) == {"t1": "matched"}
    assert sql("SELECT subject_id FROM settlement_matches")[0].subject_id == sql("SELECT id FROM captures")[0].id


def test_a_line_that_may_be_about_several_captures_is_not_guessed(settlements: Settlements, sql: Sql) -> None:
    paid = payment(sql, captured={"c_1": "50.00", "c_2": "50.00"}, ref="pi_1")

    enter(
        settlements,
        report([line(EntryKind.CAPTURE, "50.00", ref="t1", payment_ref="pi_1")]),
        provider=PROVIDER,
        account="",
    )

    found = sql("SELECT state::text, detail, payment_id, subject_id FROM settlement_matches")[0]
    assert tuple(found) == ("unknown_here", "several of this payment may be meant", paid, None)


def test_what_is_not_ours_and_what_nobody_knows_is_shown_and_keeps_its_payout_open(
    settlements: Settlements, sql: Sql
) -> None:
    payment(sql, captured={"ch_1": "10.00"}, provider="adyen")

    enter(
        settlements,
        whole(
            "po_1",
            [
                line(EntryKind.CAPTURE, "10.00", ref="t1", subject="ch_1"),
                line(EntryKind.UNKNOWN, "1.00", ref="t2", provider_type="climate_order"),
                line(EntryKind.TRANSFER, "1.00", ref="t3"),
            ],
        ),
        provider=PROVIDER,
        account="",
    )

    assert states(sql) == {"t1": "unknown_here", "t2": "unknown_here"}
    assert payouts(sql) == {"po_1": "unmatched"}
    assert sql("SELECT detail FROM settlement_matches ORDER BY detail")[1].detail == "type climate_order"
    assert sql("SELECT exceptions FROM payouts")[0].exceptions == 2


def test_a_line_is_tried_again_once_ours_is_here(settlements: Settlements, sql: Sql) -> None:
    enter(
        settlements,
        whole("po_1", [line(EntryKind.CAPTURE, "100.00", ref="t1", subject="ch_1")]),
        provider=PROVIDER,
        account="",
    )
    assert payouts(sql) == {"po_1": "unmatched"}
    payment(sql, captured={"ch_1": "100.00"})

    enter(settlements, report([line(EntryKind.TRANSFER, "1", ref="t2")]), provider=PROVIDER, account="")

    assert states(sql) == {"t1": "matched"}
    assert payouts(sql) == {"po_1": "reconciled"}


@pytest.mark.parametrize(
    ("status", "lines", "expected"),
    [
        ("succeeded", ["-30"], "matched"),
        ("processing", ["-30"], "matched"),
        ("failed", ["-30"], "matched"),
        ("failed", ["-30", "30"], "matched"),
        ("succeeded", ["-30", "30"], "differs amount"),
        ("succeeded", ["30"], "differs amount"),
    ],
)
def test_a_refund_that_came_back_comes_to_nothing(
    settlements: Settlements, sql: Sql, status: str, lines: list[str], expected: str
) -> None:
    refund(sql, payment(sql, captured={"ch_1": "100.00"}), "re_1", "30.00", status=status)
    kinds = [EntryKind.REFUND, EntryKind.REFUND_FAILURE]

    enter(
        settlements,
        report([line(kind, gross, subject="re_1") for kind, gross in zip(kinds, lines, strict=False)]),
        provider=PROVIDER,
        account="",
    )

    assert set(states(sql).values()) == {expected}


@pytest.mark.parametrize(
    ("step", "lines", "expected"),
    [
        (1, ["-40"], "matched"),
        (2, ["-40", "40"], "matched"),
        (2, ["-40"], "matched"),
        (1, ["-40", "40"], "differs amount"),
        (1, ["-41"], "differs amount"),
        (0, ["-40"], "matched"),
    ],
)
def test_a_dispute_and_what_it_gave_back_are_one(
    settlements: Settlements, sql: Sql, step: int, lines: list[str], expected: str
) -> None:
    dispute(sql, payment(sql, captured={"ch_1": "100.00"}), "dp_1", "40.00", step=step)
    kinds = [EntryKind.DISPUTE, EntryKind.DISPUTE_REVERSAL]

    enter(
        settlements,
        report([line(kind, gross, subject="dp_1", fee="15") for kind, gross in zip(kinds, lines, strict=False)]),
        provider=PROVIDER,
        account="",
    )

    assert set(states(sql).values()) == {expected}


def test_a_fee_of_a_payment_is_matched_with_it_and_adds_to_no_capture(settlements: Settlements, sql: Sql) -> None:
    paid = payment(sql, captured={"ch_1": "100.00"}, ref="pi_1")

    enter(
        settlements,
        report(
            [
                line(EntryKind.CAPTURE, "100", ref="t1", subject="ch_1"),
                line(EntryKind.FEE, "-2", ref="t2", payment_ref="pi_1"),
                line(EntryKind.FEE, "-2", ref="t3", subject="ch_1", about=Subject.CAPTURE),
            ]
        ),
        provider=PROVIDER,
        account="",
    )

    assert states(sql) == {"t1": "matched", "t2": "matched", "t3": "matched"}
    assert {row.payment_id for row in sql("SELECT payment_id FROM settlement_matches")} == {paid}
