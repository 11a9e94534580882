"""Our reading of thin events beside Stripe's own package: what both agree on, and what we do otherwise on purpose."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import stripe
from stripe.events._event_classes import get_v2_event_notification_class
from stripe.params.v2.core._event_list_params import EventListParams
from stripe.v2.core._event import EventNotification, UnknownEventNotification

from checkout_service.providers.adapters.stripe.events import EVENT_TYPES, LISTED_TYPES
from checkout_service.providers.adapters.stripe.listing import TYPES_AT_ONCE
from checkout_service.providers.base import ProviderError, ThinEvent, UnreadableError, UnverifiedError
from tests.providers.kits.kit import NOW, SignedWebhook
from tests.providers.kits.stripe import KIT, StripeBank, event, intent, sign, thin_event

SECRET = KIT.secrets[0]
CLIENT = stripe.StripeClient("sk_test_x")
RESOURCES: dict[str, tuple[str, Any]] = {
    "PaymentIntent": ("pi_1", stripe.PaymentIntent),
    "Charge": ("ch_1", stripe.Charge),
    "Refund": ("re_1", stripe.Refund),
    "Dispute": ("du_1", stripe.Dispute),
    "EarlyFraudWarning": ("issfr_1", stripe.radar.EarlyFraudWarning),
}
"""By what the package's classes say that an event is about: an id, and the class of that."""


def resource_of(kind: str) -> tuple[str, Any]:
    notification: Any = get_v2_event_notification_class(f"v1.{kind}")
    return RESOURCES[inspect.get_annotations(notification.fetch_related_object)["return"]]


def ref_of(kind: str) -> str:
    return resource_of(kind)[0]


def signed(body: dict[str, Any]) -> SignedWebhook:
    return sign(json.dumps(body).encode(), SECRET, signed_at=datetime.now(UTC))


def theirs(webhook: SignedWebhook) -> Any:
    return CLIENT.parse_event_notification(webhook.body, webhook.headers["stripe-signature"], SECRET)


def ours(webhook: SignedWebhook) -> ThinEvent:
    (found,) = KIT.provider().verify_and_parse(webhook.raw("stripe", datetime.now(UTC))).events
    assert isinstance(found, ThinEvent)
    return found


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_every_kind_that_we_read_in_full_has_a_thin_one_about_the_same_object(kind: str) -> None:
    webhook = signed(thin_event(kind, ref_of(kind)))
    notification, found = theirs(webhook), ours(webhook)

    assert not isinstance(notification, UnknownEventNotification)
    assert notification.type == f"v1.{found.kind}"
    assert (notification.id, notification.related_object.id) == (found.event_id, found.object_ref)
    assert notification.related_object.type == resource_of(kind)[1].OBJECT_NAME
    assert notification.context is None


@pytest.mark.parametrize("kind", sorted({ref_of(kind): kind for kind in EVENT_TYPES}.values()))
def test_both_read_the_same_address(kind: str) -> None:
    """Theirs is the address in the event, ours is made of the id."""
    bank = StripeBank()
    webhook = signed(thin_event(kind, ref_of(kind)))
    with pytest.raises(ProviderError):
        KIT.provider(answer=bank).look_up_object([ours(webhook)])

    (request,) = bank.requests
    assert request.url.path == theirs(webhook).related_object.url


def test_theirs_leads_wherever_the_event_says_and_ours_does_not() -> None:
    body = thin_event("refund.created", "re_1")
    body["related_object"]["url"] = "/v1/balance"
    bank = StripeBank()
    with pytest.raises(ProviderError):
        KIT.provider(answer=bank).look_up_object([ours(signed(body))])

    assert theirs(signed(body)).related_object.url == "/v1/balance"
    assert [request.url.path for request in bank.requests] == ["/v1/refunds/re_1"]


def test_what_is_not_signed_neither_reads() -> None:
    webhook = sign(json.dumps(thin_event("refund.created", "re_1")).encode(), "whsec_x", signed_at=datetime.now(UTC))
    with pytest.raises(stripe.SignatureVerificationError):
        theirs(webhook)
    with pytest.raises(UnverifiedError):
        ours(webhook)


def test_their_reader_of_the_one_raises_on_the_other_and_ours_reads_both() -> None:
    """So one address may take both, which they advise against for their package alone."""
    in_full = sign(event("payment_intent.succeeded", intent()), SECRET, signed_at=datetime.now(UTC))
    thin = signed(thin_event("payment_intent.succeeded", "pi_1"))
    with pytest.raises(ValueError, match="thin event notification"):
        stripe.Webhook.construct_event(thin.body, thin.headers["stripe-signature"], SECRET)
    with pytest.raises(ValueError, match="thin event notification"):
        theirs(in_full)

    for webhook in (in_full, thin):
        assert KIT.provider().verify_and_parse(webhook.raw("stripe", datetime.now(UTC))).events


def test_the_name_of_the_event_in_full_is_left_out_by_their_notification_and_read_by_us() -> None:
    webhook = signed(thin_event("refund.created", "re_1", snapshot_event="evt_in_full"))

    assert not hasattr(theirs(webhook), "snapshot_event")
    assert "snapshot_event" in stripe.v2.core.Event.__annotations__
    assert ours(webhook).full_event_id == "evt_in_full"


@pytest.mark.parametrize(
    ("fields", "raised"),
    [({"related_object": None}, TypeError), ({"related_object": {"id": "re_1"}}, KeyError)],
)
def test_where_they_raise_something_else_we_refuse(fields: dict[str, Any], raised: type[Exception]) -> None:
    webhook = signed(thin_event("refund.created", "re_1") | fields)
    with pytest.raises(raised):
        theirs(webhook)
    with pytest.raises(UnreadableError):
        ours(webhook)


def test_another_account_is_a_context_to_them_and_not_ours_to_us() -> None:
    webhook = signed(thin_event("refund.created", "re_1", context="org_1/acct_1"))

    assert str(theirs(webhook).context) == "org_1/acct_1"
    assert KIT.provider().verify_and_parse(webhook.raw("stripe", datetime.now(UTC))).events == ()


def test_an_event_of_another_object_is_refused_by_them_and_unknown_to_us() -> None:
    webhook = signed(thin_event("refund.created", "re_1", object="v3.core.event"))
    with pytest.raises(ValueError, match="Unexpected object type"):
        theirs(webhook)
    assert KIT.provider().verify_and_parse(webhook.raw("stripe", datetime.now(UTC))).ignored == "unknown_type"


def test_their_list_knows_of_no_delivery_and_takes_twenty_kinds() -> None:
    """Were there a filter, the backfill would ask for what was not delivered alone."""
    assert set(EventListParams.__annotations__) == {"created", "limit", "object_id", "types"}
    assert "delivery_success" in stripe.params.EventListParams.__annotations__
    assert len(LISTED_TYPES) <= TYPES_AT_ONCE == 20


def test_their_paging_asks_for_what_ours_does() -> None:
    """Their package follows ``next_page_url`` below its own address; our kit's pages are such ones to it, too."""
    bank = StripeBank()
    bank.page = 1
    bank.thin_events = [thin_event("refund.created", "re_1", number=number) for number in range(3)]
    provider = KIT.provider(answer=bank, events="thin")
    page, found = provider.listed(since=NOW, until=NOW + timedelta(days=1)), list[str]()
    found += [each.event_id for each in page.events]
    while page.after:
        page = provider.listed(since=NOW, until=NOW + timedelta(days=1), after=page.after)
        found += [each.event_id for each in page.events]
    own, bank.requests = [str(request.url) for request in bank.requests], []

    types = [f"v1.{kind}" for kind in LISTED_TYPES]
    query: Any = {
        "types": types,
        "created": {"gte": "2026-11-25T12:00:00Z", "lt": "2026-11-26T12:00:00Z"},
        "limit": 100,
    }
    listed = provider._calls._client.v2.core.events.list(query)
    assert [each.id for each in listed.auto_paging_iter()] == found
    assert [httpx.URL(str(request.url)) for request in bank.requests] == [httpx.URL(url) for url in own]


def test_a_notification_holds_no_amount_and_no_status() -> None:
    """Else it could be believed without a read."""
    assert not {"data", "amount", "status"} & set(EventNotification.__annotations__)
