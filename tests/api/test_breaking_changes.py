"""What is served breaks nobody who was built by what was released; and the rules that say so find each kind of break.

``docs/openapi.json`` is the document of the last release. ``make openapi`` writes it anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

import orjson
import pytest
from flask import Flask

from checkout_service.api_versions import API_VERSIONS
from checkout_service.money import WITHDRAWN
from tests.api.breaking_changes import breaking_changes
from tests.conftest import ROOT

RELEASED: Final = ROOT / "docs" / "openapi.json"

ALWAYS_REFUSED: Final = {
    "pattern": {  # of days and times, amounts, addresses, ids and words with commas between
        "get /api/admin/disputes query": ("due_before",),
        "get /api/admin/events query": ("object", "types"),
        "get /api/admin/orders query": ("number", "since", "until"),
        "get /api/admin/orders.csv query": ("number", "since", "until"),
        "get /api/admin/payments query": ("since", "until", "updated_after"),
        "get /api/listings query": ("ids", "price_min", "price_max"),
        "patch /api/admin/webhook-endpoints/{endpoint_id}": ("body.url",),
        "post /api/admin/webhook-endpoints": ("body.url",),
        "post /api/admin/webhook-endpoints/{endpoint_id}/replay": ("body.since",),
        "post /api/admin/payments/{payment_id}/acceptances": ("body.amount",),
        "post /api/admin/payments/{payment_id}/captures": ("body.amount",),
        "post /api/payments/{payment_id}/refunds": ("body.amount",),
        "post /api/checkout/session": ("body.expected_total",),
    },
    "any word": {  # the currencies that there are
        "get /api/listings query": ("currency",),
        "get /api/listings/{listing_id} query": ("currency",),
    },
    "minProperties": {"patch /api/admin/webhook-endpoints/{endpoint_id}": ("body",)},  # a change of nothing
}
"""What the release refused too, but its document did not say so."""

WITHDRAWN_CURRENCIES: Final = {
    f"{operation} body.currency {currency}: enum value gone"
    for operation in ("patch /api/cart", "post /api/carts")
    for currency in WITHDRAWN
}
"""A cart that is priced in one could not be paid: nothing new is sold in a currency that ISO withdrew."""

ACCEPTED: Final = WITHDRAWN_CURRENCIES | {
    f"{operation} {name}: type narrowed: {what}"
    for what, operations in ALWAYS_REFUSED.items()
    for operation, names in operations.items()
    for name in names
}
"""Breaks that somebody decided on, as the rules word them, each with its reason beside it. A release empties it."""

Json = dict[str, Any]


@pytest.fixture
def document(app: Flask) -> Json:
    found: Json = orjson.loads(app.extensions["openapi"])
    return found


def test_what_is_served_breaks_nobody_who_was_built_by_what_was_released(document: Json) -> None:
    if os.environ.get("WRITE_OPENAPI"):
        RELEASED.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    released = json.loads(RELEASED.read_text(encoding="utf-8"))
    assert set(breaking_changes(released, document)) == (set() if os.environ.get("WRITE_OPENAPI") else ACCEPTED)
    assert released["info"]["version"] in API_VERSIONS, "who was built by it may name it"
    assert len(released["paths"]) > 30


def member(document: Json, schema: str, name: str) -> Json:
    found: Json = document["components"]["schemas"][schema]["properties"][name]
    return found


def at(document: Json, path: str, method: str) -> Json:
    found: Json = document["paths"][path][method]
    return found


def parameter(document: Json, path: str, name: str) -> Json:
    return next(each for each in at(document, path, "get")["parameters"] if each.get("name") == name)


def without(document: Json, schema: str, name: str) -> None:
    found = document["components"]["schemas"][schema]
    del found["properties"][name]
    found["required"] = [each for each in found.get("required", ()) if each != name]


def not_required(document: Json, schema: str, name: str) -> None:
    document["components"]["schemas"][schema]["required"].remove(name)


def required(document: Json, schema: str, name: str) -> None:
    found = document["components"]["schemas"][schema]
    found["properties"].setdefault(name, {"type": "string"})
    found.setdefault("required", []).append(name)


def rename(operation: Json) -> None:
    operation["operationId"] = "anotherName"


def types_of_bad_requests(document: Json) -> list[str]:
    """Those of 400 that have no members of their own."""
    schema = document["components"]["responses"]["BadRequest"]["content"]["application/problem+json"]["schema"]
    found: list[str] = schema["oneOf"][-1]["allOf"][1]["properties"]["type"]["enum"]
    return found


def another_object(document: Json) -> None:
    body = document["webhooks"]["payment.paid"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    body["properties"]["data"]["oneOf"].append({"$ref": "#/components/schemas/Cart"})


LISTED: Final = "/api/payments"
ONE: Final = "/api/payments/{payment_id}"
ITEMS: Final = "/api/cart/items"

Change = Callable[[Json], object]

BREAKS: Final[dict[str, tuple[Change, str]]] = {
    "path": (lambda d: d["paths"].pop("/api/cart"), "get /api/cart: operation gone"),
    "operation": (lambda d: d["paths"]["/api/cart"].pop("delete"), "delete /api/cart: operation gone"),
    "its name": (lambda d: rename(at(d, "/api/cart", "get")), "get /api/cart: operation gone"),
    "event": (lambda d: d["webhooks"].pop("payment.paid"), "post payment.paid: operation gone"),
    "parameter": (
        lambda d: at(d, LISTED, "get")["parameters"].remove(parameter(d, LISTED, "cursor")),
        "get /api/payments query cursor: parameter gone",
    ),
    "parameter of a path": (
        lambda d: d["paths"][LISTED]["parameters"].clear(),
        "get /api/payments header API-Version: parameter gone",
    ),
    "member of a request": (lambda d: without(d, "NewItem", "qty"), "post /api/cart/items body.qty: member gone"),
    "member of an answer": (lambda d: without(d, "Cart", "currency"), "get /api/cart 200.currency: member gone"),
    "member within a list": (lambda d: without(d, "CartItem", "qty"), "get /api/cart 200.items[].qty: member gone"),
    "member of what may be null": (
        lambda d: without(d, "Named", "name"),
        "get /api/cart 200.items[].listing.school.name: member gone",
    ),
    "member of an event": (
        lambda d: without(d, "RefundOfEvent", "amount"),
        "post refund.failed.data.amount: member gone",
    ),
    "member of a problem": (lambda d: without(d, "Problem", "request_id"), "get /api/cart 401.request_id: member gone"),
    "header of an answer": (
        lambda d: at(d, ONE, "get")["responses"]["200"]["headers"].pop("ETag"),
        f"get {ONE} 200 header ETag: member gone",
    ),
    "word of a parameter": (
        lambda d: parameter(d, "/api/admin/payments", "status")["schema"]["enum"].remove("paid"),
        "get /api/admin/payments query status paid: enum value gone",
    ),
    "word of a request": (
        lambda d: member(d, "NewEndpoint", "payload")["enum"].remove("thin"),
        "post /api/admin/webhook-endpoints body.payload thin: enum value gone",
    ),
    "word of an answer": (
        lambda d: member(d, "Payment", "status")["enum"].remove("authorized"),
        "get /api/payments 200.data[].status authorized: enum value gone",
    ),
    "type of a problem": (
        lambda d: types_of_bad_requests(d).remove("/problems/malformed-host"),
        "get /api/payments 400.type /problems/malformed-host: enum value gone",
    ),
    "status": (lambda d: at(d, ONE, "get")["responses"].pop("304"), f"get {ONE} 304: status gone"),
    "media type of an answer": (
        lambda d: at(d, "/api/admin/orders.csv", "get")["responses"]["200"]["content"].pop("text/csv"),
        "get /api/admin/orders.csv 200 text/csv: media type gone",
    ),
    "media type of a request": (
        lambda d: at(d, ITEMS, "post")["requestBody"]["content"].pop("application/json"),
        "post /api/cart/items body application/json: media type gone",
    ),
    "body": (
        lambda d: at(d, ITEMS, "post").pop("requestBody"),
        "post /api/cart/items body application/json: media type gone",
    ),
    "parameter required": (
        lambda d: parameter(d, LISTED, "cursor").update(required=True),
        "get /api/payments query cursor: newly required",
    ),
    "new parameter required": (
        lambda d: at(d, LISTED, "get")["parameters"].append({"in": "query", "name": "new", "required": True}),
        "get /api/payments query new: newly required",
    ),
    "body required": (
        lambda d: at(d, "/api/admin/orders/{order_id}/cancel", "post")["requestBody"].update(required=True),
        "post /api/admin/orders/{order_id}/cancel body: newly required",
    ),
    "member required": (
        lambda d: required(d, "OpenSession", "provider"),
        "post /api/checkout/session body.provider: newly required",
    ),
    "new member required": (lambda d: required(d, "NewItem", "new"), "post /api/cart/items body.new: newly required"),
    "member not always there": (
        lambda d: not_required(d, "Cart", "items"),
        "get /api/cart 200.items: no longer required",
    ),
    "member null": (
        lambda d: member(d, "Payment", "amount").update(type=["string", "null"]),
        "get /api/payments 200.data[].amount: newly null",
    ),
    "member null by another way": (
        lambda d: member(d, "CartItem", "listing").update(
            anyOf=[{"$ref": member(d, "CartItem", "listing").pop("$ref")}, {"type": "null"}]
        ),
        "get /api/cart 200.items[].listing: newly null",
    ),
    "null no more taken": (
        lambda d: member(d, "NewEndpoint", "types").update(type="array"),
        "post /api/admin/webhook-endpoints body.types: type narrowed: null",
    ),
    "type of a request": (
        lambda d: parameter(d, LISTED, "limit")["schema"].update(type="boolean"),
        "get /api/payments query limit: type narrowed",
    ),
    "words for any text": (
        lambda d: parameter(d, LISTED, "cursor")["schema"].update(enum=["a"]),
        "get /api/payments query cursor: type narrowed: any word",
    ),
    "pattern in a request": (
        lambda d: parameter(d, LISTED, "cursor")["schema"].update(pattern="^a$"),
        "get /api/payments query cursor: type narrowed: pattern",
    ),
    "format in a request": (
        lambda d: parameter(d, LISTED, "cursor")["schema"].update(format="uuid"),
        "get /api/payments query cursor: type narrowed: format",
    ),
    "less taken": (
        lambda d: parameter(d, LISTED, "limit")["schema"].update(maximum=99),
        "get /api/payments query limit: type narrowed: maximum",
    ),
    "more wanted": (
        lambda d: parameter(d, LISTED, "cursor")["schema"].update(minLength=2),
        "get /api/payments query cursor: type narrowed: minLength",
    ),
    "type of an answer": (
        lambda d: member(d, "CartItem", "qty").update(type=["integer", "string"]),
        "get /api/cart 200.items[].qty: type widened",
    ),
    "any type in an answer": (
        lambda d: member(d, "CartItem", "qty").pop("type"),
        "get /api/cart 200.items[].qty: type widened",
    ),
    "number for a whole one": (
        lambda d: member(d, "CartItem", "qty").update(type="number"),
        "get /api/cart 200.items[].qty: type widened",
    ),
    "any word in an answer": (
        lambda d: member(d, "Payment", "status").pop("enum"),
        "get /api/payments 200.data[].status: type widened: any word",
    ),
    "any amount in an answer": (
        lambda d: member(d, "Payment", "amount").pop("pattern"),
        "get /api/payments 200.data[].amount: type widened: pattern",
    ),
    "another object in an event": (another_object, "post payment.paid.data: type widened: another alternative"),
}
"""A change of each kind that breaks somebody, and what the rules say of it."""

HARMLESS: Final[dict[str, Change]] = {
    "operation": lambda d: d["paths"].update({"/api/new": {"get": {"operationId": "newOne", "responses": {}}}}),
    "event": lambda d: d["webhooks"].update(new=d["webhooks"]["payment.paid"]),
    "parameter": lambda d: at(d, LISTED, "get")["parameters"].append({"in": "query", "name": "new", "schema": {}}),
    "member of a request": lambda d: d["components"]["schemas"]["NewItem"]["properties"].update(new={"type": "string"}),
    "member of an answer": lambda d: required(d, "Cart", "new"),
    "word of an answer": lambda d: member(d, "Payment", "status")["enum"].append("new"),
    "word of a request": lambda d: member(d, "NewEndpoint", "payload")["enum"].append("new"),
    "status": lambda d: at(d, ONE, "get")["responses"].update({"418": {"description": "new"}}),
    "type of a problem": lambda d: types_of_bad_requests(d).append("/problems/new"),
    "less required in a request": lambda d: not_required(d, "NewItem", "listing"),
    "null taken": lambda d: member(d, "NewItem", "qty").update(type=["integer", "null"]),
    "no longer null": lambda d: member(d, "Endpoint", "types").update(type="array"),
    "more taken": lambda d: parameter(d, LISTED, "limit")["schema"].update(maximum=1000),
    "number taken": lambda d: parameter(d, LISTED, "limit")["schema"].update(type="number"),
    "less answered": lambda d: member(d, "Payment", "amount").update(maxLength=20),
    "words alone": lambda d: (rename_schema(d, "Cart", "WholeCart"), d["info"].update(title="Other")),
}


def rename_schema(document: Json, old: str, new: str) -> None:
    """A name of a schema is nothing that is sent."""
    text = json.dumps(document).replace(f'schemas/{old}"', f'schemas/{new}"').replace(f'"{old}": {{', f'"{new}": {{')
    document.clear()
    document.update(json.loads(text))


@pytest.mark.parametrize("kind", BREAKS)
def test_each_kind_of_break_is_found(document: Json, kind: str) -> None:
    change, message = BREAKS[kind]
    changed = deepcopy(document)
    change(changed)
    assert message in breaking_changes(document, changed)


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_breaks_nobody_is_let_through(document: Json, kind: str) -> None:
    changed = deepcopy(document)
    HARMLESS[kind](changed)
    assert changed != document
    assert breaking_changes(document, changed) == []


def test_a_type_of_problem_may_get_members_of_its_own(document: Json) -> None:
    changed = deepcopy(document)
    schema = changed["components"]["responses"]["BadRequest"]["content"]["application/problem+json"]["schema"]
    own = {"properties": {"type": {"const": types_of_bad_requests(changed).pop()}, "own": {"type": "string"}}}
    schema["oneOf"].append({"allOf": [{"$ref": "#/components/schemas/Problem"}, own]})
    assert breaking_changes(document, changed) == []
