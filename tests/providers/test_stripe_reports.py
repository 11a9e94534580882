"""Stripe's report files: what a reconciliation and a file of payouts say, whatever the order and form of columns."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout_service.providers.adapters.stripe.report_api import line_of
from checkout_service.providers.reports import ReportLine, ReportPayout, UnreadableReportError
from checkout_service.settlement_words import EntryKind, PayoutStatus, Subject
from tests.providers.stripe_reports import (
    PAYOUTS,
    RECONCILIATION,
    Row,
    csv_of,
    movements,
    read_bytes,
    read_rows,
    residues,
    rows_of,
)

PAYMENT = "6a1f0c3f-5f0e-5d7c-9f3b-1d2e4c5a6b7d"


def payouts() -> list[ReportPayout]:
    return read_bytes(PAYOUTS.read_bytes())[1].payouts


def without_place(lines: list[ReportLine]) -> list[ReportLine]:
    return sorted(line._replace(line=0) for line in lines)


def test_each_line_of_a_reconciliation_says_what_it_is_and_what_of_ours_it_names() -> None:
    lines, report = read_bytes(RECONCILIATION.read_bytes(), account="")

    assert [(line.line, line.entry_ref, line.kind, line.about, line.subject_ref) for line in lines] == [
        (2, "txn_made1", EntryKind.CAPTURE, Subject.CAPTURE, "ch_made1"),
        (3, "txn_made2", EntryKind.CAPTURE, Subject.CAPTURE, "ch_made2"),
        (4, "txn_made3", EntryKind.REFUND, Subject.REFUND, "re_made1"),
        (5, "txn_made4", EntryKind.DISPUTE, Subject.DISPUTE, "du_made1"),
        (6, "txn_made5", EntryKind.FEE, Subject.NONE, ""),
    ]
    assert [(line.gross, line.fee, line.net, line.currency) for line in lines] == [
        (Decimal("100.00"), Decimal("3.20"), Decimal("96.80"), "EUR"),
        (Decimal("46.10"), Decimal("2.05"), Decimal("44.05"), "EUR"),
        (Decimal("-30.00"), Decimal("0.00"), Decimal("-30.00"), "EUR"),
        (Decimal("-40.00"), Decimal("20.00"), Decimal("-60.00"), "EUR"),
        (Decimal("-1.15"), Decimal("0.00"), Decimal("-1.15"), "EUR"),
    ]
    converted = lines[1]
    assert (converted.customer_amount, converted.customer_currency) == (Decimal("50.00"), "USD")
    assert converted.payment_ref == "pi_made2"
    assert {line.payout_ref for line in lines} == {"po_made1"}
    assert not any(line.is_made or line.account for line in lines)
    assert (report.form, report.name) == ("payout_reconciliation.itemized", "report.csv")
    assert len(report.columns) == 19
    assert len(report.sha256) == 32
    assert [(section.name, section.of_payout, section.complete) for section in report.sections] == [
        ("po_made1", "po_made1", True)
    ]
    assert not report.faults


def test_what_customers_wrote_or_are_called_is_in_no_line() -> None:
    rows = rows_of(RECONCILIATION)
    for row in rows:
        row |= {"customer_email": "ada@shop.test", "customer_name": "Ada Lovelace"}

    lines, _ = read_rows(rows)

    assert [line.description for line in lines] == ["", "", "", "", "Radar (2026-11-24): Standard"]
    assert "Ada" not in repr(lines)
    assert "T-100" not in repr(lines)


def test_a_fee_of_a_purchase_is_not_described_either() -> None:
    (row,) = rows_of(RECONCILIATION)[-1:]

    for names in ({"charge_id": "ch_1"}, {"payment_intent_id": "pi_1"}, {"source_id": "ch_1"}):
        ((line,), _) = read_rows([row | names])

        assert (line.kind, line.about, line.description) == (EntryKind.FEE, Subject.NONE, "")


def test_times_are_those_of_utc_though_the_plain_columns_are_days_and_years_away() -> None:
    (row,) = rows_of(RECONCILIATION)[:1]
    row |= {"created_utc": "2025-12-31 23:30:00", "created": "2026-01-01 00:30:00"}
    row |= {"available_on_utc": "2025-12-31 23:00:00", "available_on": "2026-01-01 00:00:00"}

    ((line,), _) = read_rows([row])

    assert line.occurred_at == datetime(2025, 12, 31, 23, 30, tzinfo=UTC)
    assert line.occurred_local == "2026-01-01 00:30:00"
    assert line.available_on == date(2025, 12, 31)
    ((plain,), _) = read_rows([row], [name for name in row if name not in {"created", "available_on_utc"}])
    assert (plain.occurred_local, plain.available_on) == ("2025-12-31 23:30:00", None)


def test_the_file_and_the_api_give_the_same_entries_for_the_same_money() -> None:
    whole = {
        "ch_made1": {"object": "charge", "amount": 10000, "currency": "eur", "payment_intent": "pi_made1"},
        "ch_made2": {"object": "charge", "amount": 5000, "currency": "usd", "payment_intent": "pi_made2"},
        "re_made1": {"object": "refund", "amount": 3000, "currency": "eur", "payment_intent": "pi_made1"},
        "du_made1": {"object": "dispute", "amount": 4000, "currency": "eur", "payment_intent": "pi_made0"},
    }
    behind = {"re_made1": "ch_made1", "du_made1": "ch_made0"}
    of_api = []
    for found in movements():
        if found["source"] in whole:
            ref = found["source"]
            found["source"] = {"id": ref, "charge": behind.get(ref), "metadata": {}} | whole[ref]
        if found["type"] != "payout":
            of_api.append(line_of(found, 1, payout_ref="po_made1"))

    of_file, _ = read_bytes(RECONCILIATION.read_bytes())

    # The file has no rate, and its times are in the zone that it was requested in as well.
    same = {"line": 0, "occurred_local": "", "rate": None}
    assert sorted(line._replace(**same) for line in of_api) == sorted(line._replace(**same) for line in of_file)
    assert next(line.rate for line in of_api if line.entry_ref == "txn_made2") == Decimal("0.922")


def test_a_purchase_of_ours_is_named_by_our_own_id_alone() -> None:
    charge, _, refund, dispute, _ = rows_of(RECONCILIATION)
    ours = {"payment_metadata[payment_id]": PAYMENT, "refund_metadata[payment_id]": PAYMENT}
    other = {"payment_metadata[payment_id]": "T-1001", "refund_metadata[payment_id]": PAYMENT.upper()}

    lines, _ = read_rows([row | ours for row in (charge, refund, dispute)])
    others, _ = read_rows([row | other for row in (charge, refund, dispute)])

    assert [line.merchant_ref for line in lines] == [PAYMENT, PAYMENT, ""]
    assert [line.merchant_ref for line in others] == ["", "", ""]


def _fewer(rows: list[Row]) -> bytes:
    read = {
        *("automatic_payout_id", "balance_transaction_id", "created_utc", "currency", "gross", "fee", "net"),
        *("reporting_category", "source_id", "created", "available_on_utc", "charge_id", "payment_intent_id"),
        *("customer_facing_amount", "customer_facing_currency", "description"),
    }
    return csv_of(rows, [name for name in rows[0] if name in read])


def _more(rows: list[Row]) -> bytes:
    more = {"trace_id": "", "trace_id_status": "pending", "payout_reference_token": "x", "regulatory_tag": ""}
    return csv_of([row | more | {"shipping_address_line1": 'a "b",\r\n2, c'} for row in rows])


def _taxed(rows: list[Row]) -> bytes:
    """The fee in two columns: what Stripe charges, and the tax that it withholds."""
    parts = [row | {"fee_net_of_withheld_tax": row["fee"], "withheld_tax": "0.00"} for row in rows]
    return csv_of(parts, [name for name in parts[0] if name != "fee"])


def _comma(rows: list[Row]) -> bytes:
    amounts = ("gross", "fee", "net", "customer_facing_amount")
    return csv_of([row | {name: row[name].replace(".", ",") for name in amounts} for row in rows])


FORMS: dict[str, Callable[[list[Row]], bytes]] = {
    "a mark of the byte order": lambda rows: b"\xef\xbb\xbf" + csv_of(rows),
    "line feeds alone": lambda rows: csv_of(rows, end="\n"),
    "no end of the last line": lambda rows: csv_of(rows).rstrip(),
    "columns in another order": lambda rows: csv_of(rows, sorted(rows[0])),
    "fewer columns": _fewer,
    "more columns, and line ends in fields": _more,
    "the fee in two parts": _taxed,
    "commas for decimals": _comma,
    "currencies in capitals": lambda rows: csv_of([row | {"currency": "EUR"} for row in rows]),
    "blank lines": lambda rows: csv_of(rows).replace(b"\r\npo_", b"\r\n\r\npo_"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file_gives_the_same_lines(form: str) -> None:
    expected, _ = read_bytes(RECONCILIATION.read_bytes())

    lines, report = read_bytes(FORMS[form](rows_of(RECONCILIATION)))

    assert without_place(lines) == without_place(expected)
    assert not report.faults
    assert residues(lines, report, payouts()) == {}


@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 5), max_size=3))
def test_any_order_of_rows_and_columns_and_any_split_give_the_same_lines(seed: int, cuts: list[int]) -> None:
    rows = rows_of(RECONCILIATION)
    shuffled, columns = random.Random(seed), list(rows[0])
    shuffled.shuffle(rows)
    shuffled.shuffle(columns)
    bounds = [0, *sorted(cuts), len(rows)]
    lines: list[ReportLine] = []
    for start, end in pairwise(bounds):
        if start < end:
            lines += read_rows(rows[start:end], columns)[0]

    assert without_place(lines) == without_place(read_bytes(RECONCILIATION.read_bytes())[0])


def test_a_line_is_named_by_where_its_row_begins() -> None:
    rows = rows_of(RECONCILIATION)
    rows[0] |= {"description": "a\nb\nc"}
    rows[2] |= {"gross": "x"}
    report_bytes = csv_of(rows, end="\n")

    lines, _ = read_bytes(csv_of(rows[:2], end="\n"))
    assert [line.line for line in lines] == [2, 5]
    with pytest.raises(ValueError, match=r"^line 6: gross is no amount"):
        read_bytes(report_bytes)


@pytest.mark.parametrize("number", range(5))
def test_one_cent_more_in_any_line_is_a_residue(number: int) -> None:
    rows = rows_of(RECONCILIATION)
    cent = Decimal("0.01")
    rows[number] |= {name: str(Decimal(rows[number][name]) + cent) for name in ("gross", "net")}

    lines, report = read_rows(rows)

    assert not report.faults
    assert residues(lines, report, payouts()) == {"po_made1": cent}


@pytest.mark.parametrize("column", ["gross", "fee", "net"])
def test_one_cent_in_one_amount_alone_is_a_fault(column: str) -> None:
    rows = rows_of(RECONCILIATION)
    rows[1] |= {column: str(Decimal(rows[1][column]) + Decimal("0.01"))}

    lines, report = read_rows(rows)

    (fault,) = report.faults
    assert fault.startswith("line 3: net ")
    assert (residues(lines, report, payouts()) != {}) is (column == "net")


@pytest.mark.parametrize("number", range(5))
def test_a_line_that_is_there_twice_is_a_fault_and_a_residue(number: int) -> None:
    rows = rows_of(RECONCILIATION)
    rows.append(rows[number])

    lines, report = read_rows(rows)

    assert report.faults == [f"line 7: the balance_transaction_id of line {number + 2} again"]
    assert residues(lines, report, payouts()) == {"po_made1": Decimal(rows[number]["net"])}


@pytest.mark.parametrize("number", range(5))
def test_a_line_that_is_lost_is_a_residue(number: int) -> None:
    rows = rows_of(RECONCILIATION)
    lost = rows.pop(number)

    lines, report = read_rows(rows)

    assert not report.faults
    assert residues(lines, report, payouts()) == {"po_made1": -Decimal(lost["net"])}


def test_the_payouts_own_row_is_the_payout_and_no_line() -> None:
    rows = rows_of(RECONCILIATION)
    own = rows[-1] | {
        "balance_transaction_id": "txn_made6",
        "reporting_category": "payout",
        "source_id": "po_made1",
        "gross": "-49.70",
        "fee": "0.00",
        "net": "-49.70",
        "automatic_payout_effective_at_utc": "2026-11-27 00:00:00",
    }

    lines, report = read_rows([own, *rows], list(own))

    assert len(lines) == 5
    (payout,) = report.payouts
    assert (payout.payout_ref, payout.amount, payout.currency) == ("po_made1", Decimal("49.70"), "EUR")
    assert (payout.status, payout.arrival_on) == (PayoutStatus.PENDING, date(2026, 11, 27))
    assert residues(lines, report, report.payouts) == {}


def test_sections_are_those_of_the_payouts_in_whatever_order_their_rows_come() -> None:
    rows = rows_of(RECONCILIATION)
    other = [
        row | {"automatic_payout_id": "po_other", "balance_transaction_id": f"txn_{number}"}
        for number, row in enumerate(rows)
    ]
    mixed = [row for pair in zip(rows, other, strict=True) for row in pair]

    lines, report = read_rows(mixed)

    assert [section.name for section in report.sections] == ["po_made1", "po_other"]
    assert [line.section for line in lines] == ["po_made1", "po_other"] * 5


def test_a_file_of_payouts_has_their_amounts_and_how_far_they_are() -> None:
    lines, report = read_bytes(PAYOUTS.read_bytes())

    assert lines == []
    assert report.form == "payouts.itemized"
    assert report.sections == []
    assert report.faults == []
    assert len(report.sha256) == 32
    first, failed, debited = report.payouts
    assert (first.payout_ref, first.amount, first.status) == ("po_made1", Decimal("49.70"), PayoutStatus.IN_TRANSIT)
    assert (first.currency, first.arrival_on, first.failed_at) == ("EUR", date(2026, 11, 27), None)
    assert (failed.payout_ref, failed.amount, failed.status) == ("po_made0", Decimal("80.00"), PayoutStatus.FAILED)
    assert failed.failed_at == datetime(2026, 11, 24, 14, 5, tzinfo=UTC)
    assert (debited.payout_ref, debited.amount, debited.status) == ("po_madeN", Decimal("-12.30"), PayoutStatus.PAID)


def test_the_rows_of_a_payout_are_one_in_any_order_and_alone() -> None:
    _, *rows = rows_of(PAYOUTS)
    _, expected = read_rows(rows)

    _, reverse = read_rows(rows[::-1])
    _, alone = read_rows([row for row in rows if row["reporting_category"] == "payout_reversal"])

    by_ref = {payout.payout_ref: payout for payout in expected.payouts}
    assert {payout.payout_ref: payout for payout in reverse.payouts} == by_ref
    assert alone.payouts == [by_ref["po_made0"]]


def test_a_payout_is_as_far_as_the_farther_of_its_rows_says() -> None:
    rows = rows_of(PAYOUTS)[1:3]
    rows[0] |= {"payout_status": "paid"}

    for order in (rows, rows[::-1]):
        _, report = read_rows(order)

        assert [(one.status, one.amount) for one in report.payouts] == [(PayoutStatus.FAILED, Decimal("80.00"))]
        assert report.faults == []


def test_a_payout_that_is_paid_did_not_fail_though_another_one_took_it_back() -> None:
    (row,) = rows_of(PAYOUTS)[1:2]

    _, report = read_rows([row | {"payout_status": "paid"}])

    assert [(one.status, one.failed_at) for one in report.payouts] == [(PayoutStatus.PAID, None)]


def test_what_banks_may_show_of_a_payout_is_read_once_the_bank_gave_it() -> None:
    (row,) = rows_of(PAYOUTS)[:1]
    traced = row | {"trace_id": "2026-TRACE", "payout_statement_descriptor": "TULIP SHOP"}

    for status, reference in (("supported", "2026-TRACE"), ("pending", ""), ("unsupported", "")):
        _, report = read_rows([traced | {"trace_id_status": status}])

        assert [(one.bank_reference, one.descriptor) for one in report.payouts] == [(reference, "TULIP SHOP")]


CONTRADICTIONS: dict[str, tuple[Callable[[list[Row]], object], str]] = {
    "one cent": (lambda rows: rows[0].update(net="-49.69"), "line 2: net -49.69 is not gross -49.70 less fee 0.00"),
    "a cent came back less": (lambda rows: rows[2].update(gross="79.99", net="79.99"), "line 4: what came back is not"),
    "a row twice": (lambda rows: rows.append(rows[0]), "line 6: a payout that line 2 has already"),
    "a status that nobody knows": (lambda rows: rows[0].update(payout_status="posted"), "line 2: its payout_status"),
    "no movement of a payout": (lambda rows: rows[0].update(reporting_category="charge"), "line 2: its reporting_cat"),
    "a sign that is turned": (lambda rows: rows[2].update(gross="-80.00", net="-80.00"), "line 4: what came back is"),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_payouts_that_contradict_themselves_are_a_fault(what: str) -> None:
    change, fault = CONTRADICTIONS[what]
    rows = rows_of(PAYOUTS)
    change(rows)

    _, report = read_rows(rows)

    assert report.faults[0].startswith(fault)


def test_an_account_is_refused_since_the_same_movements_would_be_others_under_it() -> None:
    for path in (RECONCILIATION, PAYOUTS):
        with pytest.raises(UnreadableReportError, match="none can be given"):
            read_bytes(path.read_bytes(), account="acct_1MADE")
