"""Currencies of no decimals and of three: proved, matched and shown to their smallest unit, wherever money is shown.

Settled money has two decimals, or as many as its currency has, or as it needs (``show_exactly``): so yen have two.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from checkout_service.settlement_words import EntryKind, FileState
from checkout_service.settlements.amounts import show_exactly
from checkout_service.settlements.entering import enter
from tests.conftest import Customer, Servers, Sql
from tests.settlements.commands import Commands, run
from tests.settlements.entering.reports import (
    PROVIDER,
    connect,
    line,
    payment,
    payout,
    payouts,
    report,
    section,
    states,
)

__all__ = ["run"]  # a fixture


@pytest.fixture
def settlements(servers: Servers) -> Iterator[psycopg.Connection[Any]]:
    """Of the role that writes settled money, in autocommit."""
    with connect(servers) as connection:
        yield connection


@pytest.mark.parametrize(
    ("currency", "gross", "fee", "net", "unit"),
    [
        ("JPY", "1000.00", "36.00", "964.00", "1.00"),
        ("KWD", "12.345", "0.456", "11.889", "0.001"),
        ("BHD", "10000000.001", "0.007", "9999999.994", "0.001"),
    ],
)
def test_a_smallest_unit_counts_and_is_shown(
    run: Commands,
    settlements: psycopg.Connection[Any],
    reader: Customer,
    sql: Sql,
    currency: str,
    gross: str,
    fee: str,
    net: str,
    unit: str,
) -> None:
    one = Decimal(unit)
    payment(sql, captured={"ch_1": gross}, amount=gross, currency=currency)
    own = line(EntryKind.CAPTURE, gross, ref="t1", subject="ch_1", fee=fee, currency=currency)
    listed = payout("po_1", net, currency=currency)
    own = own._replace(section="po_1", payout_ref="po_1")

    # Proof: one unit less than the payout, and none of it is entered.
    less = own._replace(gross=own.gross - one, net=own.net - one)
    sections = [section("po_1", of_payout="po_1")]
    held = enter(
        settlements, report([less], payouts=[listed], sections=sections), provider=PROVIDER, account="", operator="ada"
    )
    assert held.state is FileState.HELD
    [residue] = held.residues
    assert (residue.currency, residue.found - residue.expected if residue.expected else None) == (currency, -one)
    shown = run("exceptions", "--kind", "held").stdout
    assert f"po_1 {currency}: expected {net}, found {show_exactly(less.net, currency)} (-{unit}): " in shown

    # A match: what came is ours to the unit, and what is one less differs.
    entered = enter(
        settlements, report([own], payouts=[listed], sections=sections), provider=PROVIDER, account="", operator="ada"
    )
    assert entered.state is FileState.ENTERED
    payment(sql, captured={"ch_2": gross}, amount=gross, currency=currency)
    other = less._replace(entry_ref="t2", subject_ref="ch_2", section="po_2", payout_ref="po_2")
    second = payout("po_2", other.net, currency=currency)
    enter(settlements, report([other], payouts=[second]), provider=PROVIDER, account="")
    assert states(sql) == {"t1": "matched", "t2": "differs amount"}
    assert payouts(sql) == {"po_1": "reconciled", "po_2": "unmatched"}
    differs = run("exceptions", "--kind", "differs").stdout
    assert f"there {show_exactly(less.gross, currency)} {currency}, here {gross} {currency}" in differs

    # The payout: at the command, the API, and in files.
    page = run("show", "po_1").stdout
    assert f"  {net} {currency}: paid there, reconciled here\n" in page
    assert f"gross {gross} {currency}, fee {fee} {currency}, net {net} {currency}, residue 0." in page
    fees = run("fees", "--month", f"{own.occurred_at:%Y-%m}").stdout
    assert f"  {show_exactly(2 * Decimal(fee), currency)} {currency}  of 2 entries" in fees
    expected = {"gross": gross, "fee": fee, "net": net, "currency": currency}
    for path, name in (("payouts", "po_1"), ("balance-entries", "t1")):
        [found] = [row for row in reader.get(f"/api/admin/{path}").json["data"] if row["reference"] == name]
        assert {key: found[key] for key in expected} == expected
        text = reader.get(f"/api/admin/{path}.csv").text
        [row] = [row for row in csv.DictReader(io.StringIO(text, newline="")) if row["reference"] == name]
        assert {key: row[key] for key in expected} == expected
