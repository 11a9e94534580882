"""Which scope opens which route: over all routes that there are, with tokens and with API keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from checkout_service.api.callers import Demand, demand_of, guest_access_of, how_known, is_public
from checkout_service.api.scopes import OPENS, Scope
from tests.api.every_route import path_of, routes
from tests.api_keys import ALL_SCOPES, made_key, program_of
from tests.conftest import ROOT, Customer, Servers, Sql
from tests.own_apps import bearer, signed
from tests.refunding import open_payment

DEMANDS = {
    "captures.list_captures": ("payments:read", "captures"),
    "captures.post_capture": ("captures",),
    "captures.post_void": ("captures",),
    "disputes.list_disputes": ("payments:read",),
    "event_replays.list_replays": ("webhooks:write",),
    "event_replays.post_replay": ("webhooks:write",),
    "event_replays.stop_replay": ("webhooks:write",),
    "events.list_events": ("events:read",),
    "events.read_event": ("events:read",),
    "order_requests.post_cancellation": ("orders:write",),
    "order_requests.post_fulfilment": ("orders:write",),
    "payments.cancel_payment": ("refunds",),
    "payments.read_payment": ("payments:read",),
    "refunds.list_refunds": ("refunds", "payments:read"),
    "refunds.post_refund": ("refunds",),
    **{
        f"settlements.{view}": ("payouts:read",)
        for view in (
            *("list_payouts", "read_payout", "export_payouts"),
            *("list_balance_entries", "export_balance_entries"),
        )
    },
    "settling.post_acceptance": ("refunds",),
    "staff_orders.export_orders": ("orders:read",),
    "staff_orders.find_staff_orders": ("orders:read",),
    "staff_orders.read_staff_order": ("orders:read",),
    "staff_payments.find_staff_payments": ("payments:read",),
    "staff_payments.read_staff_payment": ("payments:read",),
    **{
        f"webhook_endpoints.{view}": ("webhooks:write",)
        for view in (
            *("post_endpoint", "list_endpoints", "read_endpoint", "patch_endpoint", "delete_endpoint"),
            *("rotate_secret", "send_test", "list_deliveries"),
        )
    },
}
"""Each route that is for staff, alone or too. A larger set is a decision."""

FOR_CUSTOMERS_TOO = {"payments.cancel_payment", "payments.read_payment", "refunds.list_refunds"}

NEW = {"staff_payments.find_staff_payments", "staff_payments.read_staff_payment"} | {
    endpoint
    for endpoint, scopes in DEMANDS.items()
    if scopes in {("webhooks:write",), ("events:read",), ("payouts:read",)}
}
"""Those that were never opened by ``refunds``, the one scope of before."""


@pytest.fixture(autouse=True)
def _owner(monkeypatch: pytest.MonkeyPatch, servers: Servers) -> None:
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.superuser_url)


def private(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Each endpoint that takes a token, with a method and a path of it."""
    for rule, method in routes(app):
        if not is_public(app, rule.endpoint) and how_known(app, rule.endpoint) is None:
            yield rule.endpoint, method, path_of(rule)


def sent(client: FlaskClient, method: str, path: str, headers: dict[str, str]) -> TestResponse:
    return client.open(
        path, method=method, headers=headers | {"Idempotency-Key": "one"}, json={} if method != "GET" else None
    )


def is_let_in(answer: TestResponse) -> bool:
    """Whether the caller came past the door: what is wrong, if something is, is about the request."""
    assert answer.status_code < 500, answer.text
    if answer.status_code in {401, 403}:
        assert answer.content_type == "application/problem+json"
        return False
    return True


def test_every_route_for_staff_is_listed_with_its_scopes(everything: Flask) -> None:
    marked = {
        endpoint: demand
        for endpoint, _, _ in private(everything)
        if (demand := demand_of(everything, endpoint)) is not None
    }
    assert {endpoint: tuple(map(str, demand.scopes)) for endpoint, demand in marked.items()} == DEMANDS
    assert {endpoint for endpoint, demand in marked.items() if not demand.only} == FOR_CUSTOMERS_TOO
    for endpoint, _, path in private(everything):
        if path.startswith("/api/admin"):
            assert marked[endpoint].only, path


def test_a_customers_token_opens_nothing_of_staff(everything: Flask) -> None:
    seen = set()
    for endpoint, method, path in private(everything):
        if endpoint not in DEMANDS or endpoint in FOR_CUSTOMERS_TOO:
            continue
        for scope in (None, "", "orders", "payments:readx", "admin", "ops", "events:reads webhooks:reads"):
            answer = sent(everything.test_client(), method, path, signed(scope=scope))
            assert (answer.status_code, answer.json["type"]) == (403, "/problems/insufficient-scope"), (path, scope)
        for other in {"HEAD", "OPTIONS"} if method == "GET" else {"OPTIONS"}:
            answer = everything.test_client().open(path, method=other, headers=signed())
            # What a path takes is said to whoever may send it anything: customers read their refunds.
            theirs = other == "OPTIONS" and not path.startswith("/api/admin")
            assert (answer.status_code, "Allow" in answer.headers) == ((200, True) if theirs else (403, False)), path
        seen.add(endpoint)
    assert seen == DEMANDS.keys() - FOR_CUSTOMERS_TOO


def test_each_scope_opens_its_routes_and_no_other_by_token_and_by_key(everything: Flask) -> None:
    for scope in Scope:
        key, token = bearer(made_key(everything, scope)), signed(scope=f"x {scope} y")
        for endpoint, method, path in private(everything):
            allowed = scope in DEMANDS.get(endpoint, ())
            by_key = is_let_in(sent(everything.test_client(), method, path, key))
            assert by_key == allowed, (scope, method, path)
            if endpoint in DEMANDS and endpoint not in FOR_CUSTOMERS_TOO:
                by_token = is_let_in(sent(everything.test_client(), method, path, token))
                before = scope is Scope.REFUNDS and endpoint not in NEW
                assert by_token == (allowed or before), (scope, method, path)


def test_an_api_key_with_every_scope_opens_no_customers_route(everything: Flask) -> None:
    key = bearer(made_key(everything, *ALL_SCOPES))
    refused = set()
    for endpoint, method, path in private(everything):
        answer = sent(everything.test_client(), method, path, key)
        if endpoint in DEMANDS:
            assert is_let_in(answer), (method, path)
        else:
            assert (answer.status_code, answer.json["type"]) == (403, "/problems/not-for-api-keys"), (method, path)
            refused.add(endpoint)
    assert {"carts.get_cart", "carts.put_item", "checkout.post_session", "payments.list_payments"} <= refused
    assert {"orders.list_orders", "orders.read_order", "checkout.read_session"} <= refused


def test_the_shop_takes_a_key_for_nobody(everything: Flask, sql: Sql) -> None:
    """Its pages know customers by their cookie: whoever sends a key is a guest like any other."""
    key = bearer(made_key(everything, *ALL_SCOPES))
    for rule, method in routes(everything):
        if rule.endpoint.startswith("pages") and method == "GET" and not rule.arguments:
            everything.test_client().get(path_of(rule), headers=key)
    assert everything.test_client().get("/cart", headers=key).headers["Set-Cookie"].startswith("guest=")
    assert sql("SELECT count(*) AS n FROM carts")[0].n == 0


@pytest.mark.parametrize(("scope", "status"), [("ops", 200), ("payments:read", 403)])
def test_the_console_takes_a_key_with_the_scope_ops(everything: Flask, scope: str, status: int) -> None:
    key = bearer(made_key(everything, scope))
    assert everything.test_client().get("/ops/payments", headers=key).status_code == status
    assert everything.test_client().get("/ops/payments", headers=bearer("csk_" + "0" * 49)).status_code == 401


def test_a_key_reads_anybodys_payment_as_staff_does_where_customers_read_theirs(
    app: Flask, customer: Customer, sql: Sql
) -> None:
    payment_id, _ = open_payment(sql, owner=customer.id)
    reader = program_of(customer, sql, made_key(app, "payments:read"))

    shown = reader.get(f"/api/payments/{payment_id}").json
    assert (shown["customer"], shown["review_reasons"]) == (str(customer.id), [])
    assert "customer" not in customer.get(f"/api/payments/{payment_id}").json
    assert reader.get(f"/api/payments/{payment_id}/refunds").json == {"data": []}
    assert reader.post(f"/api/payments/{payment_id}/cancel").status_code == 403
    canceler = program_of(customer, sql, made_key(app, "refunds"))
    assert canceler.post(f"/api/payments/{payment_id}/cancel").status_code == 202
    assert sql("SELECT requested_by FROM cancel_requests")[0].requested_by == canceler.id


def test_a_key_has_nothing_by_history(app: Flask, customer: Customer, sql: Sql) -> None:
    """``refunds`` opened all routes of staff before there were other scopes: to tokens, and to no key."""
    program = program_of(customer, sql, made_key(app, "refunds"))
    token = replace(customer, headers=signed(scope="refunds"))
    for path in ("/api/admin/orders", "/api/admin/disputes"):
        assert token.get(path).status_code == 200
        assert program.get(path).status_code == 403
    assert token.get("/api/admin/payments").status_code == 403


def test_the_document_says_which_scopes_open_each_operation(everything: Flask) -> None:
    document = everything.test_client().get("/api/openapi.json").json
    schemes = document["components"]["securitySchemes"]
    assert {name: scheme["type"] for name, scheme in schemes.items()} == {
        "customer": "http",
        "staff": "http",
        "guest": "apiKey",
    }
    for scope, words in OPENS.items():
        assert f"`{scope}` {words}" in schemes["staff"]["description"]
    assert OPENS.keys() == set(Scope)
    shown = {
        (method, path): (operation.get("security"), operation.get("x-scopes"))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method != "parameters"
    }
    for rule, method in routes(everything):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        if rule.endpoint in DEMANDS:
            demand = demand_of(everything, rule.endpoint)
            assert demand is not None
            by_guests = guest_access_of(everything, rule.endpoint) is not None
            assert shown[method.lower(), path] == expected(demand, by_guests=by_guests), path
        elif (method.lower(), path) in shown and not is_public(everything, rule.endpoint):
            by_guests = guest_access_of(everything, rule.endpoint) is not None
            security = [{"customer": []}, {"guest": []}] if by_guests else None
            assert shown[method.lower(), path] == (security, None)
            assert "403" in document["paths"][path][method.lower()]["responses"]


def expected(demand: Demand, *, by_guests: bool) -> tuple[list[dict[str, list[str]]], list[str]]:
    ways = [*([] if demand.only else ["customer"]), *(["guest"] if by_guests else []), "staff"]
    return [{way: []} for way in ways], [str(scope) for scope in demand.scopes]


def test_the_page_on_security_has_the_table(everything: Flask) -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = page.split("## Scopes and API keys")[1].split("\n## ")[0]
    rows = {
        found[1]: set(re.findall(r"`(?:GET|POST|PATCH|DELETE) (/[^`]+)`", found[2]))
        for found in re.finditer(r"^\| `([a-z:]+)` \|(.*)\|$", section, re.MULTILINE)
    }
    assert rows.keys() == set(Scope)
    opened: dict[str, set[str]] = {scope: set() for scope in Scope}
    for rule, _ in routes(everything):
        demand = demand_of(everything, rule.endpoint)
        for scope in demand.scopes if demand else ():
            opened[scope].add(re.sub(r"<(?:\w+:)?(\w+)>", "{id}", rule.rule))
    opened["ops"].add("/ops")
    assert {scope: paths for scope, paths in rows.items() if opened[scope]} == {
        scope: paths for scope, paths in opened.items() if paths
    }
