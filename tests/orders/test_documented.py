"""The API's document says what orders are and how they are found, and its examples are what is answered."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import Customer, MakeListing, Sql
from tests.orders.buying import bought
from tests.refunding import staff_of

READS = {
    "/api/orders": "/api/orders",
    "/api/orders/{order_id}": "/api/orders/{id}",
    "/api/admin/orders": "/api/admin/orders",
    "/api/admin/orders/{order_id}": "/api/admin/orders/{id}",
}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/openapi.json").json
    return found


def slugs(operation: dict[str, Any], status: str) -> set[str]:
    return set(operation["responses"][status]["content"]["application/problem+json"]["examples"])


def members(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The members of a schema, by name."""
    properties: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
    return properties


def shape(value: Any) -> Any:
    """The names of all members, however deep, without what is in free objects and what an example may lack."""
    if isinstance(value, dict):
        free = {"buyer", "delivery_address", "fulfilments", "refunds", "cancellation"}
        return {name: None if name in free else shape(inner) for name, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


@pytest.mark.parametrize("path", READS)
def test_examples_and_schemas_have_the_members_of_answers(
    document: dict[str, Any], customer: Customer, make_listing: MakeListing, sql: Sql, path: str
) -> None:
    made = bought(customer, sql, (make_listing(), 1))
    operation = document["paths"][path]["get"]
    content = operation["responses"]["200"]["content"]["application/json"]
    reader = staff_of(customer) if "admin" in path else customer

    answer = reader.get(READS[path].format(id=made.id)).json

    assert shape(content["example"]) == shape(answer)
    assert set(members(document, content["schema"])) == set(answer)
    if "data" in answer:
        items = members(document, content["schema"])["data"]["items"]
        assert set(members(document, items)) == set(answer["data"][0])


def test_problems_and_parameters_are_documented(document: dict[str, Any]) -> None:
    listing, one = (document["paths"][f"/api/orders{rest}"]["get"] for rest in ("", "/{order_id}"))
    finding, export = (document["paths"][f"/api/admin/orders{rest}"]["get"] for rest in ("", ".csv"))

    assert {"200", "304", "401", "422"} <= listing["responses"].keys()
    assert slugs(one, "404") == {"not-found"}
    assert "403" in finding["responses"]
    filters = {"status", "vendor", "since", "until", "number", "customer", "subject", "email"}
    assert {parameter["name"] for parameter in finding["parameters"]} == filters | {"limit", "cursor", "If-None-Match"}
    assert {parameter["name"] for parameter in export["parameters"]} == filters
    assert slugs(export, "422") >= {"invalid", "export-too-large"}
    assert "429" in export["responses"]
    assert "no-room-for-export" in slugs(export, "503")
    assert list(export["responses"]["200"]["content"]) == ["text/csv"]


@pytest.mark.parametrize(("slug", "status"), [("export-too-large", 422), ("no-room-for-export", 503)])
def test_every_problem_has_its_page(client: FlaskClient, slug: str, status: int) -> None:
    page = client.get(f"/problems/{slug}")
    assert (page.status_code, page.json["status"]) == (200, status)
    assert page.json["detail"]
