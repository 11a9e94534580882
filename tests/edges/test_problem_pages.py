"""Every error is a problem document, and none of them tells what is inside."""

from __future__ import annotations

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests
from werkzeug.test import TestResponse

from checkout_service import problems
from checkout_service.auth import public
from tests.conftest import Customer
from tests.edges.conftest import MakeApp, signed


def is_problem(answer: TestResponse, status: int, slug: str) -> bool:
    """Also checks what all problem documents have in common."""
    assert answer.content_type == "application/problem+json"
    document = answer.json
    assert document["instance"] == answer.request.path
    assert document["request_id"] == answer.headers["X-Request-Id"]
    assert document["title"]
    assert document["detail"]
    assert document["type"] == f"/problems/{slug}"
    return answer.status_code == document["status"] == status


def test_an_unknown_path_is_404_with_and_without_a_token(client: FlaskClient, customer: Customer) -> None:
    assert is_problem(client.get("/nowhere"), 404, "not-found")
    assert is_problem(client.get("/api/nowhere"), 404, "not-found")
    assert is_problem(customer.get("/api/nowhere"), 404, "not-found")


def test_a_wrong_method_is_405_and_names_the_right_ones(client: FlaskClient) -> None:
    answer = client.delete("/api/cart")
    assert is_problem(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["Allow"]


def test_a_body_that_is_no_json_is_400(customer: Customer, sql) -> None:  # type: ignore[no-untyped-def]
    answer = customer.post("/api/cart/items", data=b'{"listing": ', content_type="application/json")
    assert is_problem(answer, 400, "malformed-body")
    assert "column" in answer.json["detail"]
    assert sql("SELECT count(*) AS n FROM users")[0].n == 0


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"])
def test_a_body_of_another_kind_is_415(customer: Customer, content_type: str, sql) -> None:  # type: ignore[no-untyped-def]
    body = '{"listing": "x", "qty": 1}'.encode("utf-16" if "16" in content_type else "utf-8")
    assert is_problem(customer.post("/api/cart/items", data=body, content_type=content_type), 415, "unsupported-media-type")
    assert sql("SELECT count(*) AS n FROM users")[0].n == 0


def test_a_body_above_64_kib_is_413(customer: Customer, sql) -> None:  # type: ignore[no-untyped-def]
    body = b'{"listing": "' + b"x" * 65_536 + b'"}'
    assert is_problem(customer.post("/api/cart/items", data=body, content_type="application/json"), 413, "too-large")
    assert sql("SELECT count(*) AS n FROM users")[0].n == 0
