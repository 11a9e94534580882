"""Adyen's settlement details report: columns by name, money by which column is filled, and each batch its own proof."""

from __future__ import annotations

import io
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout_service.providers.adapters.adyen.reports import MOST_FAULTS, read_report
from checkout_service.providers.adapters.adyen.reports_kinds import TYPES
from checkout_service.settlement_words import EntryKind, PayoutStatus, Subject
from tests.conftest import ROOT
from tests.providers.adyen_reports import SHOP, VARIANTS, csv_of, money, payout, read, residues, row, settled

SAMPLES = ROOT / "tests/providers/report_samples"
BATCH_41 = SAMPLES / "adyen-settlement_detail_report_batch_41.classic-column-order.csv"
BATCH_42 = SAMPLES / "adyen-settlement_detail_report_batch_42.other-column-order-negative-batch.csv"


def test_a_batch_of_the_classic_columns_is_read() -> None:
    report, lines = read(BATCH_41)

    assert [money(line)[:4] for line in lines] == [
        ("capture", Decimal(100), Decimal("1.10"), Decimal("98.90")),
        ("capture", Decimal(25), Decimal("0.29"), Decimal("24.71")),
        ("capture", Decimal(46), Decimal("0.70"), Decimal("45.30")),
        ("refund", Decimal(-30), Decimal(0), Decimal(-30)),
        ("dispute", Decimal(-40), Decimal("7.50"), Decimal("-47.50")),
        ("fee", Decimal("-1.32"), Decimal(0), Decimal("-1.32")),
    ]
    assert {line.currency for line in lines} == {"EUR"}
    dollars = lines[2]
    assert (dollars.customer_amount, dollars.customer_currency, dollars.rate) == (50, "USD", Decimal("0.9200"))
    refund, dispute = lines[3], lines[4]
    assert (refund.about, refund.subject_ref, refund.payment_ref) == (
        Subject.REFUND,
        "MADEUP0000000021",
        "MADEUP0000000001",
    )
    assert (dispute.about, dispute.subject_ref, dispute.customer_amount) == (Subject.DISPUTE, "MADEUP0000000031", -40)
    assert lines[0].merchant_ref == "T-2001"
    assert (lines[0].occurred_at.isoformat(), lines[0].occurred_local) == (
        "2026-11-23T08:12:44+00:00",
        "2026-11-23 09:12:44 CET",
    )
    assert [line.description for line in lines] == [*[""] * 5, "Transaction Fees November 2026"]
    (paid,), (section,) = report.payouts, report.sections
    assert (paid.account, paid.payout_ref, paid.amount, paid.currency) == (
        "TulipShopECOM",
        "41 EUR",
        Decimal("90.09"),
        "EUR",
    )
    assert (paid.status, paid.bank_reference) == (PayoutStatus.PAID, "TX900000000041XT batch 41, TulipShopECOM")
    assert paid.issued_at is not None
    assert (section.account, section.name, section.of_payout, section.complete) == (
        "TulipShopECOM",
        "batch 41 EUR",
        "41 EUR",
        True,
    )
    assert (residues(report, lines), report.faults) == ({}, [])
    assert len(report.columns) == 30


def test_a_batch_that_pays_out_nothing_has_a_payout_of_nothing() -> None:
    report, lines = read(BATCH_42)

    assert [line.kind.value for line in lines] == ["capture", "reserve", "fee", "transfer"]
    assert (report.payouts[0].amount, report.payouts[0].payout_ref) == (0, "42 EUR")
    assert residues(report, lines) == {}
    assert lines[3].description == "Balancetransfer to batch 43"
    assert lines[0].occurred_at.isoformat() == "2026-11-27T22:50:00+00:00", (
        "when it was booked, not when it was captured"
    )


@pytest.mark.parametrize("columns", VARIANTS.values(), ids=VARIANTS.keys())
def test_another_order_of_columns_and_more_of_them_say_the_same(columns: list[str]) -> None:
    """A report that is made anew has other columns: none of its lines may come for a new one."""
    rows = [
        settled(1),
        settled(2, "20", "19.8"),
        row("Refunded", psp_reference="PSP", modification_reference="R", gross_currency="EUR", gross_debit_gc="40",
            net_debit_nc="40.2", commission_nc="0.20", exchange_rate="1"),
        payout("78.5"),
    ]  # fmt: skip
    report, lines = read(csv_of(rows, columns))
    _, classic = read(csv_of(rows))

    assert [money(line) for line in lines] == [money(line) for line in classic]
    assert [line.entry_ref for line in lines] == [line.entry_ref for line in classic]
    assert (residues(report, lines), report.faults) == ({}, [])
    assert money(lines[2]) == ("refund", Decimal(-40), Decimal("0.20"), Decimal("-40.20"), "EUR")


KINDS = {
    EntryKind.CAPTURE: "Settled SettledInstallment SettledExternally SettledExternallyWithInfo",
    EntryKind.RELEASE: "CaptureFailed SettledReversed",
    EntryKind.REFUND: "Refunded RefundedInstallment RefundedExternally",
    EntryKind.REFUND_FAILURE: "RefundedReversed RefundFailed RefundNotCleared",
    EntryKind.DISPUTE: "Chargeback SecondChargeback ChargebackExternallyWithInfo",
    EntryKind.DISPUTE_REVERSAL: "ChargebackReversed",
    EntryKind.FEE: "Fee MiscCosts InvoiceDeduction PaymentCost AuthorisationSchemeFee BPPaidOut",
    EntryKind.RESERVE: "DepositCorrection ReserveAdjustment",
    EntryKind.TRANSFER: (
        "Balancetransfer InternalCompanyPayout AcquirerPayout EpaPaid XASTransfer MerchantPayin MerchantPayinReversed"
    ),
    EntryKind.ADJUSTMENT: "MatchedStatement ManualCorrected PaidOut PaidOutReversed",
    EntryKind.PAYOUT_REVERSAL: "BankInstructionReturned",
    EntryKind.UNKNOWN: "SuspendInstallment AWordOfNextYear",
}


DEBITS = {
    *("Fee", "Refunded", "RefundedInstallment", "Chargeback", "SecondChargeback"),
    *("CaptureFailed", "SettledReversed"),
}
CREDITS = {
    *("Settled", "SettledInstallment", "ChargebackReversed", "RefundedReversed", "RefundFailed", "RefundNotCleared"),
    "BankInstructionReturned",
}


@pytest.mark.parametrize(("type_", "kind"), [(type_, kind) for kind, types in KINDS.items() for type_ in types.split()])
@pytest.mark.parametrize("side", ["debit", "credit"])
def test_each_type_is_what_it_is_on_its_side_and_unknown_on_the_other(type_: str, kind: EntryKind, side: str) -> None:
    sign = -1 if side == "debit" else 1
    cells = {f"net_{side}_nc": "5.25", "modification_reference": "some text", "psp_reference": "PSP"}
    rest = payout("5.25") if side == "credit" else row("Balancetransfer", net_credit_nc="5.25")
    report, (line, *more) = read(csv_of([row(type_, **cells), rest]))

    is_wrong = type_.removesuffix("WithInfo").removesuffix("Externally") in (DEBITS if sign > 0 else CREDITS)
    assert (line.kind, line.provider_type, line.net, line.gross) == (
        EntryKind.UNKNOWN if is_wrong else kind,
        type_,
        sign * Decimal("5.25"),
        sign * Decimal("5.25"),
    )
    assert (line.about is Subject.NONE) or not is_wrong
    assert line.payment_ref == "PSP"
    assert report.payouts[0].amount == max(sign, 0) * Decimal("5.25")
    assert (residues(report, [line, *more]), report.faults) == ({}, [])


def test_a_sale_whose_fees_are_more_than_it_is_a_sale_by_its_gross_amount() -> None:
    costly = settled(1, "0.10", "0", net_credit_nc="", net_debit_nc="0.15", markup_nc="0.25", interchange_nc="")
    _, (line,) = read(csv_of([costly]))

    assert (line.kind, line.about, line.net) == (EntryKind.CAPTURE, Subject.CAPTURE, Decimal("-0.15"))


def test_a_payout_that_took_money_is_a_fault() -> None:
    report, _ = read(csv_of([row("Fee", net_debit_nc="5"), row("MerchantPayout", net_credit_nc="5")]))

    assert report.faults == ["line 3: MerchantPayout is on the credit side"]


def test_each_type_of_the_table_has_been_tried() -> None:
    tried = {type_ for types in KINDS.values() for type_ in types.split()}
    assert {name for name in TYPES if "Externally" not in name} <= tried


def test_a_cost_of_a_payment_has_no_gross_amount() -> None:
    """As in a file of 2026: net alone is filled, and a payment named."""
    cells = {"psp_reference": "PSP1", "modification_reference": "MOD1", "gross_currency": "USD"}
    report, (line,) = read(csv_of([row("PaymentCost", net_credit_nc="1.75", **cells), payout("1.75")]))

    assert money(line)[1:4] == (Decimal("1.75"), 0, Decimal("1.75"))
    assert (line.payment_ref, line.customer_amount, line.about, line.description) == ("PSP1", None, Subject.NONE, "")
    assert report.faults == []


def test_a_wrong_gross_currency_of_a_row_of_the_account_is_not_looked_at() -> None:
    wrong = row(
        "Fee", net_currency="USD", net_debit_nc="1", gross_currency="EUR", gross_debit_gc="77", exchange_rate="3"
    )
    report, (line,) = read(csv_of([wrong]))

    assert (line.customer_amount, line.customer_currency, line.rate, line.currency) == (None, None, None, "USD")
    assert report.faults == []


def test_what_another_acquirer_has_is_in_no_net_column() -> None:
    external = settled(1, "80", "80", net_credit_nc="", markup_nc="", interchange_nc="") | {"Type": "SettledExternally"}
    report, (line,) = read(csv_of([external]))

    assert (line.kind, line.gross, line.net, line.customer_amount) == (EntryKind.CAPTURE, 0, 0, 80)
    assert report.faults == []


FEES = {
    "a blended price": {"commission_nc": "1.10", "markup_nc": "", "interchange_nc": ""},
    "a sum alone": {"payment_fees_nc": "1.10", "markup_nc": "", "interchange_nc": ""},
    "a sum beside them": {"payment_fees_nc": "1.10"},
    "a sum that has more in it": {"payment_fees_nc": "1.10", "markup_nc": "0.40", "interchange_nc": "0.20"},
    "a sum that is not filled": {"payment_fees_nc": "0.00"},
    "a margin that came": {"markup_nc": "1.30", "interchange_nc": "0.30", "dcc_markup_nc": "0.50"},
    "a margin that went": {"markup_nc": "0.30", "interchange_nc": "0.30", "dcc_markup_nc": "0.50"},
}


@pytest.mark.parametrize("fees", FEES.values(), ids=FEES.keys())
def test_a_fee_is_what_makes_net_of_gross(fees: dict[str, str]) -> None:
    columns = VARIANTS["2025"]
    report, (line,) = read(csv_of([settled(1, **fees)], columns))

    assert (line.gross, line.fee, line.net) == (100, Decimal("1.10"), Decimal("98.90"))
    assert report.faults == []


CONTRADICTIONS = {
    "a cent": {"markup_nc": "0.56"},
    "a rate that is none of its own": {"exchange_rate": "0.99"},
    "both net columns": {"net_debit_nc": "0.01"},
    "both gross columns": {"gross_debit_gc": "100"},
}


@pytest.mark.parametrize("cells", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_row_that_contradicts_itself_is_a_fault_and_named(cells: dict[str, str]) -> None:
    report, lines = read(csv_of([settled(1), settled(2, **cells)]))

    assert report.faults[0].startswith("line 3: ")
    assert len(lines) == 2, "it is counted all the same"


def test_no_more_faults_are_named_than_anybody_reads() -> None:
    report, _ = read(csv_of([settled(number, markup_nc="9") for number in range(100)]))

    assert len(report.faults) == MOST_FAULTS + 1
    assert report.faults[-1] == f"lines that contradict themselves, beside these: {100 - MOST_FAULTS}"


@pytest.mark.parametrize(
    ("net", "is_fault"),
    [("45.30", False), ("45.31", False), ("45.32", True), ("45.29", False), ("45.28", True), ("45.20", True)],
)
def test_converted_money_may_be_off_by_what_was_rounded(net: str, is_fault: bool) -> None:
    converted = settled(
        1, "50", net, gross_currency="USD", exchange_rate="0.92", markup_nc="0.40", interchange_nc="0.30"
    )
    report, _ = read(csv_of([converted]))

    assert bool(report.faults) is is_fault


@pytest.mark.parametrize("columns", ["2025", "a vendor's"])
@pytest.mark.parametrize(
    ("gross", "currency", "rate", "net", "fee"),
    [("100000", "JPY", "0.0062", "615.00", "5.00"), ("100", "USD", "0.92", "91.97", "0.03")],
)
def test_the_fee_of_converted_money_is_what_its_sum_says_where_that_alone_is_there(
    columns: str, gross: str, currency: str, rate: str, net: str, fee: str
) -> None:
    cells = {"gross_currency": currency, "exchange_rate": rate, "markup_nc": "", "interchange_nc": ""}
    report, (line,) = read(csv_of([settled(1, gross, net, payment_fees_nc=fee, **cells)], VARIANTS[columns]))

    assert (line.fee, line.net, report.faults) == (Decimal(fee), Decimal(net), [])


def test_the_fee_of_converted_money_is_the_nearest_that_fits() -> None:
    cells = {"gross_currency": "JPY", "exchange_rate": "0.0062", "interchange_nc": "", "payment_fees_nc": "5.00"}
    _, (line,) = read(csv_of([settled(1, "100000", "615.00", markup_nc="3.00", **cells)], VARIANTS["2025"]))

    assert line.fee == 5


def test_a_currency_without_decimals_and_one_with_three() -> None:
    yen = settled(
        1, "10000", "61.10", gross_currency="JPY", exchange_rate="0.0062", markup_nc="0.90", interchange_nc="0"
    )
    dinars = settled(
        2, "12.345", "12.300", gross_currency="KWD", net_currency="KWD", markup_nc="0.045", interchange_nc=""
    )
    report, lines = read(csv_of([yen, dinars]))

    assert report.faults == []
    assert [line.customer_amount for line in lines] == [10000, Decimal("12.345")]


def _batch() -> list[dict[str, str]]:
    rows = [
        settled(number, f"{number}.37", f"{number}.11", markup_nc="0.26", interchange_nc="") for number in range(1, 30)
    ]
    net = sum((Decimal(each["Net Credit (NC)"]) for each in rows), Decimal("-1.32"))
    return [*rows, row("Fee", net_debit_nc="1.32", modification_reference="Fees"), payout(str(net))]


def test_a_cent_a_line_too_many_and_one_too_few_show_in_the_sum() -> None:
    rows = _batch()
    report, lines = read(csv_of(rows))
    assert residues(report, lines) == {}
    section = f"{SHOP} batch 41 EUR"

    cent = [dict(each) for each in rows]
    cent[3]["Net Credit (NC)"] = "4.12"
    assert residues(*read(csv_of(cent))) == {section: Decimal("0.01")}
    for at in (0, 12, len(rows) - 2):
        net = Decimal(rows[at].get("Net Credit (NC)", "0")) - Decimal(rows[at].get("Net Debit (NC)", "0"))
        assert residues(*read(csv_of([*rows[: at + 1], *rows[at:]]))) == {section: net}
        assert residues(*read(csv_of([*rows[:at], *rows[at + 1 :]]))) == {section: -net}
    assert residues(*read(csv_of(rows[:-1]))) == {section: Decimal(rows[-1]["Net Debit (NC)"])}


def test_the_rows_of_a_batch_may_come_in_any_order() -> None:
    @given(st.randoms(use_true_random=False), st.sampled_from(sorted(VARIANTS)))
    def shuffled(random: Random, variant: str) -> None:
        rows, columns = _batch(), list(VARIANTS[variant])
        random.shuffle(rows)
        random.shuffle(columns)
        report, lines = read(csv_of(rows, columns))

        assert {(line.entry_ref, *money(line)) for line in lines} == expected
        assert (residues(report, lines), report.faults) == ({}, [])
        assert report.payouts == original.payouts

    original, ours = read(csv_of(_batch()))
    expected = {(line.entry_ref, *money(line)) for line in ours}
    assert len(expected) == 30
    shuffled()


def test_equal_rows_have_one_name_and_are_numbered_when_they_are_entered() -> None:
    fee = row("Fee", net_debit_nc="1.50", modification_reference="Transaction Fees November 2026")
    other = fee | {"Net Debit (NC)": "1.51"}
    elsewhere = fee | {"Merchant Account": "HarbourBooksPOS"}
    later = fee | {"Creation Date": "2026-11-23 09:12:45"}
    _, lines = read(csv_of([fee, fee | {"Net Debit (NC)": "1.5"}, other, elsewhere, later]))

    names = [line.entry_ref for line in lines]
    assert names[0] == names[1]
    assert len(set(names)) == 4
    assert all(line.is_made and len(line.entry_ref) == 32 for line in lines)


def test_batches_count_for_each_merchant_account() -> None:
    rows = [
        settled(1, "10", "10"),
        settled(2, "20", "20", merchant_account="HarbourBooksPOS"),
        payout("10"),
        payout("20", merchant_account="HarbourBooksPOS"),
        settled(3, "30", "30", batch_number="42"),
    ]
    report, lines = read(csv_of(rows))

    paid = {(each.account, each.payout_ref): each.amount for each in report.payouts}
    assert paid == {(SHOP, "41 EUR"): 10, ("HarbourBooksPOS", "41 EUR"): 20, (SHOP, "42 EUR"): 0}
    assert residues(report, lines) == {f"{SHOP} batch 42 EUR": 30}


def test_a_batch_of_several_currencies_has_a_payout_of_each() -> None:
    rows = [
        settled(1, "10", "10"),
        settled(2, "20", "20", gross_currency="USD", net_currency="USD"),
        payout("20", net_currency="USD", modification_reference="dollars"),
        payout("10"),
    ]
    for order in (rows, rows[::-1]):
        report, lines = read(csv_of(order))
        assert {each.payout_ref: (each.amount, each.currency) for each in report.payouts} == {
            "41 EUR": (10, "EUR"),
            "41 USD": (20, "USD"),
        }
        assert residues(report, lines) == {}


def test_two_payouts_of_a_batch_add_up() -> None:
    report, lines = read(csv_of([settled(1, "10", "10"), payout("6"), payout("4", modification_reference="second")]))

    assert report.payouts[0].amount == 10
    assert report.payouts[0].bank_reference == f"TX900000000041XT batch 41, {SHOP} | second"
    assert residues(report, lines) == {}


def test_a_day_without_payments_is_a_header_alone() -> None:
    report, lines = read(csv_of([]))

    assert (lines, report.payouts, report.sections, report.faults) == ([], [], [], [])
    assert len(report.sha256) == 32


def test_a_file_is_read_without_any_of_it_in_memory() -> None:
    """Lines are given out while the file is read."""
    file = io.BytesIO(csv_of([settled(number) for number in range(20_000)]))
    report = read_report(file, name="", account="")
    next(report.lines)

    assert file.tell() < 100_000
    assert report.sections == []
