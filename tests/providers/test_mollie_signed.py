"""Mollie's signed webhooks: who may have written one, and which payment it names. What moved is always fetched."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from checkout_service.providers.base import (
    Decline,
    IgnoredReason,
    Opening,
    ParsedWebhook,
    ProviderRefusedError,
    ProviderUnavailableError,
    ThinEvent,
    UnreadableError,
    UnverifiedError,
)
from checkout_service.providers.registry import provider_specs
from checkout_service.providers.unverified_names import names_in
from tests.providers.contract.judging import rewritten
from tests.providers.contract.test_webhooks import HOSTILE
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID, SignedWebhook
from tests.providers.kits.mollie import (
    KIT,
    OPTIONS,
    PAYMENT_REF,
    SECRETS,
    MollieBank,
    event_body,
    sign,
    signature,
)

API = "https://api.mollie.com/v2"
FORM = "application/x-www-form-urlencoded"
MONEY = {"currency": "USD", "value": "240.00"}
PAYMENT = {
    "resource": "payment",
    "id": PAYMENT_REF,
    "mode": "test",
    "status": "paid",
    "amount": MONEY,
    "metadata": {"payment_id": str(PAYMENT_ID)},
}
ENTITIES: dict[str, dict[str, Any]] = {
    "payment.paid": PAYMENT,
    "refund.refunded": {"resource": "refund", "id": "re_4qqhO89gsT", "paymentId": PAYMENT_REF, "amount": MONEY},
    "chargeback.received": {"resource": "chargeback", "id": "chb_n9z0tp", "paymentId": PAYMENT_REF, "amount": MONEY},
    "capture.succeeded": {"resource": "capture", "id": "cpt_gVMhHKqSSRYJyPsuoPNFH", "paymentId": PAYMENT_REF},
}
LINKS = {
    "payment.paid": f"{API}/payments/{PAYMENT_REF}",
    "refund.refunded": f"{API}/payments/{PAYMENT_REF}/refunds/re_4qqhO89gsT",
    "chargeback.received": f"{API}/payments/{PAYMENT_REF}/chargebacks/chb_n9z0tp",
    "capture.succeeded": f"{API}/payments/{PAYMENT_REF}/captures/cpt_gVMhHKqSSRYJyPsuoPNFH",
}
THIN = ThinEvent(provider="mollie", provider_ref=PAYMENT_REF)
OWN = replace(THIN, payment_id=PAYMENT_ID)
"""Of a full event: it has our id."""


def expected(kind: str) -> ThinEvent:
    return OWN if kind == "payment.paid" else THIN


def parsed(webhook: SignedWebhook, *secrets: str, **options: str) -> ParsedWebhook:
    return KIT.provider(*(secrets or SECRETS[:1]), **options).verify_and_parse(webhook.raw("mollie"))


def of(kind: str, **changes: Any) -> bytes:
    """A full event of that kind, with these changes to what it is about."""
    entity = ENTITIES[kind] | changes
    return event_body(kind, str(entity["id"]), entity)


def refused(webhook: SignedWebhook, *secrets: str, **options: str) -> str:
    with pytest.raises(UnverifiedError) as caught:
        parsed(webhook, *secrets, **options)
    return str(caught.value)


@pytest.mark.parametrize("kind", ENTITIES)
def test_a_full_event_names_its_payment_and_nobody_is_called(kind: str) -> None:
    assert parsed(sign(of(kind))) == ParsedWebhook(events=[expected(kind)], secret=0)


@pytest.mark.parametrize("kind", ENTITIES)
@pytest.mark.parametrize("host", ["api.mollie.com", "api.mollie.com.stranger.test", "169.254.169.254"])
def test_a_simple_event_names_its_payment_by_the_path_of_its_link_and_no_link_is_followed(kind: str, host: str) -> None:
    link = LINKS[kind].replace("api.mollie.com", host)
    body = event_body(kind, ENTITIES[kind]["id"], link=link, _embedded=None)
    assert parsed(sign(body)) == ParsedWebhook(events=[THIN], secret=0)


@pytest.mark.parametrize(
    "link",
    [
        None,
        7,
        "re_4qqhO89gsT",
        f"{API}/payments/{PAYMENT_REF}/refunds/re_4qqhO89gsT?embed=payment",
        f"{API}/payments/../refunds/re_4qqhO89gsT",
        f"{API}/payments/{PAYMENT_REF}%2f..",
        f"http://api.mollie.com/v2/payments/{PAYMENT_REF}",
        f"{API}/orders/{PAYMENT_REF}",
    ],
)
def test_a_simple_event_without_a_link_of_that_form_names_what_has_news(link: Any) -> None:
    thin_event = ThinEvent(provider="mollie", provider_ref="", object_ref="re_4qqhO89gsT", names=("re_4qqhO89gsT",))
    assert parsed(sign(event_body("refund.failed", "re_4qqhO89gsT", link=link))).events == [thin_event]


@pytest.mark.parametrize("kind", ENTITIES)
def test_what_has_news_may_come_alone_as_the_reference_pages_show_it(kind: str) -> None:
    body = json.dumps(ENTITIES[kind] | {"_links": {"self": {"href": LINKS[kind]}}}).encode()
    assert parsed(sign(body)).events == [expected(kind)]


def test_a_payload_under_its_own_kind_is_read_too() -> None:
    body = event_body("refund.refunded", "re_4qqhO89gsT", _embedded={"refund": ENTITIES["refund.refunded"]})
    assert parsed(sign(body)).events == [THIN]


def test_any_signature_by_any_live_secret_will_do_and_the_first_secret_that_matched_is_named() -> None:
    body = of("payment.paid")
    for place, secret in enumerate(SECRETS):
        assert parsed(sign(body, secret), *SECRETS).secret == place
        assert parsed(sign(body, "an older one of theirs", secret), *SECRETS).secret == place
    joined = signature(body, "an older one of theirs", SECRETS[1]).replace(",", " ,\t")
    spaced = replace(sign(body), headers=sign(body).headers | {"x-mollie-signature": joined})
    assert parsed(spaced, *SECRETS).secret == 1
    assert refused(sign(body, SECRETS[1], SECRETS[2])) == "the signature is not ours"


def test_the_prefix_may_be_missing_as_in_mollies_own_verifier_and_nothing_else_may_differ() -> None:
    webhook = sign(of("payment.paid"))
    bare = webhook.headers["x-mollie-signature"].removeprefix("sha256=")

    def with_signature(value: str | None) -> SignedWebhook:
        rest = {name: kept for name, kept in webhook.headers.items() if name != "x-mollie-signature"}
        return replace(webhook, headers=rest if value is None else rest | {"x-mollie-signature": value})

    assert parsed(with_signature(bare)).secret == 0
    wrong = ["", " ", ",", "sha256=", "sha256=,", "legacy", bare.upper(), f"SHA256={bare}", f"sha1={bare}"]
    wrong += [bare[:-1], bare + "0", f"sha256=sha256={bare}", f"{bare};{bare}", "ü", bare + "ü", "\u2028", "x" * 8000]
    for value in [None, *wrong, *(bare[:place] + "x" + bare[place + 1 :] for place in range(len(bare)))]:
        refused(with_signature(value))


def test_without_secrets_a_signed_webhook_is_refused_with_what_to_set() -> None:
    webhook = sign(of("payment.paid"), "")
    for provider in (KIT.provider(), KIT.provider("")):
        with pytest.raises(UnverifiedError, match="MOLLIE_WEBHOOK_SECRETS is not set"):
            provider.verify_and_parse(webhook.raw("mollie"))
    refused(webhook, "", SECRETS[0])


def test_json_without_a_signature_is_nobodys_and_never_an_older_kind() -> None:
    body = b'{"resource": "payment", "id": "tr_7UhSN1zuXS"}'
    assert "missing" in refused(SignedWebhook(body=body, headers={"content-type": "application/json"}))


def test_which_kind_it_is_tells_the_content_type_alone() -> None:
    form, event = b"id=tr_7UhSN1zuXS", of("payment.paid")
    for json_type in ("application/json", "Application/JSON; charset=utf-8", "application/hal+json ;x=y"):
        assert parsed(sign(event, content_type=json_type)).events == [OWN]
        with pytest.raises(UnreadableError):
            parsed(sign(form, content_type=json_type))
    for form_type in (FORM, f"{FORM}; charset=utf-8", FORM.upper()):
        assert parsed(sign(form, content_type=form_type)).events == [replace(THIN, verified=False)]
        refused(sign(event, content_type=form_type))
    assert parsed(SignedWebhook(body=form)).events == [replace(THIN, verified=False)], "kept by an earlier release"


def test_with_classic_webhooks_off_an_unsigned_one_is_nobodys_and_no_payment_has_one() -> None:
    form = SignedWebhook(body=b"id=tr_7UhSN1zuXS")
    for webhook in (form, replace(form, headers={"content-type": FORM}), sign(form.body, content_type=FORM)):
        assert "MOLLIE_CLASSIC_WEBHOOKS" in refused(webhook, classic_webhooks="off")
        assert parsed(webhook, classic_webhooks="on").events
    assert parsed(sign(of("payment.paid")), classic_webhooks="off").events == [OWN]

    for switch, url in (("off", None), ("on", OPTIONS["webhook_url"])):
        bank = MollieBank()
        KIT.provider(answer=bank, classic_webhooks=switch).open(
            Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY)
        )
        assert json.loads(bank.requests[0].content).get("webhookUrl") == url


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (event_body("payout.completed", "po_1"), IgnoredReason.UNKNOWN_TYPE),
        (event_body("payment-link.paid", "pl_qng5gbbv8NAZ5gpM5ZYgx"), IgnoredReason.UNKNOWN_TYPE),
        (event_body("balance-transaction.created", "baltr_1"), IgnoredReason.UNKNOWN_TYPE),
        (event_body("payment", PAYMENT_REF), IgnoredReason.UNKNOWN_TYPE),
        (event_body("hook.ping", "hook_B2EyhTH5N4KWUnoYPcgiH"), IgnoredReason.NOTHING_TO_RECORD),
        (b'{"resource": "payment-link", "id": "pl_qng5gbbv8NAZ5gpM5ZYgx"}', IgnoredReason.UNKNOWN_TYPE),
        (b'{"resource": "settlement", "id": "stl_jDk30akdN"}', IgnoredReason.UNKNOWN_TYPE),
        (b'{"resource": "sales-invoice", "id": "invoice_4Y0eZitmBnQ6IDoMqZQKh"}', IgnoredReason.UNKNOWN_TYPE),
        (of("payment.paid", mode="live"), IgnoredReason.NOT_OURS),
        (of("refund.refunded", mode="live"), IgnoredReason.NOT_OURS),
    ],
)
def test_an_event_that_is_of_no_use_says_why(body: bytes, reason: IgnoredReason) -> None:
    assert parsed(sign(body)) == ParsedWebhook(secret=0, ignored=reason)


def test_the_mode_is_that_of_our_key() -> None:
    live = of("payment.paid", mode="live")
    assert parsed(sign(live), api_key=OPTIONS["api_key"].replace("test_", "live_")).events == [OWN]


def test_a_payment_without_our_id_is_another_shops_unless_it_is_here() -> None:
    foreign = replace(THIN, foreign=True)
    for metadata in (None, {}, "text", {"payment_id": "7"}, {"order": "12"}):
        assert parsed(sign(of("payment.paid", metadata=metadata))).events == [foreign]
    assert parsed(sign(of("refund.refunded", metadata=None))).events == [THIN], "whose refund it is nobody can tell"


@pytest.mark.parametrize(
    "kind", ["payment.of_next_year", "refund.of_next_year", "capture.failed", "chargeback.reversed"]
)
def test_news_of_a_kind_to_come_is_looked_up_like_others(kind: str) -> None:
    entity = next(made for name, made in ENTITIES.items() if name.split(".")[0] == kind.split(".")[0])
    assert parsed(sign(event_body(kind, entity["id"], entity))).events == [OWN if kind.startswith("payment.") else THIN]


@pytest.mark.parametrize(
    "body",
    [
        event_body("payment.paid", "re_4qqhO89gsT"),
        event_body("refund.failed", "tr_7UhSN1zuXS"),
        event_body("payment.paid", "tr_../refunds"),
        event_body("payment.paid", ""),
        event_body("payment.paid", "tr_\u2028"),
        event_body("", "tr_7UhSN1zuXS"),
        b"{}",
        b'{"resource": "event", "id": "event_1"}',
        b'{"resource": "event", "id": "event_1", "type": 7}',
        b'{"resource": 7, "id": "tr_7UhSN1zuXS"}',
    ],
)
def test_what_mollie_signed_and_nobody_understands_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        parsed(sign(body))


def test_a_body_with_any_byte_changed_is_refused() -> None:
    webhook = sign(of("refund.refunded"))
    for place, byte in enumerate(webhook.body):
        for other in {byte ^ 1, 0x20, 0xFF} - {byte}:
            refused(replace(webhook, body=webhook.body[:place] + bytes([other]) + webhook.body[place + 1 :]))


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_are_refused_signed_or_not(body: bytes) -> None:
    refused(replace(sign(b"{}"), body=body))
    with pytest.raises((UnreadableError, UnverifiedError)):
        parsed(sign(body))


def test_whatever_stands_in_a_signed_event_it_names_a_payment_or_is_one_of_two_errors() -> None:
    for whole in (
        of("payment.paid"),
        of("refund.refunded"),
        event_body("capture.failed", "cpt_1", link=LINKS[next(iter(LINKS))]),
    ):
        for changed in rewritten(json.loads(whole)):
            try:
                events = parsed(sign(json.dumps(changed).encode())).events
            except (UnreadableError, UnverifiedError):
                continue
            assert all(isinstance(event, ThinEvent) for event in events)


def test_of_a_refund_or_a_chargeback_alone_mollie_lists_the_payment() -> None:
    bank = MollieBank()
    provider = KIT.provider(answer=bank)
    bank.payments[PAYMENT_REF] = {"id": PAYMENT_REF, "amount": MONEY}
    for number in range(3):
        bank.refund(PAYMENT_REF, f"re_{number}", "1.00")
        bank.charge_back(PAYMENT_REF, "1.00", f"chb_{number}")

    for ref, path in (("re_1", "refunds"), ("chb_1", "chargebacks")):
        news = [ThinEvent(provider="mollie", provider_ref="", object_ref=ref)]
        assert provider.look_up_object(news).events == [THIN]
        assert str(bank.requests[-1].url) == f"{API}/{path}?from={ref}&limit=1"


@pytest.mark.parametrize(
    ("ref", "answer", "error"),
    [
        ("re_9", httpx.Response(404, json={"status": 404}), Decline.UNKNOWN_REFERENCE),
        ("re_9", httpx.Response(410, json={"status": 410}), Decline.UNKNOWN_REFERENCE),
        ("re_9", httpx.Response(200, json={"_embedded": {"refunds": [{"id": "re_8"}]}}), Decline.UNKNOWN_REFERENCE),
        ("re_9", httpx.Response(400, json={"status": 400}), Decline.OTHER),
        ("re_9", httpx.Response(422, json={"status": 422, "field": "limit"}), Decline.NOT_IN_THIS_STATE),
        ("re_9", httpx.Response(401, json={"status": 401}), Decline.CREDENTIALS),
        ("re_9", httpx.Response(200, json={"_embedded": {"refunds": [{"id": "re_9"}]}}), UnreadableError),
        ("re_9", httpx.Response(200, json={}), UnreadableError),
        ("re_9", httpx.Response(503), ProviderUnavailableError),
        ("cpt_9", httpx.Response(500), UnreadableError),
    ],
)
def test_of_what_is_not_listed_no_payment_is_named_and_a_refusal_is_none_of_that_name(
    ref: str, answer: httpx.Response, error: type[Exception] | Decline
) -> None:
    with pytest.raises(ProviderRefusedError if isinstance(error, Decline) else error) as caught:
        KIT.provider(answer=lambda _: answer).look_up_object(
            [ThinEvent(provider="mollie", provider_ref="", object_ref=ref)]
        )
    if isinstance(caught.value, ProviderRefusedError):
        assert caught.value.reason is error
        assert caught.value.lags is (error is Decline.UNKNOWN_REFERENCE)


def test_what_a_rejected_event_names_is_read_by_its_kind() -> None:
    webhook_format = provider_specs()["mollie"].webhooks
    for kind in ENTITIES:
        webhook = sign(of(kind))
        assert PAYMENT_REF in names_in(webhook_format, webhook.body, webhook.headers)
        alone = sign(json.dumps(ENTITIES[kind]).encode())
        own_id = [str(PAYMENT_ID)] if kind == "payment.paid" else []
        assert {PAYMENT_REF, *own_id} <= set(names_in(webhook_format, alone.body, alone.headers))
        simple = sign(event_body(kind, ENTITIES[kind]["id"]))
        assert ENTITIES[kind]["id"] in names_in(webhook_format, simple.body, simple.headers)
        linked = sign(event_body(kind, ENTITIES[kind]["id"], link=LINKS[kind]))
        assert PAYMENT_REF in names_in(webhook_format, linked.body, linked.headers)
        assert names_in(webhook_format, webhook.body) == (), "without its header it is a form"
    assert names_in(webhook_format, b"id=tr_1", {"content-type": FORM}) == ("tr_1",)
    assert names_in(webhook_format, b"id=tr_1", {"content-type": "application/json"}) == ()
