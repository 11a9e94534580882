"""Our reading of Standard Webhooks beside the specification's own package and its fixed vector."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.adapters.standard.signature import key_of, verified
from checkout_service.providers.base import UnverifiedError
from checkout_service.settings.secret import Secret
from tests.providers.kits.kit import NOW, SignedWebhook
from tests.providers.kits.standard import KIT

SECRET = KIT.secrets[0]


def theirs_reads(webhook: SignedWebhook, secret: str = SECRET) -> bool:
    try:
        Webhook(secret).verify(webhook.body, webhook.headers)
    except WebhookVerificationError:
        return False
    return True


def ours_verifies(webhook: SignedWebhook, *secrets: str) -> bool:
    try:
        verified(webhook.raw("standard"), [key_of(Secret(secret)) for secret in secrets])
    except UnverifiedError:
        return False
    return True


def signed(body: bytes, signature: str, signed_at: datetime, webhook_id: str = "msg_1") -> SignedWebhook:
    seconds = str(int(signed_at.timestamp()))
    return SignedWebhook(
        body=body,
        headers={"webhook-id": webhook_id, "webhook-timestamp": seconds, "webhook-signature": signature},
    )


def test_what_our_kit_signs_their_package_reads() -> None:
    for status in (*KIT.statuses, *KIT.refunds, None):
        assert theirs_reads(signed_as_one(KIT.webhook(status, signed_at=datetime.now(UTC))))


def signed_as_one(webhook: SignedWebhook) -> SignedWebhook:
    """The webhook with its good signature alone: theirs trips over a malformed one before it."""
    good = next(token for token in webhook.headers["webhook-signature"].split() if len(token) > 40)
    return SignedWebhook(body=webhook.body, headers=webhook.headers | {"webhook-signature": good})


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.binary(min_size=24, max_size=64))
def test_what_their_package_signs_we_verify(text: str, key: bytes) -> None:
    secret = "whsec_" + b64encode(key).decode()
    webhook = signed(text.encode(), Webhook(secret).sign("msg_1", NOW, text), NOW)

    assert ours_verifies(webhook, secret)
    assert ours_verifies(webhook, secret.rstrip("="))
    assert not ours_verifies(webhook, SECRET)


def test_the_vector_of_their_own_tests_is_verified() -> None:
    """From libraries/python/tests/test_webhooks.py of the specification's repository."""
    webhook = SignedWebhook(
        body=b'{"test": 2432232314}',
        headers={
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
    )

    assert ours_verifies(webhook, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def test_one_malformed_signature_before_the_good_one_loses_a_webhook_for_them_and_not_for_us() -> None:
    good = KIT.webhook(PaymentStatus.PAID, signed_at=datetime.now(UTC))
    value = signed_as_one(good).headers["webhook-signature"]
    webhook = SignedWebhook(body=good.body, headers=good.headers | {"webhook-signature": f"garbage {value}"})

    with pytest.raises(ValueError, match="unpack"):
        theirs_reads(webhook)
    assert ours_verifies(webhook, SECRET)


def test_they_know_no_time_of_receipt_and_we_do() -> None:
    received_at = datetime.now(UTC) - timedelta(minutes=10)
    webhook = signed_as_one(KIT.webhook(PaymentStatus.PAID, signed_at=received_at))

    assert not theirs_reads(webhook)
    assert KIT.provider().verify_and_parse(webhook.raw("standard", received_at)).events


def test_a_pair_of_keys_is_verified_and_neither_kind_stands_in_for_the_other() -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    content = f"msg_1.{int(NOW.timestamp())}.{{}}".encode()
    webhook = signed(b"{}", "v1a," + b64encode(private.sign(content)).decode(), NOW)
    key = "whpk_" + b64encode(public).decode()

    assert ours_verifies(webhook, SECRET, key)
    assert not ours_verifies(signed(b"{ }", webhook.headers["webhook-signature"], NOW), key)
    assert not ours_verifies(webhook, "whsec_" + b64encode(public).decode())
    shared = signed(b"{}", Webhook("whsec_" + b64encode(public).decode()).sign("msg_1", NOW, "{}"), NOW)
    assert not ours_verifies(shared, key), "a public key is no secret to sign with"
    for malformed in ("whpk_", "whpk_AAAA", "whpk_?", "whsec_?", "whsec_", ""):
        assert not ours_verifies(webhook, malformed)
