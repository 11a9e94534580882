"""What each of Adyen's events proves: attempts, captures, refunds and disputes by their names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
    RefundStatus,
)
from checkout_service.providers.adapters.adyen.disputes import STEPS
from checkout_service.providers.adapters.adyen.events import CODES
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    DisputeReason,
    Entry,
    NoticeEntry,
)
from tests.providers.contract.judging import read_sealed, rewritten
from tests.providers.kits.adyen import KIT, PAYMENT_REF, REFUND_REF, batch, item, sign
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, REFUND_ID, SignedWebhook

PAYMENT, OWN = "NC6HT9CRT65ZGN82", "NC6HT9CRT65ZGN99"
"""The authorisation's name, and that of what was done to it."""

DONE = {"originalReference": PAYMENT, "pspReference": OWN}
THEIRS = "a word of somebody's own"


def events_of(*items: dict[str, Any], **options: str) -> Sequence[Any]:
    body = batch(*[sign(unsigned, KIT.secrets[0]) for unsigned in items])
    return KIT.provider(**options).verify_and_parse(SignedWebhook(body=body).raw("adyen")).events


def entries_of(code: str, success: str = "true", *, capture: str = "auto", **fields: Any) -> list[Entry]:
    return [entry for event in events_of(item(code, success, **fields), capture=capture) for entry in event.entries]


def captured(status: CaptureStatus, request_id: UUID | None = None) -> CaptureEntry:
    return CaptureEntry(
        ref=OWN,
        status=status,
        amount=AMOUNT,
        currency=CURRENCY,
        attempt_ref=PAYMENT,
        request_id=str(request_id) if request_id else None,
    )


NEWS: dict[tuple[str, str], list[Entry]] = {
    ("PENDING", "true"): [AttemptEntry(ref=OWN, status=AttemptStatus.UNDER_WAY, times_out_at=NOW + timedelta(days=14))],
    ("AUTHORISATION", "true"): [
        AttemptEntry(ref=OWN, status=AttemptStatus.AUTHORIZED, presumed=AMOUNT, currency=CURRENCY)
    ],
    ("AUTHORISATION", "false"): [AttemptEntry(ref=OWN, status=AttemptStatus.FAILED)],
    ("OFFER_CLOSED", "true"): [AttemptEntry(ref=OWN, status=AttemptStatus.FAILED)],
    ("CAPTURE", "true"): [
        captured(CaptureStatus.SUCCEEDED),
        AttemptEntry(ref=PAYMENT, status=AttemptStatus.AUTHORIZED, rest_released=True),
    ],
    ("CAPTURE", "false"): [captured(CaptureStatus.REFUSED)],
    ("CAPTURE_FAILED", "true"): [captured(CaptureStatus.UNDONE)],
    ("CANCELLATION", "true"): [AttemptEntry(ref=PAYMENT, status=AttemptStatus.CANCELED)],
    ("TECHNICAL_CANCEL", "true"): [AttemptEntry(ref=PAYMENT, status=AttemptStatus.CANCELED)],
    ("EXPIRE", "true"): [AttemptEntry(ref=PAYMENT, status=AttemptStatus.EXPIRED)],
    ("CANCEL_OR_REFUND", "true"): [
        AttemptEntry(ref=PAYMENT, status=AttemptStatus.CANCELED),
        NoticeEntry(reason=ReviewReason.UNCLEAR_CANCELLATION, ref=PAYMENT),
    ],
    ("AUTHORISATION_ADJUSTMENT", "true"): [
        AttemptEntry(ref=PAYMENT, authorized=AMOUNT, currency=CURRENCY),
        NoticeEntry(reason=ReviewReason.AUTHORIZATION_ADJUSTED, ref=OWN),
    ],
    ("ORDER_CLOSED", "false"): [NoticeEntry(reason=ReviewReason.UNCLEAR_CANCELLATION, ref=OWN)],
}

NOTHING = (
    *("ORDER_OPENED", "ORDER_CLOSED", "ISSUER_COMMENTS", "MANUAL_REVIEW_ACCEPT", "MANUAL_REVIEW_REJECT"),
    *("REPORT_AVAILABLE", "RECURRING_CONTRACT", "VOID_PENDING_REFUND", "AUTORESCUE", "A_WORD_OF_NEXT_YEAR"),
)


@pytest.mark.parametrize(("code", "success"), NEWS)
def test_each_event_proves_its_entries(code: str, success: str) -> None:
    assert entries_of(code, success, **DONE) == NEWS[code, success]


@pytest.mark.parametrize("code", sorted(CODES))
def test_what_did_not_succeed_proves_nothing_unless_that_is_news(code: str) -> None:
    events = events_of(item(code, "false", **DONE))

    known = (code, "false") in NEWS or code in {"REFUND", "REFUND_WITH_DATA"}
    assert len(events) == known


@pytest.mark.parametrize("code", NOTHING)
def test_what_says_nothing_of_money_is_no_failure(code: str) -> None:
    assert code not in CODES or code == "ORDER_CLOSED"
    assert events_of(item(code, **DONE)) == []
    assert [event.event_id for event in events_of(item(code), item())] == [f"AUTHORISATION:{PAYMENT}:true"]


def test_an_event_names_what_it_was_done_to_and_itself() -> None:
    (authorisation, capture) = events_of(item(), item("CAPTURE", **DONE))

    assert (authorisation.names, capture.names) == ((PAYMENT,), (PAYMENT, OWN))
    assert (authorisation.provider_ref, authorisation.payment_id) == (PAYMENT_REF, PAYMENT_ID)


def test_where_captures_are_made_one_by_one_an_authorisation_is_a_promise_that_ends() -> None:
    (promise,) = entries_of("AUTHORISATION", capture="manual")
    (shorter,) = entries_of("AUTHORISATION", capture="manual", paymentMethod="cartebancaire")

    assert promise == AttemptEntry(
        ref=PAYMENT,
        status=AttemptStatus.AUTHORIZED,
        authorized=AMOUNT,
        currency=CURRENCY,
        expires_at=NOW + timedelta(days=28),
    )
    assert isinstance(shorter, AttemptEntry)
    assert shorter.expires_at == NOW + timedelta(days=12)


def test_a_capture_releases_the_rest_unless_the_account_has_several() -> None:
    (event,) = events_of(item("CAPTURE", **DONE), capture="manual", multicapture="on")

    assert list(event.entries) == [
        captured(CaptureStatus.SUCCEEDED),
        AttemptEntry(ref=PAYMENT, status=AttemptStatus.AUTHORIZED),
    ]


def test_a_capture_of_ours_is_known_by_its_request() -> None:
    for success, status in (("true", CaptureStatus.SUCCEEDED), ("false", CaptureStatus.REFUSED)):
        entries = entries_of("CAPTURE", success, merchantReference=REFUND_REF, **DONE)
        assert entries[0] == captured(status, REFUND_ID)


def test_a_capture_that_came_again_is_an_event_of_its_own_and_a_reason_for_a_person() -> None:
    """Its signed fields are those of the first: only the reason, which nobody signs, tells it."""
    words = ("Transaction Recaptured", "Transaction Auto-recaptured")
    first, *again = events_of(item("CAPTURE", **DONE), *[item("CAPTURE", **DONE, reason=reason) for reason in words])

    assert {event.event_id for event in again} == {f"{first.event_id}:recaptured"}
    for event in again:
        assert list(event.entries) == [
            *first.entries,
            NoticeEntry(reason=ReviewReason.RECAPTURED, ref=OWN),
        ]


@pytest.mark.parametrize("code", ["CANCELLATION", "TECHNICAL_CANCEL"])
def test_a_cancellation_that_names_no_authorisation_is_of_the_whole_payment(code: str) -> None:
    assert entries_of(code, pspReference=OWN) == [ClosedEntry(status=PaymentStatus.CANCELED)]


def test_an_end_that_names_nothing_else_is_of_the_authorisation_whose_name_it_has() -> None:
    assert entries_of("EXPIRE", pspReference=PAYMENT) == [AttemptEntry(ref=PAYMENT, status=AttemptStatus.EXPIRED)]


REFUNDS = {
    ("POSTPONED_REFUND", "true"): RefundStatus.PROCESSING,
    ("REFUND", "true"): RefundStatus.SUCCEEDED,
    ("REFUND", "false"): RefundStatus.FAILED,
    ("REFUND_WITH_DATA", "true"): RefundStatus.SUCCEEDED,
    ("REFUND_WITH_DATA", "false"): RefundStatus.FAILED,
    ("REFUND_FAILED", "true"): RefundStatus.FAILED,
    ("REFUNDED_REVERSED", "true"): RefundStatus.FAILED,
}


@pytest.mark.parametrize(("code", "success"), REFUNDS)
@pytest.mark.parametrize("reference", [PAYMENT_REF, REFUND_REF, THEIRS])
def test_a_refund_is_of_the_authorisation_that_it_names(code: str, success: str, reference: str) -> None:
    (event,) = events_of(item(code, success, merchantReference=reference, **DONE))

    assert (event.status, event.refund_ref, event.attempt_ref) == (REFUNDS[code, success], OWN, PAYMENT)
    assert (event.amount, event.currency, event.names) == (AMOUNT, CURRENCY, (PAYMENT, OWN))
    assert event.provider_ref == ("" if reference == THEIRS else PAYMENT_REF)
    assert event.refund_id == (REFUND_ID if reference == REFUND_REF else None)


@pytest.mark.parametrize("code", sorted(CODES - {"ORDER_CLOSED"}))
def test_every_kind_of_change_is_found_by_what_it_was_done_to_whoever_requested_it(code: str) -> None:
    (event,) = events_of(item(code, merchantReference=THEIRS, **DONE))

    assert (event.provider_ref, event.payment_id, event.names) == ("", None, (PAYMENT, OWN))


@pytest.mark.parametrize("code", sorted(CODES))
def test_without_that_name_anothers_reference_is_another_shops_unless_a_dispute_may_be_known(code: str) -> None:
    events = events_of(item(code, "true", merchantReference=THEIRS, pspReference=OWN))

    assert [event.names for event in events] == ([(OWN,)] if code in STEPS else [])


def dispute(code: str, **fields: Any) -> DisputeEntry:
    (entry,) = [entry for entry in entries_of(code, **DONE, **fields) if isinstance(entry, DisputeEntry)]
    return entry


def test_a_dispute_has_its_own_name_and_that_of_its_payment() -> None:
    entry = dispute(
        "CHARGEBACK",
        amount={"currency": "USD", "value": 4000},
        additionalData={
            "chargebackReasonCode": " 13.1",
            "defensePeriodEndsAt": "2026-12-31T03:03:07+02:00",
            "capturePspReference": "C1",
            "grossValue": "2000",
        },
    )

    assert entry == DisputeEntry(
        ref=OWN,
        stage=DisputeStage.CHARGEBACK,
        status=DisputeStatus.NEEDS_RESPONSE,
        rank=2,
        reason=DisputeReason.NOT_RECEIVED,
        evidence_due_at=datetime(2026, 12, 31, 1, 3, 7, tzinfo=UTC),
        blocks_refund=True,
        step=1,
        money_out=True,
        amount=Decimal("40.00"),
        currency="USD",
        attempt_ref=PAYMENT,
    )


IN_ORDER = [
    # code; movements of money, whether it is out after the last; whether refunds are held back before the first
    ("NOTIFICATION_OF_FRAUD", 0, False, False),
    ("REQUEST_FOR_INFORMATION", 0, False, False),
    ("NOTIFICATION_OF_CHARGEBACK", 0, False, True),
    ("DISPUTE_OPENED_WITH_CHARGEBACK", 0, False, True),
    ("CHARGEBACK", 1, True, True),
    ("INFORMATION_SUPPLIED", 0, False, True),
    ("DISPUTE_DEFENSE_PERIOD_ENDED", 0, False, True),
    ("CHARGEBACK_REVERSED", 2, False, False),
    ("ISSUER_RESPONSE_TIMEFRAME_EXPIRED", 0, False, False),
    ("SECOND_CHARGEBACK", 3, True, False),
    ("PREARBITRATION_OPEN", 0, False, True),
    ("PREARBITRATION_DECLINED", 0, False, True),
    ("PREARBITRATION_ACCEPTED", 0, False, True),
    ("PREARBITRATION_ISSUER_WITHDRAWN", 0, False, False),
    ("PREARBITRATION_WON", 4, False, False),
    ("PREARBITRATION_LOST", 4, True, False),
    ("SCHEME_ARBITRATION", 0, False, True),
    ("SCHEME_ARBITRATION_WON", 5, False, False),
    ("SCHEME_ARBITRATION_LOST", 5, True, False),
]


def test_each_step_of_a_dispute_has_its_place_and_its_money() -> None:
    entries = [dispute(code) for code, *_ in IN_ORDER]

    places = [(entry.stage.position, entry.rank) for entry in entries]
    assert places == sorted(set(places)), "later news has a greater place, whatever order it comes in"
    assert [(entry.step, entry.money_out, entry.blocks_refund) for entry in entries] == [
        tuple(money) for _, *money in IN_ORDER
    ]
    assert {code for code, *_ in IN_ORDER} == set(STEPS)
    assert all(entry.at is None for entry in entries), "no time is signed"


def test_the_last_step_counts_in_every_order() -> None:
    steps = [dispute(code) for code in ("CHARGEBACK", "CHARGEBACK_REVERSED", "SECOND_CHARGEBACK")]

    for order in permutations(steps):
        last = max(order, key=lambda entry: entry.step)
        assert (last.step, last.money_out) == (3, True)


def test_an_inquiry_names_no_amount_since_what_is_charged_back_may_be_less() -> None:
    assert dispute("REQUEST_FOR_INFORMATION").amount is None
    assert dispute("NOTIFICATION_OF_FRAUD").amount is None
    assert dispute("NOTIFICATION_OF_CHARGEBACK").amount == AMOUNT


def test_a_report_of_fraud_is_a_notice_too() -> None:
    _, notice = entries_of("NOTIFICATION_OF_FRAUD", **DONE)

    assert notice == NoticeEntry(reason=ReviewReason.FRAUD_WARNING, ref=OWN)
    assert dispute("NOTIFICATION_OF_FRAUD").reason is DisputeReason.FRAUDULENT


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("10.4", DisputeReason.FRAUDULENT),
        ("13.2", DisputeReason.SUBSCRIPTION_CANCELED),
        ("13.3", DisputeReason.NOT_AS_DESCRIBED),
        ("13.7", DisputeReason.CREDIT_NOT_PROCESSED),
        ("12.6.1", DisputeReason.DUPLICATE),
        (" 4837", DisputeReason.FRAUDULENT),
        ("4863", DisputeReason.UNRECOGNIZED),
        ("4834", DisputeReason.PROCESSING_ERROR),
        ("AM04", DisputeReason.BANK_CANNOT_PROCESS),
        ("a code of next year", DisputeReason.GENERAL),
        ("", None),
        (7, None),
    ],
)
def test_reasons_are_in_words_that_all_providers_share(code: object, reason: DisputeReason | None) -> None:
    assert dispute("CHARGEBACK", additionalData={"chargebackReasonCode": code}).reason is reason


@pytest.mark.parametrize("deadline", ["soon", "2026-12-31", "", 7, None])
def test_a_deadline_that_is_none_refuses_nothing(deadline: object) -> None:
    assert dispute("CHARGEBACK", additionalData={"defensePeriodEndsAt": deadline}).evidence_due_at is None


@pytest.mark.parametrize(("currency", "value", "amount"), [("KWD", 1_235, "1.235"), ("JPY", 240, "240")])
def test_amounts_have_the_decimals_of_their_currency(currency: str, value: int, amount: str) -> None:
    (entry,) = entries_of("AUTHORISATION", amount={"currency": currency, "value": value})

    assert isinstance(entry, AttemptEntry)
    assert (entry.presumed, entry.currency) == (Decimal(amount), currency)


@pytest.mark.parametrize("code", sorted(CODES | {"A_WORD_OF_NEXT_YEAR"}))
@pytest.mark.parametrize("success", ["true", "false"])
def test_an_item_with_anything_in_it_replaced_is_read_or_refused(code: str, success: str) -> None:
    """Signed by Adyen, whatever it is: any other error fails the test."""
    provider = KIT.provider()
    for changed in rewritten(item(code, success, **DONE)):
        if isinstance(changed, dict):
            read_sealed(provider, KIT.sealed(batch(changed)))


@pytest.mark.parametrize("code", sorted(CODES))
def test_an_event_is_the_same_however_often_it_is_delivered_and_another_has_another_id(code: str) -> None:
    success = "false" if code == "ORDER_CLOSED" else "true"
    first, again = (events_of(item(code, success, **DONE))[0] for _ in range(2))
    (other,) = events_of(item(code, success, **DONE | {"pspReference": "NC6HT9CRT65ZGN77"}))

    assert first == again
    assert first.event_id != other.event_id
