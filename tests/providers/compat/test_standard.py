"""Our reading of Standard Webhooks beside the specification's own package and its fixed vector."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.adapters.standard.signature import key_of, verified
from checkout_service.providers.base import ProviderEvent, UnreadableError, UnverifiedError
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


def test_signatures_of_other_versions_are_skipped_by_both() -> None:
    """A version that nobody knows yet stands beside v1, and verifies nothing by itself."""
    good = signed_as_one(KIT.webhook(PaymentStatus.PAID, signed_at=datetime.now(UTC)))
    value = good.headers["webhook-signature"]
    digest = value.removeprefix("v1,")

    def carrying(signature: str) -> SignedWebhook:
        return SignedWebhook(body=good.body, headers=good.headers | {"webhook-signature": signature})

    for beside in (f"v2,{digest} {value}", f"{value} v2,{digest}", f"v1a,{digest} {value}", f"v1,AAAA {value}"):
        assert theirs_reads(carrying(beside))
        assert ours_verifies(carrying(beside), SECRET)
    for alone in (f"v2,{digest}", f"v1a,{digest}", f"V1,{digest}", f"v1 ,{digest}", digest):
        assert not ours_verifies(carrying(alone), SECRET)


def test_a_webhook_that_is_signed_with_the_old_and_the_new_secret_is_verified_by_either() -> None:
    """Rotation without a gap: the sender signs twice for a while (specification, "Webhook headers")."""
    body, at = "{}", datetime.now(UTC)
    both = " ".join(Webhook(secret).sign("msg_1", at, body) for secret in KIT.secrets[:2])
    webhook = signed(body.encode(), both, at)

    for secret in KIT.secrets[:2]:
        assert theirs_reads(webhook, secret)
        assert ours_verifies(webhook, secret)
    assert not ours_verifies(webhook, KIT.secrets[2])


@pytest.mark.parametrize("written", ["{}.5", "{}.0", " {}", "+{}", "0{}", "{}e0"])
def test_only_the_seconds_that_were_signed_are_taken_here(written: str) -> None:
    """Theirs reads a number of any spelling, and signs its whole seconds; here the header's own text is signed."""
    now = datetime.now(UTC)
    good = signed_as_one(KIT.webhook(PaymentStatus.PAID, signed_at=now))
    seconds = written.format(good.headers["webhook-timestamp"])
    webhook = SignedWebhook(body=good.body, headers=good.headers | {"webhook-timestamp": seconds})

    assert theirs_reads(webhook)
    with pytest.raises(UnverifiedError):
        KIT.provider().verify_and_parse(webhook.raw("standard", now))


@pytest.mark.parametrize("webhook_id", ["msg_1", "msg.1", "1764072000", "a.1764072000"])
def test_no_other_cut_between_id_time_and_body_is_read(webhook_id: str) -> None:
    """The three are joined by full stops, and the id may have one: a shifted boundary must leave no event."""
    good = KIT.says("payment.paid", webhook_id=webhook_id)
    seconds = good.headers["webhook-timestamp"]
    whole = f"{webhook_id}.{seconds}.".encode() + good.body
    events = KIT.provider().verify_and_parse(good.raw("standard")).events
    assert [event.event_id for event in events if isinstance(event, ProviderEvent)] == [webhook_id]

    stops = [place for place, byte in enumerate(whole) if byte == ord(".")]
    for first in stops:
        for second in stops:
            cut = (whole[:first], whole[first + 1 : second], whole[second + 1 :])
            if second <= first or cut == (webhook_id.encode(), seconds.encode(), good.body):
                continue
            headers = {"webhook-id": cut[0].decode(), "webhook-timestamp": cut[1].decode()}
            webhook = SignedWebhook(body=cut[2], headers=good.headers | headers)
            with pytest.raises((UnverifiedError, UnreadableError)):
                KIT.provider().verify_and_parse(webhook.raw("standard"))


def test_an_aware_time_of_another_zone_is_signed_by_them_as_if_it_were_utc() -> None:
    """So whoever sends with their package gives it a time in UTC."""
    moment = datetime(2026, 11, 25, 13, 0, tzinfo=timezone(timedelta(hours=1)))
    assert moment == NOW
    theirs = Webhook(SECRET).sign("msg_1", moment, "{}")

    assert not ours_verifies(signed(b"{}", theirs, NOW), SECRET)
    assert ours_verifies(signed(b"{}", theirs, NOW + timedelta(hours=1)), SECRET)
