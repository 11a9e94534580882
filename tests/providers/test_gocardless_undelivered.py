"""GoCardless: what it could not deliver, and what none of its events leads to a payment by."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from checkout_service.providers.adapters.gocardless.provider import GoCardlessProvider
from tests.providers.kits.gocardless import KIT, GoCardlessBank, delivery
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


def test_a_refund_of_the_dashboard_is_found_by_its_payment_which_is_read_once() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.give_back(reference.provider_ref, "RFdashboard", "created", 4000)
    bank.give_back(reference.provider_ref, "RFours", "created", 4000, payment_id=str(PAYMENT_ID))
    (debit,) = bank.debits.values()
    bank.debits["PMtheirs"] = debit | {"id": "PMtheirs", "metadata": {}}
    bank._made_refund("RFtheirs", bank.debits["PMtheirs"], 100, {})
    bank._made_refund("RFgone", debit | {"id": "PMgone"}, 100, {})

    for _ in range(2):
        assert all_pages(provider) == [("RFdashboard:created", [reference.provider_ref])]
    reads = [call.url.path for call in bank.requests if call.url.path.startswith("/payments/")]
    assert sorted(reads) == sorted([f"/payments/{debit['id']}", "/payments/PMtheirs", "/payments/PMgone"])
