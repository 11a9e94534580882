"""The API's document says what a session takes and answers, and every way in which one may be refused."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.purchases import ANSWER


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/openapi.json").json
    return found


def slugs(operation: dict[str, Any], status: str) -> set[str]:
    return set(operation["responses"][status]["content"]["application/problem+json"]["examples"])


def test_opening_a_session(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/checkout/session"]["post"]

    assert {"out-of-stock", "cart-changed", "amount-differs", "total-changed"} == slugs(operation, "409")
    assert {"too-many-held-pieces", "too-many-open-sessions", "too-many-at-once"} <= slugs(operation, "429")
    examples = operation["responses"]["409"]["content"]["application/problem+json"]["examples"]
    assert [set(line) for line in examples["out-of-stock"]["value"]["lines"]] == [{"listing", "wanted", "available"}]
    assert set(operation["responses"]["201"]["content"]["application/json"]["example"]) == ANSWER


@pytest.mark.parametrize(
    ("schema", "required", "optional"),
    [
        ("Buyer", {"email", "name", "locale"}, {"phone"}),
        ("DeliveryAddress", {"name", "line1", "postal_code", "city", "country"}, {"line2", "region", "phone"}),
    ],
)
def test_what_a_request_says_of_people(
    document: dict[str, Any], schema: str, required: set[str], optional: set[str]
) -> None:
    found = document["components"]["schemas"][schema]

    assert set(found["required"]) == required
    assert set(found["properties"]) == required | optional
    assert all("example" in each for each in found["properties"].values())


def test_reading_a_session_and_emptying_a_cart(document: dict[str, Any]) -> None:
    reading = document["paths"]["/api/checkout/session/{payment_id}"]["get"]
    emptying = document["paths"]["/api/cart"]["delete"]

    assert slugs(reading, "404") == {"not-found"}
    assert set(reading["responses"]["200"]["content"]["application/json"]["example"]) == ANSWER | {"lines"}
    assert {"204", "401", "503"} <= emptying["responses"].keys()
    assert "requestBody" not in emptying


@pytest.mark.parametrize(("slug", "status"), [("out-of-stock", 409), ("too-many-held-pieces", 429)])
def test_every_problem_has_its_page(client: FlaskClient, slug: str, status: int) -> None:
    page = client.get(f"/problems/{slug}")

    assert page.status_code == 200
    assert page.json["status"] == status
    assert page.json["detail"]
