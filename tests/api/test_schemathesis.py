"""The API as its document says it is, tried by Schemathesis against a real web process, as every kind of caller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from flask import Flask

from tests.api.beyond_schemas import BEYOND
from tests.api.fuzzing import Json, Tried, attempt, opened_by, with_few_words
from tests.api.tried_shop import Shop, furnished, served
from tests.conftest import MakeListing, Servers, Sql

STAFF_BESIDE: Final = {"getPayment", "cancelPayment", "listRefunds"}
"""What staff may call as well as customers."""


LONG_LISTS: Final = ("DeliveryAddress", "NewCart", "Currency", "NewEndpoint", "EndpointChanges", "NewReplay")
"""Schemas of bodies with the countries or the currencies of the world, or all types of events."""


@pytest.fixture(scope="module")
def base_url(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(servers, tmp_path_factory.mktemp("tried")) as url:
        yield url


@pytest.fixture
def shop(
    base_url: str, app: Flask, servers: Servers, monkeypatch: pytest.MonkeyPatch, sql: Sql, make_listing: MakeListing
) -> Shop:
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.superuser_url)
    return furnished(base_url, app, sql, make_listing)


def operations(document: Json) -> set[str]:
    return {
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and "operationId" in operation
    }


def by_customers(shop: Shop, *, schemas_of_few_words: tuple[str, ...] = (), **options: Any) -> Tried:
    """Customers, whoever sends nothing, and staff at what is theirs alone; each operation did what it is for."""
    document = opened_by(with_few_words(shop.document("customer"), schemas_of_few_words), "customer", "staff")
    tried = attempt(document, shop.callers, "customer", "staff", **options)
    assert not tried.failures, "\n".join(tried.failures)
    assert tried.done == operations(document), "the rest was only refused, which shows little"
    assert len(tried.done) > 40
    return tried


def by_guests(shop: Shop, **options: Any) -> Tried:
    document = opened_by(shop.document("guest"), "guest")
    tried = attempt(document, shop.callers, "guest", **options)
    assert not tried.failures, "\n".join(tried.failures)
    assert len(tried.done & operations(opened_by(document, "guest", all_of=("guest",)))) > 10
    return tried


def by_staff_beside(shop: Shop, **options: Any) -> Tried:
    """Staff at what customers may call too: not every method of a path, and the coverage phase tries the others."""
    document = opened_by(shop.document("customer"), "staff", all_of=("staff", "customer"))
    assert operations(document) == STAFF_BESIDE
    tried = attempt(document, shop.callers, "staff", phases=("examples", "fuzzing", "stateful"), **options)
    assert not tried.failures, "\n".join(tried.failures)
    assert tried.done >= STAFF_BESIDE - {"cancelPayment"}
    return tried


def test_customers_and_staff_are_answered_as_the_document_says(shop: Shop) -> None:
    """Requests that are valid by the document: of all that are not, the slow run tries thousands."""
    by_customers(shop, examples=1, schemas_of_few_words=LONG_LISTS, mode="positive")


def test_guests_are_answered_as_the_document_says(shop: Shop) -> None:
    by_guests(shop, examples=1, phases=("examples", "fuzzing"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_are_answered_so_whatever_they_send(shop: Shop) -> None:
    beyond = {
        number
        for attempted in (by_customers, by_guests, by_staff_beside)
        for number in attempted(shop, examples=20).beyond
    }
    unused = [entry for number, entry in enumerate(BEYOND) if number not in beyond]
    assert len(unused) <= 3, unused  # which few of the rules the examples do not meet, is chance


def test_what_is_not_as_documented_is_found(shop: Shop) -> None:
    document = opened_by(shop.document("customer"), "customer")
    document["paths"] = {
        path: {"get": document["paths"][path]["get"]} for path in ("/api/listings", "/api/cart", "/api/orders")
    }
    document["components"]["schemas"]["ListingPage"]["properties"]["has_more"] = {"type": "string"}
    of_cart, of_orders = (document["paths"][f"/api/{name}"]["get"] for name in ("cart", "orders"))
    of_cart["responses"]["203"] = of_cart["responses"].pop("200")
    of_orders["responses"]["200"]["headers"]["X-Page"] = {"required": True, "schema": {"type": "string"}}
    for operation in (of_cart, of_orders, document["paths"]["/api/listings"]["get"]):
        for answer in operation["responses"].values():
            answer.pop("links", None)

    tried = attempt(document, shop.callers, "customer", examples=1, phases=("fuzzing",))

    found = "\n".join(tried.failures)
    assert "GET /api/listings: response_schema_conformance" in found
    assert "GET /api/cart: status_code_conformance" in found
    assert "GET /api/orders: response_headers_conformance" in found
