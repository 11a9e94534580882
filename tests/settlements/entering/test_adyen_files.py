"""Adyen's files as they are entered: matched by names of captures or authorisations, held where a cent is missing."""

from __future__ import annotations

import io
from typing import Any

import psycopg

from checkout_service.providers.adapters.adyen.reports import read_report
from checkout_service.settlement_words import FileState, MatchState
from checkout_service.settlements.entered import Entered
from checkout_service.settlements.entering import enter
from tests.conftest import ROOT, Sql
from tests.providers.adyen_reports import VARIANTS, csv_of, payout, row, settled
from tests.settlements.entering.reports import dispute, payment, presumed, refund

Settlements = psycopg.Connection[Any]
SAMPLE = ROOT / "tests/providers/report_samples/adyen-settlement_detail_report_batch_41.classic-column-order.csv"


def entered(settlements: Settlements, content: bytes, name: str = "report.csv") -> Entered:
    report = read_report(io.BytesIO(content), name=name, account="")
    return enter(settlements, report, provider="adyen", account="")


def test_a_batch_is_reconciled_by_what_its_webhooks_named(settlements: Settlements, sql: Sql) -> None:
    named = {"provider": "adyen", "currency": "EUR"}
    first = payment(sql, captured={"MADEUP0000000011": "100.00"}, attempt_ref="MADEUP0000000001", **named)
    refund(sql, first, "MADEUP0000000021", "30.00")
    payment(sql, captured={"MADEUP0000000013": "50.00"}, amount="50.00", provider="adyen", currency="USD")
    lost = payment(sql, captured={"C4": "40.00"}, amount="40.00", **named)
    dispute(sql, lost, "MADEUP0000000031", "40.00")
    # Of a direct method, and in automatic capture: no webhook names a capture.
    direct = payment(sql, amount="25.00", **named)
    presumed(sql, direct, "25.00", ref="MADEUP0000000002")

    result = entered(settlements, SAMPLE.read_bytes())

    assert (result.state, result.new, len(result.faults), len(result.residues)) == (FileState.ENTERED, 6, 0, 0)
    assert result.by_state == {MatchState.MATCHED: 5, MatchState.UNOWNED_FEE: 1}
    (paid,) = sql("SELECT account, payout_ref, state::text, net, amount, bank_reference FROM payouts")
    assert (paid.account, paid.payout_ref, paid.state, str(paid.net)) == (
        "TulipShopECOM",
        "41 EUR",
        "reconciled",
        "90.09",
    )


def test_a_report_that_is_made_anew_with_more_columns_changes_nothing(settlements: Settlements, sql: Sql) -> None:
    fees = [row("Fee", net_debit_nc="0.50", modification_reference="Fees")] * 2
    rows = [settled(1), settled(2), *fees, payout("196.80")]
    assert entered(settlements, csv_of(rows)).new == 4

    for columns in VARIANTS.values():
        again = entered(settlements, csv_of(rows[::-1], columns))
        assert (again.state, again.new, again.withdrawn) == (FileState.ENTERED, 0, 0)
    assert sql("SELECT count(*) AS n FROM balance_entries")[0].n == 4


def test_one_that_differs_is_a_new_version(settlements: Settlements, sql: Sql) -> None:
    entered(settlements, csv_of([settled(1), settled(2), payout("197.80")]))
    less = entered(settlements, csv_of([settled(1), payout("98.90")]))

    assert (less.state, less.new, less.withdrawn) == (FileState.ENTERED, 0, 1)
    assert [str(each.amount) for each in sql("SELECT amount FROM payouts")] == ["98.90"]


def test_a_cent_a_line_twice_and_one_too_few_are_held(settlements: Settlements, sql: Sql) -> None:
    rows = [settled(1), settled(2), payout("197.80")]
    cent = [settled(1, "100.00", "98.91"), *rows[1:]]
    for wrong in (cent, [rows[0], *rows], rows[1:], rows[:-1]):
        assert entered(settlements, csv_of(wrong)).state is FileState.HELD
    assert sql("SELECT FROM balance_entries") == []

    assert entered(settlements, csv_of(rows)).state is FileState.ENTERED


def test_a_batch_that_is_issued_again_with_another_currency_keeps_its_first(settlements: Settlements, sql: Sql) -> None:
    euros = [settled(1), payout("98.90")]
    entered(settlements, csv_of(euros))
    dollars = {"gross_currency": "USD", "net_currency": "USD"}
    more = [settled(2, "20", "20", **dollars), payout("20", net_currency="USD", modification_reference="dollars")]
    again = entered(settlements, csv_of([*euros, *more]))

    assert (again.state, again.new, again.known, again.withdrawn) == (FileState.ENTERED, 1, 1, 0)
    assert [row.payout_ref for row in sql("SELECT payout_ref FROM payouts ORDER BY payout_ref")] == ["41 EUR", "41 USD"]
