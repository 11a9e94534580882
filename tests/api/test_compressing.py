"""Which answers may be compressed: those that hold no secret and no form's token, each judged and written down."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout_service.api.compressing import COMPRESS_KEY, is_compressed
from tests.api.every_route import OPERATOR, path_of, routes
from tests.conftest import ROOT, Customer, MakeListing
from tests.own_apps import signed
from tests.purchases import fill_cart, opened

SECRETS = {"secret", "payment_token", "cart_token", "client_secret", "next_action", "publishable_key"}
"""Members of answers that open something, of this and later releases."""

STAFF = "captures events:read orders:read payments:read refunds webhooks:write"


def marked(app: Flask) -> set[str]:
    return {f"GET {shown(rule.rule)}" for rule, _ in routes(app) if is_compressed(app, rule.endpoint)}


def shown(rule: str) -> str:
    return re.sub(r"<(?:\w+:)?\w+>", "{id}", rule)


def test_the_page_on_security_names_each_of_them_and_no_other(everything: Flask) -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = page.split("## What is compressed")[1].split("\n## ")[0]
    (row,) = re.findall(r"^\| compressed \|(.*)\|$", section, re.MULTILINE)
    assert set(re.findall(r"`(GET [^`]+)`", row)) == marked(everything)


def test_only_reading_is_marked_and_never_the_receiver_of_webhooks(everything: Flask) -> None:
    methods = {method for rule, method in routes(everything) if is_compressed(everything, rule.endpoint)}
    assert methods == {"GET"}
    assert not is_compressed(everything, "webhooks.receive_webhook")


def members_of(document: dict[str, Any], node: Any, seen: set[str]) -> set[str]:
    """The names of all members below a schema."""
    found = set()
    text = json.dumps(node)
    for name in set(re.findall(r"#/components/schemas/(\w+)", text)) - seen:
        seen.add(name)
        found |= members_of(document, document["components"]["schemas"][name], seen)
    if isinstance(node, dict):
        found |= node.get("properties", {}).keys()
    return found


def test_no_operation_whose_answer_holds_a_secret_is_marked(everything: Flask) -> None:
    document = json.loads(everything.extensions["openapi"])
    holding = set()
    for rule, method in routes(everything):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        operation = document["paths"].get(path, {}).get(method.lower())
        for status, answer in (operation or {"responses": {}})["responses"].items():
            if status < "400":
                for media in answer.get("content", {}).values():
                    if members_of(document, media["schema"], set()) & SECRETS:
                        holding.add(rule.endpoint)
    assert {"checkout.post_session", "webhook_endpoints.post_endpoint", "webhook_endpoints.rotate_secret"} <= holding
    assert not {endpoint for endpoint in holding if is_compressed(everything, endpoint)}


def test_answers_of_marked_views_vary_by_what_a_client_takes_and_no_page_of_them_has_a_form(
    everything: Flask, customer: Customer, make_listing: MakeListing
) -> None:
    payment = opened(customer, fill_cart(customer, (make_listing(), 1)))["payment_id"]
    client, seen = everything.test_client(), set()
    for rule, method in routes(everything):
        if method != "GET":
            continue
        path = path_of(rule, payment)
        headers = signed(scope=STAFF) if path.startswith("/api/admin") else dict(customer.headers)
        kept = {"auth": OPERATOR} if path.startswith("/ops") else {"headers": headers}
        answer = client.get(path, **kept)
        varies = "Accept-Encoding" in answer.headers.get("Vary", "")
        assert varies == (is_compressed(everything, rule.endpoint) and answer.status_code == 200), path
        assert answer.request.environ.get(COMPRESS_KEY, False) is False or varies
        if varies:
            seen.add(rule.endpoint)
            assert "csrf" not in answer.text or rule.endpoint.startswith("docs."), path
            assert answer.mimetype in {"application/json", "text/html"}
            assert answer.headers.get("ETag", "W/").startswith("W/"), "one name for both forms"
        answer.close()
    assert {"carts.get_cart", "payments.list_payments", "docs.show_document", "your_orders.show_orders"} <= seen


def test_a_304_varies_as_well(customer: Customer) -> None:
    first = customer.get("/api/orders")
    again = customer.get("/api/orders", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.headers["Vary"]) == (304, first.headers["Vary"])


@pytest.mark.parametrize("form", ["{}", "W/{}"])
def test_the_document_is_304_while_it_is_the_same(client: FlaskClient, form: str) -> None:
    etag = client.get("/api/openapi.json").headers["ETag"]
    answer = client.get("/api/openapi.json", headers={"If-None-Match": form.format(etag.removeprefix("W/"))})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", etag)
