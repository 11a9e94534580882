"""The mock provider reads a webhook, or refuses it with one error; whatever strangers send, nothing else comes out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.adapters.mock.provider import MockProvider, sign
from checkout_service.providers.base import ProviderEvent, UnreadableError, UnverifiedError
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.strict_json import canonical
from tests.webhook_bodies import webhook

SECRET = "the secret of this test"
REFERENCE = "mock_pi_6a1f0c3f5f0e5d7c9f3b1d2e4c5a6b7d"


def read(body: bytes, *secrets: str) -> list[Any]:
    provider = MockProvider(Account(secrets=[Secret(secret) for secret in secrets or (SECRET,)]))
    raw_webhook = RawWebhook(provider="mock", headers={}, body=body, received_at=datetime.now(UTC))
    return list(provider.verify_and_parse(raw_webhook).events)


def signed(content: dict[str, Any], secret: str = SECRET) -> bytes:
    return json.dumps(sign(content, secret)).encode()


def test_a_verified_webhook_is_one_event() -> None:
    body = webhook(
        REFERENCE,
        secret=SECRET,
        event_id="evt_1",
        amount="240.00",
        currency="USD",
        occurred_at="2026-11-01T12:00:00+02:00",
    )

    (event,) = read(body)

    assert event == ProviderEvent(
        provider="mock",
        provider_ref=REFERENCE,
        event_id="evt_1",
        status=PaymentStatus.PAID,
        amount=Decimal("240.00"),
        currency="USD",
        occurred_at=datetime(2026, 11, 1, 10, tzinfo=UTC),
        payment_id=UUID("6a1f0c3f-5f0e-5d7c-9f3b-1d2e4c5a6b7d"),
        amount_required=False,
        raw=canonical({key: value for key, value in json.loads(body).items() if key != "signature"}),
    )


def test_the_signature_covers_the_content_and_not_its_spelling() -> None:
    content = {"status": "paid", "provider_ref": REFERENCE, "raw_data": {"note": "Größe 🎓", "event_id": "evt_1"}}
    plain = json.dumps(sign(content, SECRET), ensure_ascii=False).encode()
    spelled = json.dumps(sign(content, SECRET), indent=3, sort_keys=True).encode()

    assert plain != spelled
    assert read(plain) == read(spelled)


def test_without_an_event_id_the_content_identifies_the_event() -> None:
    content = {"provider_ref": REFERENCE, "status": "paid", "raw_data": {"order": 1}}
    (first,) = read(json.dumps(sign(content, SECRET)).encode())
    (again,) = read(json.dumps(sign(content, SECRET), indent=2).encode())
    (other,) = read(signed(content | {"raw_data": {"order": 2}}))

    assert first.event_id == again.event_id
    assert len(first.event_id) == 64
    assert first.event_id != other.event_id


def test_a_webhook_without_details_is_read() -> None:
    (event,) = read(signed({"provider_ref": "somewhere else", "status": "failed"}))

    assert (event.status, event.amount, event.currency, event.payment_id) == (PaymentStatus.FAILED, None, None, None)


def test_an_unknown_status_says_nothing_that_we_keep() -> None:
    assert read(signed({"provider_ref": REFERENCE, "status": "disputed_by_aunt"})) == []


@pytest.mark.parametrize("status", list(PaymentStatus))
def test_every_status_of_the_street_is_known(status: PaymentStatus) -> None:
    (event,) = read(signed({"provider_ref": REFERENCE, "status": status.value}))

    assert event.status is status


def test_every_live_secret_counts_and_no_other() -> None:
    body = webhook(REFERENCE, secret="the old secret")

    assert read(body, "the new secret", "the old secret")
    with pytest.raises(UnverifiedError, match="signature"):
        read(body, "the new secret")
    with pytest.raises(UnverifiedError, match="signature"):
        read(body, "the old secret ")


def test_an_empty_secret_verifies_nothing() -> None:
    with pytest.raises(UnverifiedError, match="signature"):
        read(webhook(REFERENCE, secret=""), "")
    with pytest.raises(UnverifiedError, match="signature"):
        MockProvider(Account()).verify_and_parse(
            RawWebhook(provider="mock", headers={}, body=webhook(REFERENCE), received_at=datetime.now(UTC))
        )


@pytest.mark.parametrize(
    "signature",
    [None, 7, True, [], {}, "", " ", "0" * 64, "ü" * 64, "\ud800", "\x00", "a" * 100_000, ["signature"]],
    ids=repr,
)
def test_a_signature_of_any_other_kind_is_refused(signature: Any) -> None:
    body = json.loads(webhook(REFERENCE, secret=SECRET)) | {"signature": signature}

    with pytest.raises(UnverifiedError, match="signature"):
        read(json.dumps(body).encode())


@pytest.mark.parametrize(
    "spell", [str.upper, lambda text: text + " ", lambda text: text[:-1], lambda text: f"0x{text}"]
)
def test_a_signature_in_another_spelling_is_refused(spell: Any) -> None:
    body = json.loads(webhook(REFERENCE, secret=SECRET))

    with pytest.raises(UnverifiedError, match="signature"):
        read(json.dumps(body | {"signature": spell(body["signature"])}).encode())


def test_a_webhook_with_anything_added_is_refused() -> None:
    body = json.loads(webhook(REFERENCE, secret=SECRET))

    with pytest.raises(UnverifiedError, match="signature"):
        read(json.dumps(body | {"amount": "1.00"}).encode())


WRONG = [None, 7, True, [], {}, ["paid"], "", "x" * 256]
CONTENT: dict[str, Any] = {"provider_ref": REFERENCE, "status": "paid"}


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("member", ["provider_ref", "status"])
def test_a_member_of_the_wrong_kind_is_refused_though_it_is_signed(member: str, value: Any) -> None:
    with pytest.raises(UnreadableError, match=member):
        read(signed(CONTENT | {member: value}))


@pytest.mark.parametrize("details", [None, 7, True, [], "", "paid", [{}]], ids=repr)
def test_details_that_are_no_object_are_refused(details: Any) -> None:
    with pytest.raises(UnreadableError, match="raw_data"):
        read(signed(CONTENT | {"raw_data": details}))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        *[("event_id", value) for value in WRONG],
        *[
            ("amount", value)
            for value in [*WRONG, "1.0001", "-1.00", "1e2", "NaN", "١٢", " 1", "1,00", "99999999999.00"]
        ],
        *[("currency", value) for value in [*WRONG, "US", "USDX", "ÜSD"]],
        *[
            ("occurred_at", value)
            for value in [*WRONG, "yesterday", "2026-11-01T12:00:00", "0001-01-01T00:00:00+23:00"]
        ],
    ],
    ids=repr,
)
def test_a_detail_of_the_wrong_kind_is_refused_though_it_is_signed(member: str, value: Any) -> None:
    with pytest.raises(UnreadableError, match=member):
        read(signed(CONTENT | {"raw_data": {member: value}}))
