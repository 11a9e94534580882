"""Our reading of Stripe's signatures beside its own package's; where they differ, ours is the stricter one."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout_service.payments.status import DisputeStage, PaymentStatus
from checkout_service.providers.adapters.stripe import disputes, intents
from checkout_service.providers.adapters.stripe.events import EVENT_TYPES
from checkout_service.providers.base import UnreadableError, UnverifiedError
from tests.providers.kits.kit import Kit, SignedWebhook
from tests.providers.kits.stripe import KIT, charge, dispute, event, intent, sign

SECRET = KIT.secrets[0]
BODY = event("payment_intent.succeeded", intent())


def ours_reads(webhook: SignedWebhook, received_at: datetime) -> bool:
    try:
        return bool(KIT.provider(*KIT.secrets).verify_and_parse(webhook.raw("stripe", received_at)).events)
    except UnverifiedError:
        return False


def theirs_reads(webhook: SignedWebhook) -> bool:
    try:
        return bool(stripe.Webhook.construct_event(webhook.body, webhook.headers["stripe-signature"], SECRET))
    except stripe.SignatureVerificationError:
        return False


def test_what_their_package_signs_we_read() -> None:
    now = datetime.now(UTC)
    header = stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET, int(now.timestamp()))

    parsed = KIT.provider().verify_and_parse(
        SignedWebhook(body=BODY, headers={"stripe-signature": header}).raw("stripe", now)
    )

    (provider_event,) = parsed.events
    assert provider_event.provider_ref == intent()["id"]


def test_what_our_kit_signs_their_package_reads() -> None:
    """Else the suite would try us with webhooks that Stripe never writes."""
    kit: Kit = KIT
    for status in (*kit.statuses, *kit.refunds, None):
        assert theirs_reads(kit.webhook(status, signed_at=datetime.now(UTC)))


@settings(max_examples=200, deadline=None)
@given(st.integers(-1000, 299), st.sampled_from(["", "x", "=", ",", "v1=", "t=1,"]), st.integers(0, 200))
def test_a_changed_header_that_we_take_they_take_too(age: int, inserted: str, place: int) -> None:
    now = datetime.now(UTC)
    verified = sign(BODY, SECRET, signed_at=now - timedelta(seconds=age))
    value = verified.headers["stripe-signature"]
    changed = SignedWebhook(body=BODY, headers={"stripe-signature": value[:place] + inserted + value[place:]})

    # A part without "=" is passed over by us, and ends their reading with a ValueError.
    well_formed = all("=" in part for part in changed.headers["stripe-signature"].split(","))
    if ours_reads(changed, now) and well_formed:
        assert theirs_reads(changed)


def test_they_take_a_time_in_the_future_and_we_do_not() -> None:
    webhook = sign(BODY, SECRET, signed_at=datetime.now(UTC) + timedelta(days=11))

    assert theirs_reads(webhook)
    assert not ours_reads(webhook, datetime.now(UTC))


def test_a_webhook_that_waited_in_our_queue_is_old_to_them_and_not_to_us() -> None:
    received_at = datetime.now(UTC) - timedelta(minutes=10)
    webhook = sign(BODY, SECRET, signed_at=received_at)

    assert time.time() - received_at.timestamp() > stripe.Webhook.DEFAULT_TOLERANCE
    assert not theirs_reads(webhook)
    assert ours_reads(webhook, received_at)


@pytest.mark.parametrize("body", [b'{"id":"\xff"}', b"\xff\xfe"])
def test_where_they_raise_something_else_we_refuse(body: bytes) -> None:
    webhook = sign(body, SECRET, signed_at=datetime.now(UTC))

    with pytest.raises(UnicodeDecodeError):
        theirs_reads(webhook)
    with pytest.raises(UnreadableError):
        ours_reads(webhook, datetime.now(UTC))


def test_the_kit_proves_a_paid_payment_to_both() -> None:
    webhook = KIT.webhook(PaymentStatus.PAID, signed_at=datetime.now(UTC))
    found = stripe.Webhook.construct_event(webhook.body, webhook.headers["stripe-signature"], SECRET)

    assert found.type == "payment_intent.succeeded"
    assert ours_reads(webhook, datetime.now(UTC))


def words_of(kind: type, name: str) -> set[str]:
    """The words that the package lists for a field; it lists none that Stripe does not send."""
    return set(re.findall(r"""['"]([a-z0-9_.]+)['"]""", str(kind.__annotations__[name])))


def read(kind: str, about: dict[str, Any]) -> Any:
    (found,) = KIT.provider().verify_and_parse(sign(event(kind, about), SECRET).raw("stripe")).events
    return found


def test_every_status_of_a_dispute_is_one_that_we_know() -> None:
    words = words_of(stripe.Dispute, "status")
    assert {"won", "lost", "prevented", "warning_closed", "appeal_under_review"} <= words
    for word in words:
        (entry,) = read("charge.dispute.updated", dispute(word)).entries
        assert (entry.stage is DisputeStage.INQUIRY) is word.startswith("warning_")
        assert any(word.endswith(end) for end in disputes._STATUSES)


def test_every_status_of_an_intent_is_read() -> None:
    words = words_of(stripe.PaymentIntent, "status")
    assert {"processing", "requires_capture", "succeeded", "canceled"} <= words
    proving = {word for word in words if read("payment_intent.amount_capturable_updated", intent(word)).entries}
    assert proving == {"processing", "requires_capture", "succeeded", "canceled"}
    reasons = words_of(stripe.PaymentIntent, "cancellation_reason")
    assert set(intents._EXPIRED) <= reasons


def test_every_status_of_a_charge_is_read() -> None:
    for word in words_of(stripe.Charge, "status"):
        assert read("charge.updated", charge(word)).entries, word


def test_every_kind_of_event_that_we_read_exists() -> None:
    assert set(EVENT_TYPES) <= words_of(stripe.Event, "type")


def test_every_event_of_a_dispute_is_read() -> None:
    """A new one may move money."""
    about = {kind for kind in words_of(stripe.Event, "type") if kind.startswith("charge.")}
    assert about <= set(EVENT_TYPES)
