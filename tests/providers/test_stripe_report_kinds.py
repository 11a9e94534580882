"""What each of Stripe's words for a movement is here, by its sign; and what of ours the movement names."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
import stripe
from stripe.params.reporting import ReportRunCreateParamsParameters

from checkout_service.providers.adapters.stripe.report_api import line_of
from checkout_service.providers.adapters.stripe.report_kinds import KINDS, kind_of, subject_of
from checkout_service.providers.reports import UnreadableReportError
from checkout_service.settlement_words import EntryKind, Subject
from tests.providers.stripe_reports import RECONCILIATION, read_rows, rows_of

K = EntryKind

EXPECTED: dict[str, tuple[EntryKind, EntryKind, EntryKind]] = {
    "charge": (K.CAPTURE, K.CAPTURE, K.UNKNOWN),
    "payment": (K.CAPTURE, K.CAPTURE, K.UNKNOWN),
    "partial_capture_reversal": (K.UNKNOWN, K.RELEASE, K.RELEASE),
    "refund": (K.REFUND_FAILURE, K.REFUND, K.REFUND),
    "payment_refund": (K.REFUND_FAILURE, K.REFUND, K.REFUND),
    "charge_failure": (K.REFUND_FAILURE, K.REFUND, K.REFUND),
    "payment_failure_refund": (K.REFUND_FAILURE, K.REFUND, K.REFUND),
    "payment_reversal": (K.REFUND_FAILURE, K.REFUND, K.REFUND),
    "refund_failure": (K.REFUND_FAILURE, K.REFUND_FAILURE, K.REFUND),
    "dispute": (K.DISPUTE_REVERSAL, K.DISPUTE, K.DISPUTE),
    "dispute_reversal": (K.DISPUTE_REVERSAL, K.DISPUTE_REVERSAL, K.DISPUTE),
}
"""Words of which the sign decides: of a line that brings money, moves none, and takes some."""

WHATEVER_THE_SIGN: dict[EntryKind, str] = {
    K.FEE: "fee network_cost tax stripe_fee stripe_fx_fee tax_fee fee_credit_funding",
    K.RESERVE: """connect_reserved_funds risk_reserved_funds reserved_funds reserve_transaction reserve_hold
        reserve_release payment_network_reserve_hold payment_network_reserve_release payment_network_reserved_funds
        payout_minimum_balance_hold payout_minimum_balance_release minimum_balance_hold
        issuing_authorization_hold issuing_authorization_release""",
    K.CONVERSION: "currency_conversion",
    K.TRANSFER: """transfer transfer_reversal transfer_cancel transfer_failure transfer_refund topup topup_reversal
        connect_collection_transfer inbound_transfer inbound_transfer_reversal tax_fund balance_transfer""",
    K.ADJUSTMENT: """other_adjustment adjustment contribution climate_order_purchase climate_order_refund
        platform_earning platform_earning_refund application_fee application_fee_refund advance advance_funding
        anticipation_repayment financing_paydown financing_paydown_reversal financing_payout
        financing_payout_reversal issuing_transaction
        issuing_dispute issuing_dispute_provisional_credit issuing_dispute_provisional_credit_reversal
        obligation_outbound obligation_reversal_inbound payment_unreconciled unreconciled_customer_funds
        stripe_balance_payment_debit stripe_balance_payment_debit_reversal""",
    K.PAYOUT: "payout",
    K.PAYOUT_REVERSAL: "payout_reversal payout_cancel payout_failure",
    K.UNKNOWN: "a_word_of_next_year charge_v2 Charge",
}

EVERY = EXPECTED | {word: (kind, kind, kind) for kind, words in WHATEVER_THE_SIGN.items() for word in words.split()}


@pytest.mark.parametrize("word", EVERY)
def test_a_movement_is_by_its_word_and_its_sign(word: str) -> None:
    found = tuple(kind_of(word, Decimal(amount)) for amount in ("0.01", "0.00", "-0.01"))

    assert found == EVERY[word]


def test_every_word_of_the_table_is_tried() -> None:
    assert set(KINDS) == set(EVERY) - set(WHATEVER_THE_SIGN[K.UNKNOWN].split())


def test_every_type_and_category_that_the_sdk_names_is_known() -> None:
    types = _words_in(stripe.BalanceTransaction.__annotations__["type"])
    categories = _words_in(ReportRunCreateParamsParameters.__annotations__["reporting_category"])

    assert len(types) > 45
    assert len(categories) > 30
    assert types | categories <= set(KINDS)


def _words_in(annotation: object) -> set[str]:
    """The words that an attribute of the SDK is annotated with, which it does not evaluate everywhere."""
    return set(re.findall(r"'([a-z_]+)'", repr(annotation)))


SUBJECTS = {
    ("charge", "1.00", "ch_1", "ch_1"): (Subject.CAPTURE, "ch_1"),
    ("charge", "1.00", "py_1", "py_1"): (Subject.CAPTURE, "py_1"),
    ("charge", "1.00", "", "ch_1"): (Subject.CAPTURE, "ch_1"),
    ("charge", "-1.00", "ch_1", "ch_1"): (Subject.NONE, ""),
    ("partial_capture_reversal", "-1.00", "re_1", "ch_1"): (Subject.CAPTURE, "ch_1"),
    ("refund", "-1.00", "re_1", "ch_1"): (Subject.REFUND, "re_1"),
    ("refund", "-1.00", "pyr_1", "py_1"): (Subject.REFUND, "pyr_1"),
    ("refund", "-1.00", "ch_1", "ch_1"): (Subject.REFUND, ""),
    ("refund_failure", "1.00", "re_1", "ch_1"): (Subject.REFUND, "re_1"),
    ("charge_failure", "-1.00", "pyr_1", "py_1"): (Subject.REFUND, "pyr_1"),
    ("dispute", "-1.00", "du_1", "ch_1"): (Subject.DISPUTE, "du_1"),
    ("dispute_reversal", "1.00", "dp_1", "ch_1"): (Subject.DISPUTE, "dp_1"),
    ("dispute", "-1.00", "", "ch_1"): (Subject.DISPUTE, ""),
    ("fee", "-1.00", "ch_1", "ch_1"): (Subject.NONE, ""),
    ("transfer", "-1.00", "tr_1", ""): (Subject.NONE, ""),
    ("a_word_of_next_year", "1.00", "ch_1", "ch_1"): (Subject.NONE, ""),
}


@pytest.mark.parametrize("case", SUBJECTS, ids="-".join)
def test_a_movement_names_what_of_ours_it_is_about(case: tuple[str, str, str, str]) -> None:
    word, amount, source, charge = case

    assert subject_of(kind_of(word, Decimal(amount)), source, charge) == SUBJECTS[case]


@pytest.mark.parametrize("word", EVERY)
@pytest.mark.parametrize("gross", ["5.00", "-5.00"])
def test_the_file_and_the_api_take_every_word_for_the_same(word: str, gross: str) -> None:
    row = rows_of(RECONCILIATION)[0]
    row |= {"reporting_category": word, "gross": gross, "net": gross, "fee": "0.00", "source_id": "xx_1"}
    row |= {"charge_id": "", "payment_intent_id": "", "customer_facing_amount": "", "description": "of Stripe's"}
    if word == "payout":
        row |= {"source_id": "po_another"}
    moved: dict[str, Any] = {
        "id": row["balance_transaction_id"],
        "object": "balance_transaction",
        "amount": int(Decimal(gross) * 100),
        "fee": 0,
        "net": int(Decimal(gross) * 100),
        "currency": "eur",
        "reporting_category": word,
        "type": "adjustment",
        "source": row["source_id"],
        "created": 1795380000,
        "available_on": 1795564800,
        "description": "of Stripe's",
    }

    ((of_file,), _) = read_rows([row])
    of_api = line_of(moved, of_file.line, payout_ref="po_made1")

    assert of_api == of_file._replace(occurred_local=of_api.occurred_local)
    del moved["reporting_category"]
    assert line_of(moved | {"type": word}, 2, payout_ref="po_made1") == of_api


def test_what_a_partial_capture_let_go_is_no_refund_and_names_the_charge() -> None:
    """Its type is refund. The charge's line has all that was authorised."""
    moved = {
        "id": "txn_1",
        "object": "balance_transaction",
        "amount": -3000,
        "fee": -90,
        "net": -2910,
        "currency": "eur",
        "reporting_category": "partial_capture_reversal",
        "type": "refund",
        "source": {"id": "re_1", "object": "refund", "amount": 3000, "currency": "eur", "charge": "ch_1"},
        "created": 1795380000,
        "available_on": None,
    }

    line = line_of(moved, 1, payout_ref="po_1")

    assert (line.kind, line.about, line.subject_ref) == (K.RELEASE, Subject.CAPTURE, "ch_1")
    assert (line.gross, line.fee, line.net) == (Decimal("-30.00"), Decimal("-0.90"), Decimal("-29.10"))
    assert (line.customer_amount, line.customer_currency) == (Decimal("-30.00"), "EUR")
    assert line.available_on is None


@pytest.mark.parametrize(
    ("currency", "minor", "amount"),
    [
        ("eur", 4970, "49.70"),
        ("jpy", 4970, "4970"),
        ("kwd", 4970, "4.970"),
        ("isk", 4900, "49"),
        ("isk", 4950, "49.50"),
        ("ugx", 4900, "49"),
        ("mga", 49, "49.00"),
        ("huf", 4900, "49.00"),
    ],
)
def test_smallest_units_are_stripes_and_amounts_are_not(currency: str, minor: int, amount: str) -> None:
    row = rows_of(RECONCILIATION)[0]
    moved = {
        "id": "txn_made1",
        "object": "balance_transaction",
        "amount": minor,
        "fee": 0,
        "net": minor,
        "currency": currency,
        "reporting_category": "charge",
        "source": None,
        "created": 1795380000,
    }
    row |= {"currency": currency, "gross": amount, "net": amount, "fee": "0", "customer_facing_amount": ""}

    line = line_of(moved, 1, payout_ref="po_made1")
    ((of_file,), _) = read_rows([row])

    assert str(line.gross) == str(line.net) == str(of_file.gross) == amount


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "100"},
        {"amount": True},
        {"amount": 1.5},
        {"net": 10**16},
        {"fee": None},
        {"currency": "euro"},
        {"id": "txn 1"},
        {"object": "payout"},
        {"reporting_category": "x y"},
        {"created": None},
        {"created": "1795380000"},
        {"available_on": "x"},
        {"source": {"id": "ch 1", "object": "charge"}},
        {"source": {"id": "ch_1", "object": "charge", "payment_intent": "pi 1", "amount": 1, "currency": "eur"}},
        {"source": {"id": "ch_1", "object": "charge", "amount": "1", "currency": "eur"}},
        {"source": {"id": "ch_1", "object": "charge", "amount": 1, "currency": "€"}},
        {"source": []},
    ],
    ids=str,
)
def test_a_movement_that_cannot_be_read_is_no_line(change: dict[str, Any]) -> None:
    moved = {
        "id": "txn_1",
        "object": "balance_transaction",
        "amount": 100,
        "fee": 0,
        "net": 100,
        "currency": "eur",
        "reporting_category": "charge",
        "source": "ch_1",
        "created": 1795380000,
    }
    assert line_of(moved, 1, payout_ref="po_1").gross == 1

    with pytest.raises(UnreadableReportError):
        line_of(moved | change, 1, payout_ref="po_1")
