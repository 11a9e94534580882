"""What a request's head alone refuses, and who may keep an answer."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from checkout_service.telemetry.metrics import requests_total, webhook_refused_total
from tests.api.every_route import OPERATOR, path_of, routes
from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import NOTHING, counts, fill_cart, opened
from tests.webhook_bodies import webhook

WEBHOOK = "/api/payments/webhook"


def is_problem(answer: TestResponse, status: int, slug: str) -> bool:
    assert answer.content_type == "application/problem+json", answer.text
    assert answer.json["type"] == f"/problems/{slug}"
    return answer.status_code == status


def refused(reason: str) -> float:
    return webhook_refused_total.labels(reason)._value.get()


@pytest.mark.parametrize(
    "path",
    ["//livez", "///livez", "//", "/api//cart", "/api/cart//", "/ops//payments", "//evil.example/ops/", f"/{WEBHOOK}"],
)
def test_a_path_with_two_slashes_is_404_before_it_reaches_a_view(everything: Flask, sql: Sql, path: str) -> None:
    before = requests_total.labels("POST", "unmatched", "404")._value.get()
    for method in ("GET", "POST"):
        # As the server hands it over: the test client would take the first part for a host.
        answer = everything.test_client().open(
            "/", method=method, data=webhook("mock_pi_1"), environ_overrides={"PATH_INFO": path}
        )
        assert is_problem(answer, 404, "not-found")
        assert answer.json["instance"].startswith("/")
    assert requests_total.labels("POST", "unmatched", "404")._value.get() == before + 1
    assert sql("SELECT count(*) AS n FROM webhook_deliveries")[0].n == 0


@pytest.mark.parametrize(
    ("host", "protocol", "status"),
    [
        ("shop.example", "HTTP/1.1", 200),
        ("shop.example:8443", "HTTP/1.1", 200),
        ("a_container", "HTTP/1.1", 200),
        ("10.0.0.7:8000", "HTTP/1.1", 200),
        ("[2001:db8::1]:8000", "HTTP/1.1", 200),
        ("", "HTTP/1", 200),
        ("", "HTTP/1.0", 200),
        ("", "HTTP/1.1", 400),
        ("a,b", "HTTP/1.1", 400),
        ("a,", "HTTP/1.1", 400),
        (",", "HTTP/1", 400),
        ("a, b", "HTTP/1", 400),
        ("user@shop.example", "HTTP/1.1", 400),
        ("shop.example/path", "HTTP/1.1", 400),
        ("shop example", "HTTP/1.1", 400),
        ("shop.example:port", "HTTP/1.1", 400),
        ("sh\xf6p.example", "HTTP/1.1", 400),
        ("\0", "HTTP/1.1", 400),
    ],
)
def test_a_host_is_one_host(client: FlaskClient, host: str, protocol: str, status: int) -> None:
    answer = client.get(
        "/api/openapi.json", environ_overrides={"HTTP_HOST": host, "SERVER_PROTOCOL": protocol, "SERVER_NAME": "x"}
    )
    assert answer.status_code == status
    assert status == 200 or is_problem(answer, 400, "malformed-host")


def test_no_host_at_all_is_400(client: FlaskClient) -> None:
    answer = client.get("/api/openapi.json", environ_overrides={"HTTP_HOST": ""})
    assert is_problem(answer, 400, "malformed-host")


@pytest.mark.parametrize("method", ["get", "Get", "post", "delete"])
def test_a_method_in_lower_case_is_another_method(customer: Customer, method: str) -> None:
    answer = customer.client.get("/api/cart", headers=customer.headers, environ_overrides={"REQUEST_METHOD": method})
    assert is_problem(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip", "gzip,gzip", "", " ", "x\xff"])
def test_an_encoded_webhook_is_415_counted_and_not_filed(client: FlaskClient, sql: Sql, coding: str) -> None:
    before = refused("encoded-body")
    for path in (WEBHOOK, f"{WEBHOOK}/stripe"):
        answer = client.post(path, data=webhook("mock_pi_1"), environ_overrides={"HTTP_CONTENT_ENCODING": coding})
        assert is_problem(answer, 415, "encoded-body")
        assert answer.headers["Accept-Encoding"] == "identity"
    assert refused("encoded-body") == before + 2
    assert sql("SELECT count(*) AS n FROM webhook_deliveries")[0].n == 0


@pytest.mark.parametrize("coding", ["identity", "Identity", "identity, identity"])
def test_a_body_that_says_it_is_not_encoded_is_taken(client: FlaskClient, sql: Sql, coding: str) -> None:
    answer = client.post(WEBHOOK, data=webhook("mock_pi_1"), headers={"Content-Encoding": coding})
    assert answer.status_code == 202
    assert client.get("/livez", headers={"Content-Encoding": "gzip"}).status_code == 200, "it has no body"


def test_an_encoded_body_is_415_on_every_path_that_takes_one(everything: Flask, customer: Customer, sql: Sql) -> None:
    client, seen = everything.test_client(), 0
    for rule, method in routes(everything):
        if method in {"POST", "PATCH", "PUT"}:
            answer = client.open(
                path_of(rule), method=method, data=b"{}", headers={**customer.headers, "Content-Encoding": "gzip"}
            )
            assert is_problem(answer, 415, "encoded-body"), rule
            seen += 1
    assert seen > 15
    assert sql("SELECT count(*) AS n FROM webhook_deliveries")[0].n == 0


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip,chunked", "gzip", "chunked, chunked", ""])
def test_a_transfer_coding_that_nobody_here_decodes_is_501(client: FlaskClient, sql: Sql, coding: str) -> None:
    answer = client.post(WEBHOOK, data=webhook("mock_pi_1"), environ_overrides={"HTTP_TRANSFER_ENCODING": coding})
    assert is_problem(answer, 501, "unknown-transfer-coding")
    assert sql("SELECT count(*) AS n FROM webhook_deliveries")[0].n == 0


def test_what_else_is_refused_of_webhooks_is_counted_by_its_problem(client: FlaskClient) -> None:
    cases = [
        ("malformed-body", {"path": WEBHOOK, "data": b"no webhook"}),
        ("too-large", {"path": WEBHOOK, "data": b"{" + b" " * 2**18 + b"}"}),
        ("not-found", {"path": f"{WEBHOOK}/nobody", "data": b"{}"}),
    ]
    for reason, request in cases:
        before = refused(reason)
        answer = client.post(**request)
        assert answer.json["type"] == f"/problems/{reason}"
        assert refused(reason) == before + 1
    before = refused("malformed-body")
    assert client.post(WEBHOOK, data=webhook("mock_pi_1")).status_code == 202
    assert refused("malformed-body") == before


@pytest.mark.parametrize("condition", ['"another"', 'W/"another"', '"a", "b"', "", "  ", "nonsense"])
def test_if_match_that_names_another_etag_is_a_problem_document_without_the_content(
    customer: Customer, make_listing: MakeListing, condition: str
) -> None:
    payment = opened(customer, fill_cart(customer, (make_listing(), 1)))["payment_id"]
    reads = (f"/api/payments/{payment}", f"/api/payments/{payment}/refunds", "/api/docs/swagger-ui.css")
    for path in reads:
        if condition == "nonsense" and path.endswith(".css"):
            continue
        answer = customer.get(path, headers={"If-Match": condition})
        assert is_problem(answer, 412, "precondition-failed"), path
        assert payment not in answer.text.replace(answer.json["instance"], "")


STYLE = "/api/docs/swagger-ui.css"
"""What is read with a strong ETag."""


def test_if_match_that_names_a_strong_etag_or_any_is_met(customer: Customer, make_listing: MakeListing) -> None:
    """RFC 9110, section 13.1.1: a weak one meets no If-Match, even if it is the very one."""
    payment = f"/api/payments/{opened(customer, fill_cart(customer, (make_listing(), 1)))['payment_id']}"
    strong, weak = customer.get(STYLE).headers["ETag"], customer.get(payment).headers["ETag"]
    assert (strong[:1], weak[:2]) == ('"', "W/")
    for condition in (strong, f'"another", {strong}', "*"):
        assert customer.get(STYLE, headers={"If-Match": condition}).status_code == 200
    assert customer.get(payment, headers={"If-Match": "*"}).status_code == 200
    for condition in (weak, f'"another", {weak}'):
        assert is_problem(customer.get(payment, headers={"If-Match": condition}), 412, "precondition-failed")


def test_if_none_match_counts_beside_if_match(customer: Customer, make_listing: MakeListing) -> None:
    """RFC 9110, section 13.2.2: If-Match first; where it is met, If-None-Match decides."""
    payment = opened(customer, fill_cart(customer, (make_listing(), 1)))["payment_id"]
    for path in (f"/api/payments/{payment}", f"/api/payments/{payment}/refunds", STYLE):
        etag = customer.get(path).headers["ETag"]
        for match, none_match, status in (
            (etag, etag, 304 if path == STYLE else 412),
            ("*", etag, 304),
            ("*", "*", 304),
            ("*", '"another"', 200),
            ('"another"', etag, 412),
            ('"another"', '"another"', 412),
        ):
            answer = customer.get(path, headers={"If-Match": match, "If-None-Match": none_match})
            assert answer.status_code == status, (path, match, none_match)
            assert (answer.data == b"") == (status == 304)


@pytest.mark.parametrize("condition", ['"any"', ""])
def test_what_changes_something_has_no_etag_and_changes_nothing_on_condition_of_one(
    customer: Customer, make_listing: MakeListing, sql: Sql, condition: str
) -> None:
    cart_id = fill_cart(customer, (make_listing(), 1))
    answer = customer.post(
        "/api/checkout/session", json={"cart_id": cart_id}, headers={"Idempotency-Key": "k", "If-Match": condition}
    )
    assert is_problem(answer, 412, "precondition-failed")
    assert counts(sql) == NOTHING
    answer = customer.post(
        "/api/checkout/session", json={"cart_id": cart_id}, headers={"Idempotency-Key": "k", "If-Match": "*"}
    )
    assert answer.status_code == 201


def test_a_webhook_is_taken_whatever_condition_it_carries(client: FlaskClient) -> None:
    assert client.post(WEBHOOK, data=webhook("mock_pi_1"), headers={"If-Match": '"any"'}).status_code == 202


@pytest.mark.parametrize(
    "path", ["/", "/payments", "/api/payments", "/api/admin/disputes", "/ops/webhooks", "/ops/audit"]
)
@pytest.mark.parametrize("query", ["q=%00", "a%00b=1", "limit=1&cursor=a%00", "find=x%00y", "status=%00"])
def test_a_nul_in_a_query_is_422(everything: Flask, customer: Customer, path: str, query: str) -> None:
    answer = everything.test_client().get(f"{path}?{query}", headers=customer.headers)
    assert is_problem(answer, 422, "invalid")
    assert answer.json["errors"][0]["pointer"].startswith("/")


ANYBODYS = {"assets.show_asset", "docs.show_asset", "docs.show_document", "docs.show_page", "docs.show_start"}
ANYBODYS |= {"docs.show_style", "problems.show_kind", "listings.list_listings", "listings.read_listing"}
"""Endpoints whose answers hold nothing of anybody."""


def test_no_answer_but_what_is_anybodys_may_be_kept_by_a_cache(
    everything: Flask, customer: Customer, make_listing: MakeListing
) -> None:
    client, seen = everything.test_client(), set()
    payment = opened(customer, fill_cart(customer, (make_listing(), 1)))["payment_id"]
    for rule, method in routes(everything):
        kept = {"auth": OPERATOR} if rule.rule.startswith("/ops") else {"headers": customer.headers}
        path = path_of(rule, payment)
        for sent in {method, "HEAD" if method == "GET" else method, "OPTIONS"}:
            answer = client.open(path, method=sent, **kept)
            policy = answer.headers["Cache-Control"]
            answer.close()
            if rule.endpoint in ANYBODYS and sent != "OPTIONS" and answer.status_code < 400:
                assert "public" in policy or "max-age" in policy, path
            else:
                assert "no-store" in policy or "private" in policy, (sent, path, policy)
            seen.add((rule.endpoint, answer.status_code))
    assert ("carts.get_cart", 200) in seen
    assert ("payments.read_payment", 200) in seen
    assert ("console.show_overview", 200) in seen
    assert ("shop.show_cart", 200) in seen
    assert client.get("/nowhere").headers["Cache-Control"] == "no-store"
