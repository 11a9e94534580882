"""One purchase and one refund through real processes, as a collector sees them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from checkout_service.local.mock_server import MockServer
from checkout_service.local.purchase import customer_token
from checkout_service.telemetry.tracing import Attribute
from tests.collector import Collector, Taken, collecting
from tests.faults.signers import SIGNERS
from tests.faults.stack import House, open_house
from tests.journeys.conftest import eventually
from tests.worker.events.conftest import Receiver

STANDARD = next(signer for signer in SIGNERS if signer.provider == "standard")

BUYER = {"email": "ada.lovelace@example.org", "name": "Ada Lovelace", "locale": "en-GB", "phone": "+442071234567"}
ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "12 Analytical Road",
    "city": "Marylebone",
    "country": "GB",
    "postal_code": "W1U 3AB",
}

STRANGER = f"00-{'d' * 32}-{'e' * 16}-01"
"""A traceparent as a caller sends it, to have the service sample it."""

DELIVERY = "event delivery"

STAFF_KEY, CUSTOMER_KEY = "refund-of-ada-1", f"order-of-ada-{uuid4()}"


@dataclass(frozen=True, kw_only=True)
class Journey:
    """What was done, and what came of it outside."""

    house: House
    collector: Collector
    opened: Mapping[str, Any]
    refund: Mapping[str, Any]
    customer: str
    token: str
    events: list[str]

    def span(self, name: str, process: str = "checkout-web") -> Taken:
        (found,) = [span for span in self.collector.named(name) if span.process == process]
        return found


@pytest.fixture(scope="module")
def provider() -> Iterator[MockServer]:
    with MockServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def shop() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def journey(provider: MockServer, shop: Receiver, collector: Collector) -> Iterator[Journey]:
    settings = {**STANDARD.settings, "STANDARD_API_BASE": provider.url, "PAYMENT_PROVIDERS": "standard"}
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    own = {"ENVIRONMENT": "test", "WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "on"}
    with open_house(**own, **settings, **traces) as house:
        yield travel(house, provider, shop, collector)


def travel(house: House, provider: MockServer, shop: Receiver, collector: Collector) -> Journey:
    """A customer buys, the provider reports, staff gives a part back, and the shop hears of all of it."""
    command = ["flask", "--app", "wsgi", "webhook-endpoints", "create", "--url", shop.url("/events")]
    house.processes.run_once(command, name="endpoint")
    listing = house.listing()
    house.sql("UPDATE listings SET unit_price = 40, currency = 'USD' WHERE id = %(id)s", id=listing)
    customer = str(uuid4())
    token = customer_token(customer, house.environment)  # type: ignore[arg-type]  # any text is a subject
    with httpx.Client(base_url=house.base_url, timeout=60) as web:
        web.headers["traceparent"] = STRANGER
        named = {"Authorization": f"Bearer {token}"}
        web.post("/api/cart/items", json={"listing": listing, "qty": 1}, headers=named).raise_for_status()
        cart = web.get("/api/cart", headers=named).raise_for_status().json()
        order = {"cart_id": cart["id"], "buyer": BUYER, "delivery_address": ADDRESS}
        answer = web.post("/api/checkout/session", json=order, headers={**named, "Idempotency-Key": CUSTOMER_KEY})
        assert answer.status_code == 201, answer.text
        opened = answer.json()
        signed = STANDARD.sign(opened["payment_token"], datetime.now(UTC), house.environment)
        sent = {**signed.headers, "Content-Type": "application/json"}
        taken = web.post("/api/payments/webhook/standard", content=signed.body, headers=sent)
        assert taken.status_code == 202, taken.text
        path = f"/api/payments/{opened['payment_id']}"
        eventually(lambda: web.get(path, headers=named).json()["status"] == "paid")
        provider.bank.put(opened["payment_token"], {"status": "paid", "amount": "40.00"})
        claims = {"sub": str(uuid4()), "scope": "refunds", "exp": datetime.now(UTC).timestamp() + 600}
        staff = {"Authorization": f"Bearer {jwt.encode(claims, house.environment['JWT_SECRET'])}"}
        staff["Idempotency-Key"] = STAFF_KEY
        requested = web.post(f"{path}/refunds", json={"amount": "1.00"}, headers=staff)
        assert requested.status_code == 202, requested.text
        given = lambda: [each["status"] for each in web.get(f"{path}/refunds", headers=named).json()["data"]]  # noqa: E731
        eventually(lambda: given() == ["succeeded"])
        web.get("/livez").raise_for_status()
        assert web.get(f"/api/payments/{uuid4()}", headers=named).status_code == 404
        types = ("checkout.session.opened", "payment.paid", "order.placed", "refund.succeeded")
        eventually(lambda: {*types} <= {each.data["type"] for each in list(shop.received)}, within=60)
    collector.eventually(
        lambda: {*types} <= {each.attributes["checkout.event.type"] for each in collector.named(DELIVERY)}
    )
    collector.eventually(lambda: collector.named("refund request"))
    refund = requested.json()
    return Journey(
        house=house,
        collector=collector,
        opened=opened,
        refund=refund,
        customer=customer,
        token=token,
        events=[each.data["type"] for each in list(shop.received)],
    )


def test_the_request_that_opens_a_session_asks_its_provider_within_one_trace(journey: Journey) -> None:
    request = journey.span("POST /api/checkout/session")

    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/checkout/session",
        "http.response.status_code": 201,
    }
    assert request.parent == ""
    (requested,) = [span for span in journey.collector.of_trace(request.trace_id) if span.name == "provider open"]
    assert requested.parent == request.span_id
    assert requested.attributes == {"checkout.provider": "standard", "checkout.provider.call": "open"}
    delivered = deliveries(journey, request.trace_id)
    assert {*delivered} == {"checkout.session.opened"}


def test_a_webhook_its_transition_and_the_delivery_of_its_events_are_one_trace(journey: Journey) -> None:
    request = journey.span("POST /api/payments/webhook/<provider>")

    (moved,) = [span for span in journey.collector.of_trace(request.trace_id) if span.name == "webhook transition"]
    assert (moved.process, moved.parent) == ("checkout-worker", request.span_id)
    assert moved.attributes == {
        "checkout.provider": "standard",
        "checkout.webhook.attempts": 1,
        "checkout.webhook.state": "applied",
    }
    delivered = deliveries(journey, request.trace_id)
    assert {*delivered} >= {"payment.paid", "order.placed"}
    assert {span.parent for span in delivered.values()} == {moved.span_id}


def test_what_serves_many_or_came_before_is_linked(journey: Journey) -> None:
    opened, came = (journey.span(f"POST /api/{path}") for path in ("checkout/session", "payments/webhook/<provider>"))
    (moved,) = journey.collector.named("webhook transition")
    tasks = [span for span in journey.collector.named("process webhooks.process") if came.trace_id in span.links]

    assert len(tasks) == 1
    assert {*moved.links} == {opened.trace_id, tasks[0].trace_id}
    assert tasks[0].parent == ""


def test_a_refund_is_one_trace_from_the_request_to_the_providers_call_and_the_event(journey: Journey) -> None:
    request = journey.span("POST /api/payments/<uuid:payment_id>/refunds")
    trace = {span.name: span for span in journey.collector.of_trace(request.trace_id)}

    assert trace["refund request"].parent == request.span_id
    assert trace["provider refund"].parent == trace["refund request"].span_id
    assert trace["provider refund"].attributes == {"checkout.provider": "standard", "checkout.provider.call": "refund"}
    assert "refund.succeeded" in deliveries(journey, request.trace_id)


def test_a_stranger_begins_no_trace_and_is_a_link(journey: Journey) -> None:
    assert journey.collector.of_trace("d" * 32) == []
    assert journey.span("POST /api/checkout/session").links == ["d" * 32]


def test_probes_are_not_traced(journey: Journey) -> None:
    assert not [span.name for span in journey.collector.spans if "livez" in span.name or "readyz" in span.name]


def test_spans_say_nothing_of_anybody(journey: Journey) -> None:
    spans = list(journey.collector.spans)
    assert {key for span in spans for key in span.attributes} <= {*map(str, Attribute)}
    assert all("events" not in span.whole for span in spans)
    secrets = [value for name, value in journey.house.environment.items() if "SECRET" in name or "KEY" in name]
    person = (*BUYER.values(), *ADDRESS.values(), journey.customer, journey.token)
    ours = (journey.opened["payment_id"], journey.opened["payment_token"], journey.refund["id"])
    known = [*person, *ours, CUSTOMER_KEY, STAFF_KEY, *secrets, "127.0.0.1", "40.00"]
    for span in spans:
        written = json.dumps([span.whole, dict(span.resource)], ensure_ascii=False)
        assert [each for each in known if len(str(each)) > 2 and str(each) in written] == []


SDK = ("telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version")


def test_resources_say_what_runs_and_nothing_of_where(journey: Journey) -> None:
    resources = {tuple(sorted(span.resource)) for span in journey.collector.spans}

    assert {name for names in resources for name in names} <= {"service.instance.id", "service.name", *SDK}


def deliveries(journey: Journey, trace_id: str) -> dict[str, Taken]:
    """The event deliveries of a trace, by the type of the event."""
    found = [span for span in journey.collector.of_trace(trace_id) if span.name == DELIVERY]
    assert all(span.attributes["http.response.status_code"] == 200 for span in found)
    return {str(span.attributes["checkout.event.type"]): span for span in found}
