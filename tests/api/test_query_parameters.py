"""A query parameter is one that the route takes, once, in the one spelling that is documented; pages take any."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.every_route import OPERATOR, path_of, routes
from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import fill_cart, opened
from tests.refunding import staff_of
from tests.webhook_bodies import webhook

_OF_PAYOUTS = {"provider", "state", "status", "currency", "arrival_since", "arrival_until", "reference"}
_OF_ENTRIES = {
    *("payout_id", "payment_id", "provider", "kind", "currency", "occurred_since", "occurred_until", "match_state"),
    "withdrawn",
}
_TAKEN = {
    "disputes.list_disputes": {"limit", "cursor", "status", "due_before"},
    "event_replays.list_replays": {"limit", "cursor"},
    "events.list_events": {"after", "types", "object", "limit", "wait"},
    "listings.list_listings": {
        *("q", "vendor", "school", "spec", "ids", "price_min", "price_max", "available", "currency", "sort"),
        *("limit", "cursor"),
    },
    "listings.read_listing": {"currency"},
    "orders.list_orders": {"limit", "cursor"},
    "payments.list_payments": {"limit", "cursor"},
    "payments.read_payment": {"before", "wait"},
    "staff_payments.find_staff_payments": {
        *("limit", "cursor", "status", "provider", "since", "until", "customer", "subject"),
        *("reference", "updated_after"),
    },
    "staff_payments.read_staff_payment": {"before"},
    "webhook_endpoints.list_deliveries": {"limit", "cursor", "state", "type", "event"},
    "webhook_endpoints.list_endpoints": {"limit", "cursor", "state"},
    "settlements.list_payouts": {"limit", "cursor", *_OF_PAYOUTS},
    "settlements.export_payouts": _OF_PAYOUTS,
    "settlements.list_balance_entries": {"limit", "cursor", *_OF_ENTRIES},
    "settlements.export_balance_entries": _OF_ENTRIES,
    "staff_orders.export_orders": {"status", "vendor", "since", "until", "number", "customer", "subject", "email"},
    "staff_orders.find_staff_orders": {
        *("limit", "cursor", "status", "vendor", "since", "until", "number", "customer", "subject", "email"),
    },
}  # fmt: skip


def test_every_route_of_the_api_refuses_a_parameter_that_it_does_not_take(everything: Flask) -> None:
    seen = set()
    for rule, method in routes(everything):
        if not rule.rule.startswith("/api/") or rule.endpoint.startswith(("docs.", "webhooks.")):
            continue
        answer = everything.test_client().open(f"{path_of(rule)}?no_such=1&a%2Fb~=", method=method)
        assert answer.status_code == 422, (method, rule.rule, answer.text)
        assert answer.content_type == "application/problem+json"
        assert answer.json["errors"] == [
            {"pointer": "/no_such", "detail": "Unknown field."},
            {"pointer": "/a~1b~0", "detail": "Unknown field."},
        ]
        seen.add(rule.endpoint)
    assert len(seen) > 20
    assert _TAKEN.keys() <= seen


def test_every_documented_parameter_is_taken_and_no_route_takes_it_twice(everything: Flask, customer: Customer) -> None:
    staff = staff_of(customer, scope="refunds payments:read payouts:read events:read webhooks:write")
    documented = everything.test_client().get("/api/openapi.json").json
    shown = {
        (path, method): {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        for path, operations in documented["paths"].items()
        for method, operation in operations.items()
        if method != "parameters"
    }
    assert sorted(map(sorted, filter(None, shown.values()))) == sorted(map(sorted, _TAKEN.values()))
    for rule, _ in routes(everything):
        for name in _TAKEN.get(rule.endpoint, ()):
            answer = everything.test_client().get(f"{path_of(rule)}?{name}=1&{name}=2", headers=staff.headers)
            assert answer.status_code == 422
            assert answer.json["errors"] == [{"pointer": f"/{name}", "detail": "Given more than once."}]


def test_a_filter_with_a_typo_exports_nothing(customer: Customer) -> None:
    answer = staff_of(customer).get("/api/admin/orders.csv?statsu=placed")
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/statsu")


def test_a_file_of_the_console_takes_only_its_filters_too(everything: Flask) -> None:
    client = everything.test_client()
    assert client.get("/ops/orders.csv?status=placed", auth=OPERATOR).status_code == 200
    assert client.get("/ops/orders.csv?statsu=placed", auth=OPERATOR).status_code == 400


def test_pages_take_whatever_tail_a_link_has(everything: Flask, customer: Customer, make_listing: MakeListing) -> None:
    make_listing()
    for path in ("/", "/cart", "/orders", "/payments", "/api/docs"):
        answer = everything.test_client().get(f"{path}?utm_source=mail&utm_source=two")
        assert answer.status_code == 200, (path, answer.text)
    # Not the console's, whose addresses are typed: a filter with a typo would show everything.
    assert everything.test_client().get("/ops/payments?utm_source=mail", auth=OPERATOR).status_code == 400


def test_a_webhook_is_taken_whatever_is_added_to_its_address(client: FlaskClient, sql: Sql) -> None:
    answer = client.post("/api/payments/webhook/mock?tag=1&tag=2", data=webhook("mock_pi_1"))
    assert answer.status_code == 202
    assert sql("SELECT count(*) AS n FROM webhook_deliveries")[0].n == 1


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/api/payments?limit=１０", "/limit"),
        ("/api/payments?limit=1_0", "/limit"),
        ("/api/payments?limit=%2010", "/limit"),
        ("/api/payments?limit=%2B5", "/limit"),
        ("/api/admin/orders?since=2026-W01-1", "/since"),
        ("/api/admin/orders?since=20260101", "/since"),
        ("/api/admin/orders?since=２０２６-01-01", "/since"),
        ("/api/admin/orders?until=2026-W01-1T00:00:00Z", "/until"),
        ("/api/admin/orders?until=2026-01-01Q00:00:00Z", "/until"),
        ("/api/admin/orders?until=2026-01-01T00:00:00", "/until"),
        ("/api/admin/orders?vendor={018f0000-0000-7000-8000-000000000101}", "/vendor"),
        ("/api/admin/orders?customer=018f000000007000800000000000010１", "/customer"),
        ("/api/admin/disputes?due_before=2026-W01-1", "/due_before"),
    ],
)
def test_only_the_documented_spellings_are_taken(customer: Customer, path: str, pointer: str) -> None:
    answer = staff_of(customer, scope="refunds").get(path)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize(
    "query",
    [
        *("limit=10", "since=2026-01-01", "since=2026-01-01T10:30:00Z", "since=2026-01-01t10:30:00.123456789z"),
        *("until=2026-01-01T10:30:00%2B02:00", "vendor=018F0000-0000-7000-8000-000000000101"),
    ],
)
def test_the_documented_spellings_are_taken(customer: Customer, query: str) -> None:
    assert staff_of(customer).get(f"/api/admin/orders?{query}").status_code == 200


def test_an_id_in_a_body_has_one_spelling(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    listing = str(make_listing()["id"])
    for written in (f"{{{listing}}}", listing.replace("-", ""), f"urn:uuid:{listing}"):
        answer = customer.post("/api/cart/items", json={"listing": written, "qty": 1})
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/listing")
    assert sql("SELECT count(*) AS n FROM cart_items")[0].n == 0
    assert customer.post("/api/cart/items", json={"listing": listing.upper(), "qty": 1}).status_code < 300


def test_a_cursor_has_one_spelling(customer: Customer, make_listing: MakeListing) -> None:
    for key in ("one", "two"):
        opened(customer, fill_cart(customer, (make_listing(), 1)), key)
    cursor = customer.get("/api/payments?limit=1").json["next_cursor"]
    assert customer.get(f"/api/payments?limit=1&cursor={cursor}").status_code == 200
    assert customer.get(f"/api/payments?limit=1&cursor={cursor}%3D%3D").status_code == 422
