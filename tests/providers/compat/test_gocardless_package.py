"""Our reading of webhooks and our calls against GoCardless' own package, gocardless-pro."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import gocardless_pro
import pytest
import requests
from gocardless_pro import api_client, errors, webhooks

from checkout_service.providers.adapters.gocardless.names import is_id
from checkout_service.providers.base import Opening, UnreadableError, UnverifiedError
from tests.providers.compat.wires import RequestsWire, content_of
from tests.providers.contract.judging import read, read_sealed
from tests.providers.contract.test_calls import opened, reference_of
from tests.providers.kits.gocardless import KIT, OPTIONS, GoCardlessBank, delivery, event, sign
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID, REFUND_ID, SignedWebhook

SECRET = KIT.secrets[0]
HEADERS = ("Idempotency-Key", "Authorization", "GoCardless-Version")


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> GoCardlessBank:
    """A server that their client is led to: it opens no session, and calls the functions of requests."""
    made = GoCardlessBank()
    session = requests.Session()
    session.mount("https://", RequestsWire(made))
    for method in ("get", "post"):
        monkeypatch.setattr(api_client.requests, method, getattr(session, method))
    return made


def their_client(**options: Any) -> gocardless_pro.Client:
    return gocardless_pro.Client(access_token=OPTIONS["access_token"], environment="sandbox", **options)


def they_read(webhook: SignedWebhook, secret: str = SECRET) -> list[tuple[str, str, str]] | None:
    """The events that their package reads in a delivery; None where it refuses it."""
    try:
        found = webhooks.parse(webhook.body, secret, webhook.headers["webhook-signature"])
    except errors.InvalidSignatureError:
        return None
    return [(each.id, each.resource_type, each.action) for each in found]


def test_they_read_our_stand_ins_deliveries_and_so_do_we() -> None:
    for kind, webhook in KIT.movements().items():
        (found,) = they_read(webhook) or ()
        assert ".".join(found[1:]) == kind
        assert read(KIT.provider(), webhook)
    parsed = webhooks.parse_with_meta(webhook.body, SECRET, webhook.headers["webhook-signature"])
    assert parsed.webhook_id == "WB0000000000001"
    assert parsed.events[0].resource_metadata == {"payment_id": str(PAYMENT_ID)}, "what we know our payments by"


def test_they_refuse_what_was_changed_and_so_do_we() -> None:
    webhook = KIT.webhook(None)
    provider = KIT.provider()
    for place, byte in enumerate(webhook.body):
        body = webhook.body[:place] + bytes([byte ^ 1]) + webhook.body[place + 1 :]
        changed = replace(webhook, body=body)
        assert they_read(changed) is None
        assert read(provider, changed) is None
    signature = webhook.headers["webhook-signature"]
    for other in (signature.upper(), signature[:-1], f" {signature}", f"{signature}\n", "", "0" * 64):
        changed = replace(webhook, headers={"webhook-signature": other})
        assert they_read(changed) is None
        assert read(provider, changed) is None
    assert they_read(webhook, KIT.secrets[1]) is None


@pytest.mark.parametrize("signature", [None, "ü" * 64])
def test_a_header_that_is_no_ascii_text_breaks_them_and_is_unverified_here(signature: str | None) -> None:
    webhook = KIT.webhook(None)
    with pytest.raises(TypeError):
        webhooks.parse(webhook.body, SECRET, signature)

    headers = {} if signature is None else {"webhook-signature": signature}
    with pytest.raises(UnverifiedError):
        KIT.provider().verify_and_parse(replace(webhook, headers=headers).raw("gocardless"))


def test_an_empty_secret_verifies_what_anybody_writes_with_them_and_nothing_here() -> None:
    webhook = sign(delivery(event("payments", "confirmed", 1)), "")
    assert they_read(webhook, "") is not None
    assert read(KIT.provider(""), webhook) is None


@pytest.mark.parametrize(
    ("body", "error"), [(b"{}", KeyError), (b"[]", TypeError), (b"\xff", UnicodeDecodeError), (b"{", ValueError)]
)
def test_a_signed_body_that_holds_no_events_breaks_them_and_is_unreadable_here(
    body: bytes, error: type[Exception]
) -> None:
    webhook = KIT.sealed(body)
    with pytest.raises(error):
        they_read(webhook)
    with pytest.raises(UnreadableError):
        KIT.provider().verify_and_parse(webhook.raw("gocardless"))


def test_of_a_key_that_stands_twice_they_take_the_last_and_we_neither() -> None:
    one = json.dumps([event("payments", "confirmed", 1)])
    webhook = KIT.sealed(f'{{"events": [], "events": {one}}}'.encode())
    assert they_read(webhook) == [("EV000000000001", "payments", "confirmed")]
    assert read_sealed(KIT.provider(), webhook) is None


def test_their_client_and_ours_send_the_same(bank: GoCardlessBank) -> None:
    provider, client = KIT.provider(answer=bank), their_client()
    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    reference = reference_of(made)
    request_id = made.payment_token.rpartition("#")[2]
    bank.pay(made.provider_ref)
    payment_ref = bank.payments[made.provider_ref]["links"]["payment_request_payment"]
    provider.look_up(reference)
    provider.refund(replace(reference, attempt_ref=payment_ref), refund_id=REFUND_ID, amount=AMOUNT, reason=None)
    ours = [content_of(call, *HEADERS) for call in bank.requests]
    bank.requests.clear()
    orders = {call[1].rpartition("/")[2]: next(iter(call[3].values())) for call in ours if call[0] == "POST"}

    keyed = {"Idempotency-Key": str(PAYMENT_ID)}
    client.billing_requests.create(params=orders["billing_requests"], headers=keyed)
    with pytest.raises(errors.IdempotentCreationConflictError):
        client.billing_request_flows.create(
            params=orders["billing_request_flows"], headers={"Idempotency-Key": f"{PAYMENT_ID}-flow"}
        )
    client.billing_requests.get(request_id)
    client.payments.get(payment_ref)
    client.events.list(params={"payment": payment_ref, "limit": 500})
    client.refunds.list(params={"payment": payment_ref, "limit": 500})
    client.refunds.list(params={"payment": payment_ref, "limit": 500})
    client.payments.get(payment_ref)
    client.refunds.create(params=orders["refunds"], headers={"Idempotency-Key": str(REFUND_ID)})
    theirs = [content_of(call, *HEADERS) for call in bank.requests]

    # What came before by its key is read: by their client as by ours.
    reads = [call for call in theirs if call[0] == "GET" and call[2]["Idempotency-Key"] is not None]
    assert [call[1].rpartition("/")[2] for call in reads] == [request_id, "RF000000001"]
    assert [call for call in theirs if call not in reads] == ours


def test_what_came_before_by_its_key_is_what_both_make_of_a_conflict(bank: GoCardlessBank) -> None:
    provider = KIT.provider(answer=bank)
    made = opened(provider)
    (held,) = bank.payments.values()

    again = their_client().billing_requests.create(params={}, headers={"Idempotency-Key": str(PAYMENT_ID)})

    assert again.id == held["id"] == made.payment_token.rpartition("#")[2]
    assert opened(provider) == made
    assert again.payment_request.amount == 24000
    assert again.metadata == {"payment_id": str(PAYMENT_ID)}


def test_a_flow_that_came_before_cannot_be_read_and_is_begun_again(bank: GoCardlessBank) -> None:
    """Their client has no call to read a flow, so it hands the conflict on: ours begins the flow again."""
    made = opened(KIT.provider(answer=bank))
    assert not hasattr(their_client().billing_request_flows, "get")
    (flow_ref,) = bank.flows

    begun = their_client().billing_request_flows.initialise(flow_ref)

    assert made.payment_token.startswith(begun.authorisation_url)


def test_an_id_that_would_lead_elsewhere_gets_into_no_address(bank: GoCardlessBank) -> None:
    """They let through what is no id and leads nowhere else; we take ids alone."""
    for other in ("../payments", "PM1?x=1", "PM1#", "PM1\n", ""):
        assert not is_id(other, "PM")
        with pytest.raises(errors.GoCardlessProError):
            their_client().payments.get(other)
    assert bank.requests == []
    assert not is_id("PM 1", "PM")
    assert not is_id("PMü", "PM")


def test_what_their_package_reads_of_a_failed_webhook_is_what_the_backfill_reads(bank: GoCardlessBank) -> None:
    body = delivery(event("payments", "failed", 1)).decode()
    bank.webhooks = [{"id": "WB1", "successful": False, "request_body": body, "created_at": "2026-11-25T12:00:00Z"}]

    (found,) = their_client().webhooks.list(params={"successful": "false", "limit": 6}).records

    assert (found.id, found.request_body, found.successful) == ("WB1", body, False)
