"""Our calls against Mollie's own package."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import requests
from mollie.api.client import Client
from mollie.api.error import UnprocessableEntityError

from checkout_service.providers.adapters.mollie.responses import EMBEDDED
from checkout_service.providers.base import Opening, ThinEvent
from tests.providers.compat.wires import RequestsWire, content_of
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID, REFUND_ID
from tests.providers.kits.mollie import KIT, OPTIONS, MollieBank

HEADERS = ("Idempotency-Key", "Authorization")


def their_client(bank: MollieBank) -> Client:
    client = Client()
    client.set_api_key(OPTIONS["api_key"])
    client._client = requests.Session()
    client._client.mount("https://", RequestsWire(bank))
    return client


def test_their_client_and_ours_send_the_same() -> None:
    bank = MollieBank()
    provider, client = KIT.provider(answer=bank), their_client(bank)

    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    reference = replace(KIT.reference(), provider_ref=made.provider_ref)
    bank.pay(made.provider_ref)
    provider.look_up(reference)
    provider.refund(reference, refund_id=REFUND_ID, amount=AMOUNT, reason="too small")
    provider.cancel(reference)
    ours = [content_of(call, *HEADERS) for call in bank.requests]
    bank.requests.clear()
    client.payments.create(ours[0][3], idempotency_key=str(PAYMENT_ID))
    payment = client.payments.get(made.provider_ref, embed=EMBEDDED)
    client.payments.get(made.provider_ref, embed=EMBEDDED)
    payment.refunds.create(ours[3][3], idempotency_key=str(REFUND_ID))
    with pytest.raises(UnprocessableEntityError):
        client.payments.delete(made.provider_ref)
    theirs = [content_of(call, *HEADERS) for call in bank.requests]

    assert [call[0] for call in ours] == ["POST", "GET", "GET", "POST", "DELETE", "GET"]
    assert [_without_query_order(call) for call in theirs[:4]] == [_without_query_order(call) for call in ours[:4]]
    assert theirs[4][:2] == ours[4][:2], "they make up a key for each call that is given none"


def test_what_their_package_understands_of_our_stand_in_is_what_we_do() -> None:
    """The stand-in answers in the shape that their objects read."""
    bank = MollieBank()
    provider, client = KIT.provider(answer=bank), their_client(bank)
    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    reference = replace(KIT.reference(), provider_ref=made.provider_ref)

    payment = client.payments.get(made.provider_ref)
    (nothing,) = provider.look_up(reference)
    assert (payment.is_open(), payment.checkout_url) == (True, made.payment_token)
    assert (nothing.status, nothing.event_id) == (None, "")
    bank.pay(made.provider_ref)
    bank.refund(made.provider_ref, "re_4qqhO89gsT", "40.00")

    payment = client.payments.get(made.provider_ref, embed=EMBEDDED)
    paid, refund = provider.look_up(reference)
    assert payment.is_paid()
    assert payment.amount == {"currency": paid.currency, "value": str(paid.amount)}
    assert payment.metadata == {"payment_id": str(PAYMENT_ID)}
    (theirs,) = payment._get_property("_embedded")["refunds"]
    assert (theirs["id"], theirs["status"], theirs["amount"]["value"]) == (refund.refund_ref, "refunded", "40.00")
    assert json.dumps(paid.raw)


def _without_query_order(call: tuple) -> tuple:  # type: ignore[type-arg]
    """Their client escapes the comma of the query."""
    return (call[0], call[1].replace("%2C", ","), *call[2:])


def test_captures_are_those_that_their_package_reads() -> None:
    """It makes none: captures are listed and read there alone."""
    bank = MollieBank()
    provider, client = KIT.provider(answer=bank, capture="manual"), their_client(bank)
    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    reference = replace(KIT.reference(), provider_ref=made.provider_ref)
    bank.authorize(made.provider_ref)
    payment = client.payments.get(made.provider_ref)
    assert (payment.is_authorized(), payment.capture_mode) == (True, "manual")
    assert payment.capture_before == provider.look_up(reference)[0].entries[0].expires_at.isoformat()

    (event,) = provider.capture(reference, request_id=REFUND_ID, amount=AMOUNT, final=True)

    payment = client.payments.get(made.provider_ref, embed=EMBEDDED)
    (theirs,) = payment._get_property("_embedded")["captures"]
    (ours,) = event.entries
    assert payment.is_paid()
    assert (theirs["id"], theirs["paymentId"]) == (ours.ref, ours.attempt_ref)
    assert payment.amount_captured == {"currency": CURRENCY, "value": str(ours.amount)}


def test_refunds_and_chargebacks_are_listed_as_their_package_lists_them() -> None:
    """By this we find the payment of one that a signed event names alone."""
    bank = MollieBank()
    provider, client = KIT.provider(answer=bank), their_client(bank)
    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    bank.pay(made.provider_ref)
    bank.refund(made.provider_ref, "re_4qqhO89gsT", "40.00")
    bank.charge_back(made.provider_ref, "40.00", "chb_n9z0tp")
    for ref, theirs in (("re_4qqhO89gsT", client.refunds), ("chb_n9z0tp", client.chargebacks)):
        bank.requests.clear()
        (listed,) = theirs.list(limit=1, **{"from": ref})
        (found,) = provider.look_up_object([ThinEvent(provider="mollie", provider_ref="", object_ref=ref)]).events

        assert (listed.id, listed["paymentId"]) == (ref, found.provider_ref)
        sent = [(call.method, call.url.path, dict(call.url.params)) for call in bank.requests]
        assert sent == [sent[0]] * 2
