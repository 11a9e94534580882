"""Each answer of the API names its version, and a request may name one that is known."""

from __future__ import annotations

import re

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout_service.api_versions import API_VERSIONS
from checkout_service.server.cors import EXPOSED, REQUEST_HEADERS
from tests.api.every_route import OPERATOR, path_of, routes
from tests.conftest import Customer, Sql
from tests.webhook_bodies import webhook

HEADER = "API-Version"


def test_the_newest_version_is_a_day_and_what_the_document_is_called() -> None:
    assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", API_VERSIONS.newest)
    assert list(API_VERSIONS.names[1:]) == sorted(API_VERSIONS.names[1:]), "later ones come later"


def test_the_document_names_it(app: Flask) -> None:
    document = orjson.loads(app.extensions["openapi"])
    assert document["info"]["version"] == API_VERSIONS.newest
    parameter = document["components"]["parameters"][HEADER]
    assert (parameter["in"], parameter["required"]) == ("header", False)
    assert parameter["schema"]["enum"] == list(API_VERSIONS.names)
    for path, item in document["paths"].items():
        named = {"$ref": f"#/components/parameters/{HEADER}"} in item.get("parameters", ())
        assert named != path.startswith("/api/payments/webhook"), path
        for operation in (found for name, found in item.items() if name != "parameters"):
            for status, answer in operation["responses"].items():
                shown = (
                    document["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
                    if "$ref" in answer
                    else answer
                )
                assert HEADER in shown["headers"], (path, status)


def test_every_answer_of_the_api_names_it_and_no_other_answer(everything: Flask, customer: Customer) -> None:
    client, seen = everything.test_client(), set()
    for rule, method in routes(everything):
        known = {"auth": OPERATOR} if rule.rule.startswith("/ops") else {"headers": customer.headers}
        for sent in {method, "HEAD" if method == "GET" else method, "OPTIONS", "PUT"}:
            for named in (known, {}):
                answer = client.open(path_of(rule), method=sent, **named)
                answer.close()
                expected = [API_VERSIONS.newest] if rule.rule.startswith("/api/") else []
                assert answer.headers.getlist(HEADER) == expected, (sent, rule, answer.status_code)
                seen.add((rule.rule.startswith("/api/"), answer.status_code))
    assert {(True, 200), (True, 401), (True, 404), (True, 405), (False, 200), (False, 405)} <= seen
    assert client.get("/api/nowhere").headers[HEADER] == API_VERSIONS.newest
    assert HEADER not in client.get("/nowhere").headers


@pytest.mark.parametrize("name", [*API_VERSIONS.names, f" {API_VERSIONS.newest} "])
def test_a_version_that_is_known_is_answered_by_the_newest(customer: Customer, name: str) -> None:
    answer = customer.get("/api/cart", headers={HEADER: name})
    assert (answer.status_code, answer.headers[HEADER]) == (200, API_VERSIONS.newest)


@pytest.mark.parametrize(
    "name", ["2", "2020-01-01", "", " ", f"{API_VERSIONS.newest}, {API_VERSIONS.newest}", "1,2026-11-29", "x\xff", "*"]
)
def test_a_version_that_is_not_known_is_refused_before_anything_is_done(
    customer: Customer, sql: Sql, name: str
) -> None:
    for headers in (customer.headers, {}):
        answer = customer.client.post(
            "/api/cart/items",
            json={"listing": "nothing"},
            headers=headers,
            environ_overrides={"HTTP_API_VERSION": name},
        )
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/unknown-api-version")
        assert answer.json["versions"] == list(API_VERSIONS.names)
        assert answer.headers[HEADER] == API_VERSIONS.newest
    assert sql("SELECT count(*) AS n FROM users")[0].n == 0


def test_every_path_of_the_api_refuses_it_but_the_receiver_of_webhooks(everything: Flask, sql: Sql) -> None:
    client, seen = everything.test_client(), 0
    for rule, method in routes(everything):
        if rule.rule.startswith("/api/") and rule.endpoint != "webhooks.receive_webhook":
            answer = client.open(path_of(rule), method=method, headers={HEADER: "0"})
            assert answer.json["type"] == "/problems/unknown-api-version", rule
            seen += 1
    assert seen > 40
    for path in ("/api/payments/webhook", "/api/payments/webhook/mock"):
        assert client.post(path, data=webhook("mock_pi_1"), headers={HEADER: "0"}).status_code == 202
    assert sql("SELECT count(*) AS n FROM webhook_deliveries")[0].n == 2


def test_pages_and_probes_leave_the_header_alone(client: FlaskClient, everything: Flask) -> None:
    assert client.get("/livez", headers={HEADER: "0"}).status_code == 200
    assert everything.test_client().get("/", headers={HEADER: "0"}).status_code == 200


def test_pages_of_other_origins_may_send_it_and_read_it() -> None:
    assert HEADER in REQUEST_HEADERS
    assert HEADER in EXPOSED
