"""GoCardless: what it could not deliver, and what none of its events leads to a payment by."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
import structlog

from checkout_service.providers.adapters.gocardless.provider import GoCardlessProvider
from checkout_service.providers.base import Decline, ProviderRefusedError, ThinEvent
from tests.providers.kits.gocardless import KIT, GoCardlessBank, delivery, refused
from tests.providers.kits.kit import PAYMENT_ID
from tests.providers.test_gocardless import at, payment_event

SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def all_pages(provider: GoCardlessProvider) -> list[tuple[str, list[str]]]:
    found, after, pages = [], None, 0
    while True:
        page = provider.undelivered(since=SINCE, after=after)
        found += [(each.event_id, [item.provider_ref for item in each.events]) for each in page.events]
        after, pages = page.after, pages + 1
        if after is None:
            return found
        assert pages < 50


def test_what_could_not_be_delivered_is_read_from_the_kept_bodies() -> None:
    bank = GoCardlessBank()
    bodies = [delivery(payment_event(number, {"payment_id": str(UUID(int=number))})).decode() for number in range(15)]
    bank.webhooks = [
        {"id": f"WB{number}", "successful": number % 2 == 0, "request_body": body} for number, body in enumerate(bodies)
    ]
    odd = ["", "[]", '{"events": [4711]}', None]
    bank.webhooks += [
        {"id": f"WBodd{place}", "successful": False, "request_body": each} for place, each in enumerate(odd)
    ]

    found = dict(all_pages(KIT.provider(answer=bank)))

    assert {key: value for key, value in found.items() if value} == {
        f"WB{number}": [str(UUID(int=number))] for number in range(1, 15, 2)
    }
    queries = [dict(call.url.params) for call in bank.requests if call.url.path == "/webhooks"]
    assert {query["successful"] for query in queries} == {"false"}
    assert {query["created_at[gte]"] for query in queries} == {"2026-11-01T00:00:00Z"}


def test_a_refund_of_the_dashboard_leads_to_its_payment_without_a_call() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.give_back(reference.provider_ref, "RFdashboard", "created", 4000)
    bank.give_back(reference.provider_ref, "RFours", "created", 4000, payment_id=str(PAYMENT_ID))
    (debit,) = bank.debits.values()
    bank._made_refund("RFodd!", debit | {"id": "PMtheirs"}, 100, {})
    bank._made_refund("RFtheirs", debit | {"id": "PMtheirs"}, 100, {})
    bank.requests.clear()

    assert all_pages(provider) == [("RFtheirs:created", ["PMtheirs"]), ("RFdashboard:created", [debit["id"]])]
    assert {call.url.path for call in bank.requests} == {"/refunds", "/webhooks"}


def test_refunds_that_cannot_be_listed_end_no_walk_of_webhooks() -> None:
    bank = GoCardlessBank()
    body = delivery(payment_event(1, None)).decode()
    bank.webhooks = [{"id": "WB1", "successful": False, "request_body": body}]
    for answered in (refused(403, "invalid_api_usage", "feature_disabled"), httpx.Response(200, content=b"{")):

        def answer(request: httpx.Request, answered: httpx.Response = answered) -> httpx.Response:
            return answered if request.url.path == "/refunds" else bank(request)

        provider = KIT.provider(answer=answer)
        assert all_pages(provider) == [("WB1", [str(PAYMENT_ID)])]
        with structlog.testing.capture_logs() as lines:
            assert not provider.undelivered(since=SINCE).whole
        assert [line["event"] for line in lines] == ["undelivered_refunds_not_listed"]
    assert KIT.provider(answer=bank).undelivered(since=SINCE).whole


def test_large_webhooks_are_read_one_by_one() -> None:
    bank = GoCardlessBank()
    payments = [str(UUID(int=number)) for number in range(5)]
    for number, size in enumerate((400_000, 400_000, 2_000_000, 400_000, 10)):
        padded = payment_event(number, {"payment_id": payments[number], "note": "x" * size})
        bank.webhooks.append({"id": f"WB{number}", "successful": False, "request_body": delivery(padded).decode()})

    assert sorted(all_pages(KIT.provider(answer=bank))) == [(f"WB{n}", [each]) for n, each in enumerate(payments)]


def test_a_webhook_with_an_odd_id_ends_no_walk() -> None:
    bank = GoCardlessBank()
    body = delivery(payment_event(1, None)).decode()
    bank.webhooks = [{"id": each, "successful": False, "request_body": body} for each in ("WB1", None, "odd!", "WB2")]
    assert [key for key, _ in all_pages(KIT.provider(answer=bank))] == ["WB2", "WB1"]


def test_a_refund_is_read_by_its_name() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.give_back(reference.provider_ref, "RFdashboard", "created", 4000)
    bank.give_back(reference.provider_ref, "RFours", "created", 4000, payment_id=str(PAYMENT_ID))
    (debit,) = bank.debits

    def read(name: str) -> list[ThinEvent]:
        found = provider.look_up_object([ThinEvent(provider="gocardless", provider_ref=name, object_ref=name)])
        return list(found.events)  # type: ignore[arg-type]

    assert read("RFdashboard") == [ThinEvent(provider="gocardless", provider_ref=debit, foreign=True)]
    assert read("RFours") == [ThinEvent(provider="gocardless", provider_ref=str(PAYMENT_ID))]
    for name in ("RFnobody", "RF../payments", "PM1"):
        with pytest.raises(ProviderRefusedError) as caught:
            read(name)
        assert caught.value.reason is Decline.UNKNOWN_REFERENCE
