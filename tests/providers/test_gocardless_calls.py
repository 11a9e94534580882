"""GoCardless: what it is sent to open, to cancel and to refund, and what comes of a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.adapters.gocardless.provider import GoCardlessProvider
from checkout_service.providers.base import (
    Buyer,
    Decline,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from checkout_service.providers.entries import ClosedEntry
from tests.providers.contract.test_calls import opened
from tests.providers.kits.gocardless import KIT, GoCardlessBank, refused
from tests.providers.kits.kit import AMOUNT, PAYMENT_ID, REFUND_ID
from tests.providers.test_gocardless import OTHER, at, entries, events_of, sent


def test_a_currency_without_a_scheme_is_refused_before_any_call() -> None:
    for currency in ("CHF", "JPY", "KWD"):
        with pytest.raises(ProviderRefusedError) as caught:
            opened(KIT.provider(), amount=Decimal(12), currency=currency)
        assert caught.value.reason is Decline.CURRENCY_REFUSED
    for currency in ("GBP", "EUR", "USD", "AUD", "NZD", "CAD", "SEK", "DKK"):
        assert opened(KIT.provider(answer=GoCardlessBank()), currency=currency).amount == AMOUNT


def test_what_is_opened_names_us_in_the_metadata_that_the_payment_will_have() -> None:
    bank = GoCardlessBank()
    provider = KIT.provider(answer=bank, deployment="uniforms", fallback="on")
    opened(provider)

    (order,) = sent(bank, "billing_requests")
    ours = {"payment_id": str(PAYMENT_ID), "deployment": "uniforms"}
    request = order["billing_requests"]
    assert request["metadata"] == request["payment_request"]["metadata"] == ours
    assert (request["payment_request"]["amount"], request["fallback_enabled"]) == (24000, True)


def test_a_key_that_was_used_for_another_payment_is_refused() -> None:
    bank = GoCardlessBank()
    provider, _ = at(bank)
    with pytest.raises(ProviderRefusedError) as caught:
        opened(provider, amount=Decimal("40.00"))
    assert caught.value.reason is Decline.KEY_REUSED


def test_a_conflict_that_names_nothing_is_waited_for() -> None:
    for resource in ("", "../payments/PM1", "PM000001"):
        provider = KIT.provider(
            answer=lambda _, resource=resource: refused(
                409, "invalid_state", "idempotent_creation_conflict", resource=resource
            )
        )
        with pytest.raises(ProviderRefusedError) as caught:
            opened(provider)
        assert caught.value.reason is Decline.KEY_REUSED


def test_the_pages_are_opened_without_a_customer_that_gocardless_dislikes() -> None:
    bank = GoCardlessBank()

    def answer(request: httpx.Request) -> httpx.Response:
        if b"prefilled_customer" in request.content:
            bank.requests.append(request)
            return refused(422, "validation_failed", "", field="prefilled_customer.phone_number")
        return bank(request)

    buyer = Buyer(email="ada@example.com", name="Ada Lovelace", locale="en-GB", phone="+44 20 7946 0018")
    first, again = (opened(KIT.provider(answer=answer), buyer=buyer) for _ in range(2))

    assert first == again
    assert len(bank.flows) == 1
    keys = [call.headers["Idempotency-Key"] for call in bank.requests if call.url.path == "/billing_request_flows"]
    assert keys == [f"{PAYMENT_ID}-flow", f"{PAYMENT_ID}-plain-flow"] * 2


@pytest.mark.parametrize(
    "url", ["http://pay.test/1", "javascript:alert(1)", "//pay.test", "https://pay.test/#elsewhere", ""]
)
def test_a_browser_is_sent_to_no_other_kind_of_address(url: str) -> None:
    bank = GoCardlessBank()

    def answer(request: httpx.Request) -> httpx.Response:
        response = bank(request)
        return httpx.Response(response.status_code, content=response.content.replace(FLOW, url.encode()))

    with pytest.raises(UnreadableError):
        opened(KIT.provider(answer=answer))


FLOW = b"https://pay-sandbox.gocardless.com/billing/static/flow?id=BRFBE17D8406C33"


def test_an_open_request_is_canceled_once() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    for _ in range(2):
        found = provider.cancel(reference)
        assert [each.status for each in events_of(found)] == [PaymentStatus.CANCELED]
        assert entries(found, ClosedEntry) == [ClosedEntry(status=PaymentStatus.CANCELED)]


def test_a_debit_is_canceled_as_long_as_no_bank_has_it() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.fulfil(reference.provider_ref)
    (payment_ref,) = bank.debits
    known = replace(reference, attempt_ref=payment_ref)
    assert [each.status for each in events_of(provider.cancel(known))] == [PaymentStatus.CANCELED]

    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.fulfil(reference.provider_ref)
    bank.happen(reference.provider_ref, "submitted")
    assert [each.status for each in events_of(provider.cancel(reference))] == [PaymentStatus.PROCESSING]


def test_a_debit_that_we_did_not_know_of_is_not_canceled() -> None:
    """Its customer authorised it while our webhooks were late: whoever cancels takes it for unpaid."""
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.fulfil(reference.provider_ref)
    assert [each.status for each in events_of(provider.cancel(reference))] == [PaymentStatus.PROCESSING]
    (debit,) = bank.debits.values()
    assert debit["status"] == "pending_submission"


def test_a_debit_that_a_bank_took_between_two_calls_is_not_canceled() -> None:
    bank = GoCardlessBank()
    _, reference = at(bank)
    bank.fulfil(reference.provider_ref)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/payments/") and request.method == "POST":
            bank.happen(reference.provider_ref, "submitted")
        return bank(request)

    (payment_ref,) = bank.debits
    found = KIT.provider(answer=answer).cancel(replace(reference, attempt_ref=payment_ref))
    assert [each.status for each in events_of(found)] == [PaymentStatus.PROCESSING]


def test_a_debit_that_failed_is_closed_where_it_is_canceled() -> None:
    """Its session is over: nobody would ask about it for ever."""
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.fulfil(reference.provider_ref)
    bank.happen(reference.provider_ref, "failed")
    assert entries(provider.cancel(reference), ClosedEntry) == [ClosedEntry(status=PaymentStatus.FAILED)]

    bank.happen(reference.provider_ref, "resubmission_requested")
    bank.happen(reference.provider_ref, "confirmed")
    bank.happen(reference.provider_ref, "failed")
    assert entries(provider.cancel(reference), ClosedEntry) == [], "money came, whatever became of it"


def refund(provider: GoCardlessProvider, reference: Reference, amount: str = "40.00", **options: Any) -> Any:
    order: dict[str, Any] = {"refund_id": REFUND_ID, "amount": Decimal(amount), "reason": "too small"}
    return provider.refund(reference, **(order | options))


def test_a_refund_tells_the_sum_of_all_and_names_us() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    refund(provider, reference)
    refund(provider, reference, "60.00", refund_id=OTHER)

    first, second = (order["refunds"] for order in sent(bank, "refunds"))
    assert (first["amount"], first["total_amount_confirmation"]) == (4000, 4000)
    assert (second["amount"], second["total_amount_confirmation"]) == (6000, 10000)
    assert first["metadata"] == {"payment_id": str(PAYMENT_ID), "refund_id": str(REFUND_ID)}


def test_a_refund_that_was_made_is_found_even_when_its_key_is_forgotten() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    first = refund(provider, reference)
    bank.keys.clear()
    assert refund(provider, reference) == first
    assert len(bank.refunds) == 1


def test_refunds_at_the_same_time_wait_for_each_other() -> None:
    """The sum that one of them read is not true any more: GoCardless refuses it, and it is asked for again."""
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    interrupted: list[bool] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.url.path == "/refunds" and not interrupted:
            interrupted.append(True)
            refund(provider, reference, "60.00", refund_id=OTHER)
        return bank(request)

    with pytest.raises(ProviderUnavailableError) as caught:
        refund(KIT.provider(answer=answer), reference)
    assert caught.value.in_progress
    refund(provider, reference)
    assert sorted(made["amount"] for made in bank.refunds.values()) == [4000, 6000]


def test_a_refund_that_came_back_counts_in_no_sum() -> None:
    """Whether amount_refunded has it still, nothing says: both sums are tried."""
    for counts_failed in (False, True):
        bank = GoCardlessBank()
        bank.counts_failed = counts_failed
        provider, reference = at(bank)
        bank.pay(reference.provider_ref)
        bank.give_back(reference.provider_ref, "RFbounced", "paid", 6000)
        bank.give_back(reference.provider_ref, "RFbounced", "bounced", 6000)
        refund(provider, reference)
        assert [made["amount"] for made in bank.refunds.values() if made["status"] == "created"] == [4000]
        totals = [order["refunds"]["total_amount_confirmation"] for order in sent(bank, "refunds")]
        assert totals == ([10000, 4000] if counts_failed else [4000])


def test_a_sum_that_stays_refused_is_for_staff() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.off = 500
    with pytest.raises(ProviderRefusedError, match="sum of all refunds") as caught:
        refund(provider, reference)
    assert caught.value.reason is Decline.NOT_IN_THIS_STATE
    assert len(sent(bank, "refunds")) == 3
    assert bank.refunds == {}


def test_what_was_not_collected_is_not_refunded() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    for prepare in (lambda: None, lambda: bank.fulfil(reference.provider_ref)):
        prepare()
        with pytest.raises(ProviderRefusedError) as caught:
            refund(provider, reference)
        assert caught.value.reason is Decline.NOT_IN_THIS_STATE
    assert bank.refunds == {}


REFUSALS: dict[str, tuple[httpx.Response, Decline]] = {
    "switched off": (refused(403, "invalid_api_usage", "feature_disabled"), Decline.NOT_IN_THIS_STATE),
    "no rights": (refused(403, "invalid_api_usage", "insufficient_permissions"), Decline.CREDENTIALS),
    "an empty account": (
        refused(422, "validation_failed", "available_refund_amount_insufficient"),
        Decline.INSUFFICIENT_FUNDS,
    ),
    "five already": (refused(422, "invalid_state", "number_of_refunds_exceeded"), Decline.NOT_IN_THIS_STATE),
    "too much": (refused(422, "validation_failed", "", field="amount"), Decline.AMOUNT_REFUSED),
    "another reason": (refused(422, "validation_failed", "of another age"), Decline.OTHER),
}


@pytest.mark.parametrize(("answered", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_refund_says_why(answered: httpx.Response, reason: Decline) -> None:
    bank = GoCardlessBank()
    _, reference = at(bank)
    bank.pay(reference.provider_ref)

    def answer(request: httpx.Request) -> httpx.Response:
        return answered if request.method == "POST" else bank(request)

    with pytest.raises(ProviderRefusedError) as caught:
        refund(KIT.provider(answer=answer), reference)
    assert caught.value.reason is reason
    assert "hunter2" not in caught.value.answer


def test_there_is_nothing_to_capture_or_to_release() -> None:
    calls: list[Callable[[], Any]] = [
        lambda: KIT.provider().capture(KIT.reference(), request_id=uuid4(), amount=AMOUNT, final=True),
        lambda: KIT.provider().void(KIT.reference(), void_id=uuid4()),
    ]
    for call in calls:
        with pytest.raises(ProviderRefusedError) as caught:
            call()
        assert caught.value.reason is Decline.NOT_IN_THIS_STATE
