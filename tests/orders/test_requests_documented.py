"""The API's document says what a fulfilment and a cancellation take, and every way in which one may be refused."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

ORDER = "/api/admin/orders/{order_id}"


@pytest.fixture
def paths(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/openapi.json").json["paths"]
    return found


def slugs(operation: dict[str, Any], status: str) -> set[str]:
    return set(operation["responses"][status]["content"]["application/problem+json"]["examples"])


def needs_a_key(operation: dict[str, Any]) -> bool:
    headers = [(each["name"], each["required"]) for each in operation["parameters"] if each["in"] == "header"]
    return headers == [("Idempotency-Key", True)]


def test_fulfilling(paths: dict[str, Any]) -> None:
    operation = paths[f"{ORDER}/fulfilments"]["post"]

    assert "403" in operation["responses"]
    assert slugs(operation, "404") == {"not-found"}
    assert slugs(operation, "409") == {
        *("out-of-stock", "order-canceled", "order-on-hold", "void-outstanding", "nothing-left-to-fulfil"),
        *("fulfilment-too-large", "capture-too-large", "one-capture-only"),
    }
    assert slugs(operation, "422") >= {"invalid", "idempotency-key-reused"}
    assert {"201", "401", "413", "415", "500", "503"} <= operation["responses"].keys()
    assert (operation["security"], operation["x-scopes"]) == ([{"staff": []}], ["orders:write"])
    assert needs_a_key(operation)
    example = operation["responses"]["201"]["content"]["application/json"]["example"]
    assert example["order_status"] == "partially_fulfilled"


def test_canceling(paths: dict[str, Any]) -> None:
    operation = paths[f"{ORDER}/cancel"]["post"]

    assert slugs(operation, "409") == {"order-canceled", "order-fulfilled", "capture-outstanding"}
    assert slugs(operation, "422") >= {"invalid", "idempotency-key-reused"}
    assert {"202", "401", "403", "404", "413", "415", "500", "503"} <= operation["responses"].keys()
    assert (operation["security"], operation["x-scopes"]) == ([{"staff": []}], ["orders:write"])
    assert needs_a_key(operation)
    example = operation["responses"]["202"]["content"]["application/json"]["example"]
    assert (example["order_status"], len(example["refunds"])) == ("canceled", 1)


@pytest.mark.parametrize(
    "slug",
    [
        *("order-canceled", "order-on-hold", "nothing-left-to-fulfil", "fulfilment-too-large", "void-outstanding"),
        *("capture-outstanding", "order-fulfilled", "refund-lines-too-large", "out-of-stock"),
    ],
)
def test_every_problem_has_its_page(client: FlaskClient, slug: str) -> None:
    page = client.get(f"/problems/{slug}")
    assert (page.status_code, page.json["status"]) == (200, 409)
    assert page.json["detail"]
