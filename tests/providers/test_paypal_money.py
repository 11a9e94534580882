"""PayPal's movements of money as entries: captures, authorizations, reversals and disputes, each by its own name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
    RefundStatus,
)
from checkout_service.providers.base import ProviderEvent
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    DisputeReason,
)
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID
from tests.providers.kits.paypal import KIT, event
from tests.providers.kits.paypal_resources import (
    API,
    AUTHORIZATION,
    CAPTURE,
    DISPUTE,
    ORDER,
    PAYMENT_REF,
    REAUTHORIZATION,
    REFUND,
    REVERSAL,
    authorization,
    capture,
    dispute,
    resolved,
    taken,
)

REQUEST_ID = UUID("7b1d5b8e-6a54-4b1c-9d31-3f8f0b5f2c10")
ENDS = datetime(2026, 12, 24, 11, 59, 50, tzinfo=UTC)
AT = datetime(2026, 11, 25, 11, 30, tzinfo=UTC)


def read(kind: str, resource: dict[str, Any], **fields: Any) -> list[Any]:
    return list(KIT.provider().verify_and_parse(event(kind, resource, **fields).raw("paypal")).events)


def entries(kind: str, resource: dict[str, Any]) -> list[Any]:
    (found,) = read(kind, resource)
    return list(found.entries)


def open_attempt(ref: str = CAPTURE, **fields: Any) -> AttemptEntry:
    return AttemptEntry(ref=ref, currency=CURRENCY, **fields)


def named(status: CaptureStatus, value: str = "240.00", **fields: Any) -> CaptureEntry:
    known = {"ref": CAPTURE, "attempt_ref": CAPTURE} | fields
    return CaptureEntry(status=status, amount=Decimal(value), currency=CURRENCY, **known)


# Captures.


def test_a_capture_without_an_authorization_is_an_attempt_of_its_own() -> None:
    assert entries("PAYMENT.CAPTURE.PENDING", capture(status="PENDING")) == [
        open_attempt(status=AttemptStatus.UNDER_WAY),
        named(CaptureStatus.PENDING),
    ]
    assert entries("PAYMENT.CAPTURE.COMPLETED", capture()) == [
        open_attempt(status=AttemptStatus.AUTHORIZED, rest_released=True),
        named(CaptureStatus.SUCCEEDED),
    ]


@pytest.mark.parametrize("kind", ["PAYMENT.CAPTURE.DENIED", "PAYMENT.CAPTURE.DECLINED"])
@pytest.mark.parametrize(
    ("details", "decline"),
    [({}, "declined"), ({"reason": "DECLINED_BY_RISK_FRAUD_FILTERS"}, "suspected_fraud"), (7, "declined")],
)
def test_a_capture_that_was_refused_fails_its_attempt(kind: str, details: Any, decline: str) -> None:
    assert entries(kind, capture(status="DECLINED", status_details=details)) == [
        open_attempt(status=AttemptStatus.FAILED, decline=decline),
        named(CaptureStatus.REFUSED),
    ]


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("found_in", ["links", "supplementary_data"])
def test_a_capture_of_an_authorization_leaves_the_rest_open_unless_it_is_the_last(final: bool, found_in: str) -> None:
    resource = capture(value="100.00", of=AUTHORIZATION, final_capture=final)
    del resource["links" if found_in == "supplementary_data" else "supplementary_data"]

    assert entries("PAYMENT.CAPTURE.COMPLETED", resource) == [
        open_attempt(AUTHORIZATION, status=AttemptStatus.AUTHORIZED, rest_released=final),
        named(CaptureStatus.SUCCEEDED, "100.00", attempt_ref=AUTHORIZATION),
    ]


def test_a_capture_that_we_requested_names_our_request() -> None:
    invoice = f"{PAYMENT_REF}_{REQUEST_ID.hex}"
    (_, made) = entries("PAYMENT.CAPTURE.COMPLETED", capture(of=AUTHORIZATION, invoice_id=invoice))
    assert made.request_id == str(REQUEST_ID)


def test_the_refund_of_such_a_capture_is_not_taken_for_a_refund_of_ours() -> None:
    """A refund of the dashboard may carry the invoice of its capture, which names our capture request."""
    invoice = {"invoice_id": f"{PAYMENT_REF}_{REQUEST_ID.hex}"}
    for custom in ({"custom_id": PAYMENT_REF}, {"custom_id": None}):
        (refund,) = read("PAYMENT.CAPTURE.REFUNDED", taken(REFUND, "40.00", **invoice, **custom))
        assert (refund.provider_ref, refund.refund_id) == (PAYMENT_REF, None)


def test_an_event_has_every_name_of_its_payment() -> None:
    (found,) = read("PAYMENT.CAPTURE.COMPLETED", capture(of=AUTHORIZATION))
    assert (found.provider_ref, list(found.names)) == (PAYMENT_REF, [CAPTURE, AUTHORIZATION, ORDER])


# What is taken of a capture.


def test_a_refund_is_of_the_capture_that_it_links_to_and_never_the_sum_of_all() -> None:
    (refund,) = read("PAYMENT.CAPTURE.REFUNDED", taken(REFUND, "40.00"))
    assert (refund.refund_ref, refund.capture_ref, refund.amount) == (REFUND, CAPTURE, Decimal("40.00"))
    assert list(refund.names) == [REFUND, CAPTURE]


def test_a_refund_may_name_its_capture_elsewhere_and_have_a_minus() -> None:
    related = taken(REFUND, "40.00", links=[], supplementary_data={"related_ids": {"capture_id": CAPTURE}})
    v1 = {
        "id": REFUND,
        "state": "completed",
        "amount": {"total": "-40.00", "currency": CURRENCY},
        "capture_id": CAPTURE,
        "custom": PAYMENT_REF,
    }
    for resource in (related, v1):
        (refund,) = read("PAYMENT.CAPTURE.REFUNDED", resource)
        assert (refund.capture_ref, refund.amount, refund.status) == (CAPTURE, Decimal("40.00"), RefundStatus.SUCCEEDED)


def test_a_reversal_takes_its_own_amount_of_its_capture() -> None:
    (found,) = read("PAYMENT.CAPTURE.REVERSED", taken(REVERSAL, "15.00"))

    assert found.status is PaymentStatus.REVERSED
    assert list(found.entries) == [
        DisputeEntry(
            ref=REVERSAL,
            stage=DisputeStage.CHARGEBACK,
            status=DisputeStatus.LOST,
            at=datetime(2026, 11, 25, 11, 59, 55, tzinfo=UTC),
            step=1,
            money_out=True,
            money_only=True,
            amount=Decimal("15.00"),
            currency=CURRENCY,
            capture_ref=CAPTURE,
        )
    ]


def test_a_reversal_without_an_amount_takes_all_that_came() -> None:
    resource = taken(REVERSAL, "15.00")
    del resource["amount"]
    (found,) = entries("PAYMENT.CAPTURE.REVERSED", resource)
    assert (found.ref, found.step, found.money_out, found.amount) == ("", 1, True, None)


def test_a_reversal_whose_resource_is_the_capture_itself_is_of_that() -> None:
    (found,) = entries("PAYMENT.CAPTURE.REVERSED", capture())
    assert (found.ref, found.capture_ref, found.amount) == (CAPTURE, CAPTURE, AMOUNT)


@pytest.mark.parametrize("kind", ["PAYMENT.SALE.COMPLETED", "PAYMENT.SALE.REFUNDED", "PAYMENT.SALE.REVERSED"])
def test_a_sale_of_payments_v1_is_none_of_ours_whatever_it_carries(kind: str) -> None:
    resource = {"id": "4EU7004268015634R", "amount": {"total": "-40.00", "currency": CURRENCY}, "custom": PAYMENT_REF}
    assert read(kind, resource) == []


# Authorizations.


def test_an_authorization_is_an_attempt_with_its_amount_and_end() -> None:
    (found,) = read("PAYMENT.AUTHORIZATION.CREATED", authorization())
    assert found.status is PaymentStatus.AUTHORIZED
    assert list(found.entries) == [
        open_attempt(AUTHORIZATION, status=AttemptStatus.AUTHORIZED, authorized=AMOUNT, expires_at=ENDS)
    ]


@pytest.mark.parametrize(
    ("status", "proven", "shown"),
    [
        ("PENDING", AttemptStatus.UNDER_WAY, PaymentStatus.PROCESSING),
        ("DENIED", AttemptStatus.FAILED, PaymentStatus.FAILED),
        ("A_WORD_OF_NEXT_YEAR", AttemptStatus.AUTHORIZED, PaymentStatus.AUTHORIZED),
    ],
)
def test_a_new_authorization_may_wait_or_be_denied(status: str, proven: AttemptStatus, shown: PaymentStatus) -> None:
    (found,) = read("PAYMENT.AUTHORIZATION.CREATED", authorization(status=status))
    assert (found.entries[0].status, found.status) == (proven, shown)


def test_an_authorization_without_an_end_ends_after_29_days() -> None:
    resource = authorization()
    del resource["expiration_time"]
    (found,) = entries("PAYMENT.AUTHORIZATION.CREATED", resource)
    assert found.expires_at == ENDS


def test_an_authorization_in_the_shape_of_v1_is_one() -> None:
    (found,) = (
        KIT.provider().verify_and_parse(KIT.movements()["an authorization in the shape of v1"].raw("paypal")).events
    )
    assert isinstance(found, ProviderEvent)
    assert found.provider_ref == PAYMENT_REF
    assert list(found.entries) == [
        open_attempt(AUTHORIZATION, status=AttemptStatus.AUTHORIZED, authorized=AMOUNT, expires_at=ENDS)
    ]


@pytest.mark.parametrize(
    "parent",
    [
        {"links": [{"rel": "up", "href": f"{API}/v2/payments/authorizations/{AUTHORIZATION}"}]},
        {"supplementary_data": {"related_ids": {"authorization_id": AUTHORIZATION}}},
    ],
    ids=["links", "related_ids"],
)
def test_a_reauthorization_stands_in_the_place_of_its_parent(parent: dict[str, Any]) -> None:
    (found,) = entries("PAYMENT.AUTHORIZATION.CREATED", authorization(REAUTHORIZATION, **parent))
    assert (found.ref, found.replaces) == (REAUTHORIZATION, AUTHORIZATION)


def test_an_authorization_never_replaces_itself() -> None:
    itself = {"related_ids": {"authorization_id": AUTHORIZATION}}
    (found,) = entries("PAYMENT.AUTHORIZATION.CREATED", authorization(supplementary_data=itself))
    assert found.replaces is None


@pytest.mark.parametrize(
    ("at", "status"),
    [("2026-11-27T10:00:00Z", AttemptStatus.CANCELED), ("2026-12-24T11:59:51Z", AttemptStatus.EXPIRED)],
)
def test_the_clock_tells_a_void_from_the_end_of_validity(at: str, status: AttemptStatus) -> None:
    (found,) = read("PAYMENT.AUTHORIZATION.VOIDED", authorization(status="VOIDED", update_time=at))
    assert found.entries[0].status is status
    assert found.status is PaymentStatus(status.value)


def test_an_approval_that_ran_out_closes_the_payment() -> None:
    assert entries(
        "CHECKOUT.PAYMENT-APPROVAL.REVERSED", {"order_id": ORDER, "purchase_units": [{"custom_id": PAYMENT_REF}]}
    ) == [ClosedEntry(status=PaymentStatus.CANCELED)]


# Disputes.


def disputed(resource: dict[str, Any], kind: str = "CUSTOMER.DISPUTE.UPDATED") -> DisputeEntry:
    (found,) = entries(kind, resource)
    assert isinstance(found, DisputeEntry)
    return found


@pytest.mark.parametrize("kind", ["CUSTOMER.DISPUTE.CREATED", "CUSTOMER.DISPUTE.UPDATED", "RISK.DISPUTE.CREATED"])
def test_a_dispute_is_known_and_moves_no_money(kind: str) -> None:
    (found,) = read(kind, dispute())

    assert (found.provider_ref, found.status) == (PAYMENT_REF, None)
    assert list(found.names) == [DISPUTE, CAPTURE]
    assert list(found.entries) == [
        DisputeEntry(
            ref=DISPUTE,
            stage=DisputeStage.CHARGEBACK,
            status=DisputeStatus.NEEDS_RESPONSE,
            at=AT,
            reason=DisputeReason.NOT_RECEIVED,
            evidence_due_at=datetime(2026, 12, 5, 11, tzinfo=UTC),
            blocks_refund=True,
            amount=Decimal("40.00"),
            currency=CURRENCY,
            capture_ref=CAPTURE,
        )
    ]
    kept = json.dumps(found.raw)
    assert not [word for word in ("Ada", "ada@", "where is it") if word in kept]


@pytest.mark.parametrize(
    ("stage", "known", "blocks"),
    [
        ("INQUIRY", DisputeStage.INQUIRY, False),
        ("CHARGEBACK", DisputeStage.CHARGEBACK, True),
        ("PRE_ARBITRATION", DisputeStage.PRE_ARBITRATION, True),
        ("ARBITRATION", DisputeStage.ARBITRATION, True),
        ("A_WORD_OF_NEXT_YEAR", DisputeStage.CHARGEBACK, True),
        (None, DisputeStage.CHARGEBACK, True),
    ],
)
def test_an_open_dispute_holds_refunds_back_from_a_claim_on(stage: Any, known: DisputeStage, blocks: bool) -> None:
    opened, ended = disputed(dispute(stage=stage)), disputed(resolved("NONE", stage=stage))
    assert (opened.stage, opened.blocks_refund) == (known, blocks)
    assert (ended.stage, ended.blocks_refund) == (known, False)


@pytest.mark.parametrize(
    ("status", "known"),
    [
        ("OPEN", DisputeStatus.NEEDS_RESPONSE),
        ("WAITING_FOR_SELLER_RESPONSE", DisputeStatus.NEEDS_RESPONSE),
        ("WAITING_FOR_BUYER_RESPONSE", DisputeStatus.UNDER_REVIEW),
        ("UNDER_REVIEW", DisputeStatus.UNDER_REVIEW),
        ("OTHER", DisputeStatus.UNDER_REVIEW),
        (["OPEN"], DisputeStatus.UNDER_REVIEW),
    ],
)
def test_a_dispute_waits_for_us_or_for_others(status: Any, known: DisputeStatus) -> None:
    assert disputed(dispute(status=status)).status is known


@pytest.mark.parametrize(
    ("outcome", "known"),
    [
        ("RESOLVED_BUYER_FAVOUR", DisputeStatus.LOST),
        ("RESOLVED_SELLER_FAVOUR", DisputeStatus.WON),
        ("RESOLVED_WITH_PAYOUT", DisputeStatus.CLOSED),
        ("CANCELED_BY_BUYER", DisputeStatus.CLOSED),
        ("ACCEPTED", DisputeStatus.LOST),
        ("DENIED", DisputeStatus.WON),
        ("NONE", DisputeStatus.CLOSED),
    ],
)
def test_a_resolved_dispute_has_its_outcome_and_no_deadline(outcome: str, known: DisputeStatus) -> None:
    found = disputed(resolved(outcome), "CUSTOMER.DISPUTE.RESOLVED")
    assert (found.status, found.evidence_due_at, found.step) == (known, None, 0)
    without_status = {name: value for name, value in resolved(outcome).items() if name != "status"}
    assert disputed(without_status, "CUSTOMER.DISPUTE.RESOLVED").status is known


def test_a_dispute_is_found_by_our_reference_or_by_its_capture_and_may_be_of_another_shop() -> None:
    def found(transaction: dict[str, Any]) -> Any:
        (event,) = read("CUSTOMER.DISPUTE.CREATED", dispute(disputed_transactions=[transaction]))
        return event

    by_invoice = found({"seller_transaction_id": CAPTURE, "invoice_number": PAYMENT_REF})
    assert (by_invoice.provider_ref, by_invoice.payment_id, by_invoice.foreign) == (PAYMENT_REF, PAYMENT_ID, False)
    by_capture = found({"seller_transaction_id": CAPTURE})
    assert (by_capture.provider_ref, list(by_capture.names), by_capture.foreign) == ("", [DISPUTE, CAPTURE], False)
    theirs = found({"seller_transaction_id": CAPTURE, "custom": "order 7"})
    assert (theirs.provider_ref, theirs.foreign) == ("", True)


def test_a_dispute_over_several_transactions_is_one_event_of_each() -> None:
    other = "paypal_" + "0" * 31 + "1"
    transactions = [
        {
            "seller_transaction_id": CAPTURE,
            "custom": PAYMENT_REF,
            "gross_amount": {"currency_code": "USD", "value": "30"},
        },
        {"seller_transaction_id": "OTHER", "custom": other, "gross_amount": {"currency_code": "USD", "value": "10"}},
    ]
    first, second = read("CUSTOMER.DISPUTE.CREATED", dispute(disputed_transactions=transactions))

    assert (first.provider_ref, second.provider_ref) == (PAYMENT_REF, other)
    assert [found.entries[0].ref for found in (first, second)] == [DISPUTE, f"{DISPUTE}:OTHER"]
    assert [found.entries[0].amount for found in (first, second)] == [Decimal("30.00"), Decimal("10.00")]
    assert first.event_id != second.event_id


@pytest.mark.parametrize("transactions", [None, 7, [], [7]])
def test_a_dispute_without_transactions_is_found_by_its_own_name(transactions: Any) -> None:
    (found,) = read("CUSTOMER.DISPUTE.UPDATED", dispute(disputed_transactions=transactions))
    assert (found.provider_ref, list(found.names)) == ("", [DISPUTE])
