"""Mollie: a webhook says only which payment has news; everything else is an answer of its server."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.mollie.provider import MollieProvider
from checkout_service.providers.base import (
    Decline,
    Opening,
    ParsedWebhook,
    ProviderError,
    ProviderEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    ThinEvent,
    UnreadableError,
    UnverifiedError,
)
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID, REFUND_ID, SignedWebhook
from tests.providers.kits.mollie import KIT, OPTIONS, MollieBank

HELD = KIT.reference()


def at(bank: MollieBank) -> tuple[MollieProvider, Reference]:
    """The provider with one open payment, and what we know of it."""
    provider = KIT.provider(answer=bank)
    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    return provider, replace(HELD, provider_ref=made.provider_ref, payment_token=made.payment_token)


def statuses(events: Any) -> list[Any]:
    """Of what is recorded: an event without an id only says that nothing is under way."""
    return [event.status for event in events if not isinstance(event, ProviderEvent) or event.event_id]


def entries(events: Any, kind: type[Any]) -> list[Any]:
    return [entry for event in events for entry in getattr(event, "entries", ()) if isinstance(entry, kind)]


def test_a_webhook_is_a_thin_event_that_anybody_could_have_written() -> None:
    parsed = KIT.provider().verify_and_parse(SignedWebhook(body=b"id=tr_7UhSN1zuXS").raw("mollie"))
    thin_event = ThinEvent(provider="mollie", provider_ref="tr_7UhSN1zuXS", verified=False)
    assert parsed == ParsedWebhook(events=[thin_event], secret=None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"id=",
        b"id=tr_",
        b"id=ord_kEn1PlbGa",
        b"id=tr_7UhSN1zuXS&id=tr_other",
        b"id=tr_7UhSN1zuXS&testmode=1",
        b"id=tr_7UhSN1zuXS\n",
        b" id=tr_7UhSN1zuXS",
        b"ID=tr_7UhSN1zuXS",
        b"id=tr_../refunds",
        b"id=tr_%2e%2e",
        b"id=tr_a?embed=x",
        b"id=tr_" + b"a" * 65,
        "id=tr_größe".encode(),
        b"id=tr_\xff",
        b"id=tr_\x00",
        b'{"id": "tr_7UhSN1zuXS"}',
        b"[" * 100_000,
    ],
)
def test_any_other_body_is_unverified(body: bytes) -> None:
    """Not unreadable: anybody can send it, and must not fill the list of what failed."""
    with pytest.raises(UnverifiedError):
        KIT.provider().verify_and_parse(SignedWebhook(body=body).raw("mollie"))


def test_a_payment_carries_our_id_as_the_key_and_in_its_metadata() -> None:
    bank = MollieBank()
    provider = KIT.provider(answer=bank)

    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))

    (call,) = bank.requests
    assert str(call.url) == "https://api.mollie.com/v2/payments"
    assert call.headers["Idempotency-Key"] == str(PAYMENT_ID)
    assert call.headers["Authorization"] == f"Bearer {OPTIONS['api_key']}"
    assert json.loads(call.content) == {
        "amount": {"currency": "USD", "value": "240.00"},
        "description": f"Payment {PAYMENT_ID}",
        "metadata": {"payment_id": str(PAYMENT_ID)},
        "redirectUrl": OPTIONS["return_url"],
        "webhookUrl": OPTIONS["webhook_url"],
    }
    assert made.provider_ref.startswith("tr_")
    assert made.payment_token.startswith("https://www.mollie.com/checkout/")
    assert (made.amount, made.currency) == (AMOUNT, CURRENCY)
    assert provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY)) == made
    assert len(bank.payments) == 1


def test_amounts_have_the_decimals_of_their_currency_and_are_never_rounded() -> None:
    bank = MollieBank()
    provider = KIT.provider(answer=bank)

    with pytest.raises(ProviderRefusedError) as caught:
        provider.open(Opening(payment_id=PAYMENT_ID, amount=Decimal("240.50"), currency="JPY"))
    assert caught.value.reason is Decline.AMOUNT_REFUSED
    assert bank.requests == []

    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=Decimal("240.00"), currency="JPY"))
    assert made.amount == Decimal("240.00")
    assert json.loads(bank.requests[0].content)["amount"] == {"currency": "JPY", "value": "240"}


@pytest.mark.parametrize(
    ("held", "status"),
    [
        ("open", None),
        ("pending", PaymentStatus.PROCESSING),
        ("authorized", PaymentStatus.AUTHORIZED),
        ("failed", PaymentStatus.FAILED),
        ("expired", PaymentStatus.EXPIRED),
        ("canceled", PaymentStatus.CANCELED),
        ("paid", PaymentStatus.PAID),
        ("a word of next year", None),
    ],
)
def test_a_payment_proves_its_status(held: str, status: PaymentStatus | None) -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    bank.payments[reference.provider_ref]["status"] = held

    events = provider.look_up(reference)

    assert statuses(events) == ([status] if status else [])
    assert bank.requests[-1].url.query == b"embed=refunds,chargebacks,captures"
    assert [event.event_id for event in provider.look_up(reference)] == [event.event_id for event in events]


def test_money_that_came_is_kept_without_who_paid_it() -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)

    (event,) = provider.look_up(reference)

    assert (event.amount, event.currency, event.payment_id) == (AMOUNT, CURRENCY, PAYMENT_ID)
    assert event.event_id == f"lookup:{reference.provider_ref}:paid:240.00"
    assert event.occurred_at.isoformat() == "2026-11-25T12:00:00+00:00"
    kept = json.dumps(event.raw)
    assert str(PAYMENT_ID) in kept
    assert not [word for word in ("cardNumber", "4242", "Tester") if word in kept]


def test_each_news_is_an_event_of_its_own_and_the_same_news_is_none() -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    ref = reference.provider_ref
    seen: list[set[str]] = []

    def look() -> None:
        first, second = provider.look_up(reference), provider.look_up(reference)
        assert [event.event_id for event in first] == [event.event_id for event in second]
        seen.append({event.event_id for event in first})

    bank.pay(ref)
    look()
    bank.refund(ref, "re_1", "40.00", status="pending")
    look()
    bank.refund(ref, "re_1", "40.00", status="refunded")
    look()
    bank.refund(ref, "re_2", "40.00", status="pending")
    look()
    bank.charge_back(ref)
    look()

    for before, after in itertools.pairwise(seen):
        assert after - before, "there was news"


@pytest.mark.parametrize(
    ("held", "status"),
    [
        ("queued", RefundStatus.PROCESSING),
        ("pending", RefundStatus.PROCESSING),
        ("processing", RefundStatus.PROCESSING),
        ("refunded", RefundStatus.SUCCEEDED),
        ("failed", RefundStatus.FAILED),
        ("canceled", RefundStatus.FAILED),
        ("a word of next year", RefundStatus.PROCESSING),
    ],
)
def test_a_refund_made_in_the_dashboard_is_seen_with_its_status(held: str, status: RefundStatus) -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.refund(reference.provider_ref, "re_4qqhO89gsT", "40.00", status=held)

    _, refund = provider.look_up(reference)

    assert (refund.status, refund.refund_ref, refund.refund_id) == (status, "re_4qqhO89gsT", None)
    assert (refund.amount, refund.currency) == (Decimal("40.00"), "USD")
    assert (refund.provider_ref, refund.payment_id) == (reference.provider_ref, PAYMENT_ID)


def test_a_refund_has_our_id_as_the_key_and_in_its_metadata() -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)

    (made,) = provider.refund(reference, refund_id=REFUND_ID, amount=Decimal("40.00"), reason="too small")

    call = bank.requests[-1]
    assert call.url.path == f"/v2/payments/{reference.provider_ref}/refunds"
    assert call.headers["Idempotency-Key"] == str(REFUND_ID)
    assert json.loads(call.content) == {
        "amount": {"currency": "USD", "value": "40.00"},
        "metadata": {"refund_id": str(REFUND_ID)},
        "description": "too small",
    }
    assert (made.status, made.refund_id, made.amount) == (RefundStatus.PROCESSING, REFUND_ID, Decimal("40.00"))
    assert len(bank.refunds) == 1
    _, seen = provider.look_up(reference)
    assert seen == made


def test_a_refund_is_made_once_even_if_its_key_was_forgotten() -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)

    first = provider.refund(reference, refund_id=REFUND_ID, amount=Decimal("40.00"), reason=None)
    bank._answers.clear()
    again = provider.refund(reference, refund_id=REFUND_ID, amount=Decimal("40.00"), reason=None)

    assert first == again
    assert len(bank.refunds) == 1
    assert provider.refund(reference, refund_id=uuid4(), amount=Decimal("40.00"), reason=None) != first


def test_a_payment_is_canceled_where_its_method_allows_it() -> None:
    bank = MollieBank()
    provider, reference = at(bank)

    assert statuses(provider.cancel(reference)) == [PaymentStatus.CANCELED]
    assert bank.requests[-1].method == "DELETE"
    assert bank.payments[reference.provider_ref]["status"] == "canceled"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"isCancelable": False}, []),
        ({"status": "paid"}, [PaymentStatus.PAID]),
        ({"status": "expired"}, [PaymentStatus.EXPIRED]),
    ],
)
def test_what_cannot_be_canceled_says_how_it_stands(change: dict[str, Any], status: list[PaymentStatus]) -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    bank.payments[reference.provider_ref] |= change
    assert statuses(provider.cancel(reference)) == status


def test_a_payment_that_mollie_does_not_have_is_unknown() -> None:
    provider = KIT.provider(answer=MollieBank())
    for call in (provider.look_up, provider.cancel):
        with pytest.raises(ProviderRefusedError) as caught:
            call(HELD)
        assert caught.value.reason is Decline.UNKNOWN_REFERENCE


WHOLE = {"id": HELD.provider_ref, "status": "paid", "amount": {"currency": "USD", "value": "240.00"}}
ANSWERS: dict[str, tuple[httpx.Response, type[ProviderError]]] = {
    "about another payment": (httpx.Response(200, json=WHOLE | {"id": "tr_other"}), UnreadableError),
    "with another id of ours": (
        httpx.Response(200, json=WHOLE | {"metadata": {"payment_id": str(uuid4())}}),
        UnreadableError,
    ),
    "a number for an amount": (
        httpx.Response(200, json=WHOLE | {"amount": {"currency": "USD", "value": 240}}),
        UnreadableError,
    ),
    "chargebacks of another kind": (
        httpx.Response(200, json=WHOLE | {"_embedded": {"chargebacks": [7]}}),
        UnreadableError,
    ),
    "a refund without an id": (httpx.Response(200, json=WHOLE | {"_embedded": {"refunds": [{}]}}), UnreadableError),
    "no JSON": (httpx.Response(200, text="<html>hunter2"), UnreadableError),
    "away": (httpx.Response(503), ProviderUnavailableError),
    "too many": (httpx.Response(429), ProviderUnavailableError),
    "a wrong key": (httpx.Response(401, json={"title": "Unauthorized Request"}), ProviderRefusedError),
}


@pytest.mark.parametrize(("answer", "error"), ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_that_is_no_use_is_one_of_three_errors(answer: httpx.Response, error: type[ProviderError]) -> None:
    with pytest.raises(error) as caught:
        KIT.provider(answer=lambda _: answer).look_up(HELD)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("amount", Decline.AMOUNT_REFUSED),
        ("amount.currency", Decline.CURRENCY_REFUSED),
        (None, Decline.NOT_IN_THIS_STATE),
        (7, Decline.NOT_IN_THIS_STATE),
    ],
)
def test_a_refusal_has_one_of_the_shared_words(field: Any, reason: Decline) -> None:
    refused = httpx.Response(422, json={"status": 422, "title": "Unprocessable Entity", "field": field})

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=WHOLE) if request.method == "GET" else refused

    with pytest.raises(ProviderRefusedError) as caught:
        KIT.provider(answer=answer).refund(HELD, refund_id=REFUND_ID, amount=AMOUNT, reason=None)
    assert caught.value.reason is reason
