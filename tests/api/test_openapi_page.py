"""The API's document is complete and valid, and its page loads nothing from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from checkout_service.api import blueprints as api
from checkout_service.providers.registry import provider_specs

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/api/openapi.json")
    assert answer.content_type == "application/json"
    found: dict[str, Any] = answer.json
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def response(document: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What a response is, wherever it is written down."""
    if "$ref" not in found:
        return found
    referred: dict[str, Any] = document["components"]["responses"][found["$ref"].rsplit("/", 1)[1]]
    return referred


SOMETIMES = {
    *(
        f"TimelineEntry.{member}"
        for member in ("outcome", "entries", "of", "replaces", "expires_at", "decline", "stage")
    ),
    *("TimelineEntry.amount_lost", "TimelineEntry.evidence_due_at", "SessionLine.vendor_id"),
    *("Refund.parts", "Refund.lines"),
    *(
        f"{schema}.{member}"
        for schema in ("PaymentWithTimeline", "ReadPayment")
        for member in ("review_reasons", "customer", "reference")
    ),
    "ReadPayment.next_action",
}
"""Members that not every answer has."""

WITHOUT_WORDS = {"TimelineEntry", "Problem", "Attempt"}
"""A timeline has the words of all kinds, a problem and an attempt a status of HTTP."""


def answered(document: dict[str, Any]) -> set[str]:
    """The names of the schemas of answers, and of what is in them."""
    found: set[str] = set()
    waiting = [
        media["schema"]
        for _, _, operation in operations(document)
        for status, answer in operation["responses"].items()
        if status < "400"
        for media in answer.get("content", {}).values()
    ]
    while waiting:
        text = json.dumps(waiting.pop())
        for name in set(re.findall(r"#/components/schemas/(\w+)", text)) - found:
            found.add(name)
            waiting.append(document["components"]["schemas"][name])
    return {name for name in found if "properties" in document["components"]["schemas"][name]}


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_api_route_is_in_the_document(app: Flask, document: dict[str, Any]) -> None:
    documented = {(path, method) for path, method, _ in operations(document)}
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if rule.rule.startswith("/api/") and method.lower() in METHODS and not rule.endpoint.startswith("docs.")
    }
    assert documented == served
    assert len(served) >= 9


def test_every_operation_says_what_it_does_and_shows_an_example(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert operation["summary"], (method, path)
        assert operation["tags"], (method, path)
        for status, found in operation["responses"].items():
            for media in response(document, found).get("content", {}).values():
                assert "schema" in media
                assert has_example(document, media), (method, path, status)


def has_example(document: dict[str, Any], media: dict[str, Any]) -> bool:
    """Whether the media type has an example of its own, or its schema's members have."""
    if "example" in media or "examples" in media:
        return True
    name = media["schema"].get("$ref", "").rsplit("/", 1)[-1]
    members = document["components"]["schemas"].get(name, {}).get("properties", {})
    return any("example" in member or "examples" in member or "items" in member for member in members.values())


def test_every_error_is_documented_as_a_problem_of_named_types(client: FlaskClient, document: dict[str, Any]) -> None:
    seen = set()
    for path, method, operation in operations(document):
        errors = {status: found for status, found in operation["responses"].items() if status >= "400"}
        assert {"500", "503"} <= errors.keys(), (method, path)
        for status, found in errors.items():
            content = response(document, found)["content"]
            assert list(content) == ["application/problem+json"], (method, path, status)
            media = content["application/problem+json"]
            accepts = Draft202012Validator({**media["schema"], "components": document["components"]})
            for slug, example in media["examples"].items():
                accepts.validate(example["value"])
                assert str(example["value"]["status"]) == status, (method, path, slug)
                assert not accepts.is_valid(example["value"] | {"type": "/problems/unknown"})
                seen.add(slug)
    for slug in seen:
        assert client.get(f"/problems/{slug}").status_code == 200, slug


def test_every_operation_has_an_id_of_its_own(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    posted = {name: item["post"]["operationId"] for name, item in document["webhooks"].items()}
    assert len({*ids, *posted.values()}) == len(ids) + len(posted)
    assert posted["payment.partially_paid"] == "paymentPartiallyPaid"
    assert {"addCartItem", "openCheckoutSession", "cancelPayment", "receiveWebhook"} <= set(ids)
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", found) for found in ids)


def test_members_of_answers_are_there_always_and_those_that_are_not_are_few(document: dict[str, Any]) -> None:
    optional = {
        f"{name}.{member}"
        for name in answered(document)
        for member in document["components"]["schemas"][name]["properties"].keys()
        - set(document["components"]["schemas"][name].get("required", ()))
    }
    assert optional == SOMETIMES


def test_no_schema_is_named_as_what_languages_have_already(document: dict[str, Any]) -> None:
    assert not {"Error", "Object", "Date", "Map"} & document["components"]["schemas"].keys()


def test_amounts_and_currencies_have_patterns_and_statuses_their_words(document: dict[str, Any]) -> None:
    for name in answered(document):
        for member, found in document["components"]["schemas"][name]["properties"].items():
            if member == "amount" or member.startswith("amount_") or member in {"unit_price", "line_total"}:
                assert "pattern" in found, (name, member)
            if member == "currency":
                assert "pattern" in found, (name, member)
            if member in {"status", "state"} and "string" in found["type"] and name not in WITHOUT_WORDS:
                assert "enum" in found, (name, member)


def test_what_is_read_again_names_its_etag(document: dict[str, Any]) -> None:
    again = [found for _, _, found in operations(document) if "304" in found["responses"]]
    assert len(again) >= 8
    for operation in again:
        assert "If-None-Match" in {parameter["name"] for parameter in operation["parameters"]}
        assert "ETag" in operation["responses"]["200"]["headers"]


def test_what_takes_a_key_says_that_it_may_repeat_an_answer(document: dict[str, Any]) -> None:
    keyed = [
        operation
        for _, _, operation in operations(document)
        if "Idempotency-Key" in {parameter["name"] for parameter in operation.get("parameters", ())}
    ]
    assert len(keyed) >= 8
    for operation in keyed:
        answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert all("Idempotent-Replayed" in answer["headers"] for answer in answers), operation["operationId"]


def test_every_operation_but_the_receiver_and_a_guests_first_asks_who_calls(document: dict[str, Any]) -> None:
    assert document["security"] == [{"customer": []}]
    for path, method, operation in operations(document):
        if path.startswith("/api/payments/webhook") or path == "/api/carts":
            assert operation["security"] == []
        else:
            # Which scopes each names: tests/api/test_scopes.py.
            assert {"401", "403"} <= operation["responses"].keys(), (method, path)


def test_every_operation_that_takes_a_body_documents_its_refusals(document: dict[str, Any]) -> None:
    taking = [operation for _, _, operation in operations(document) if "requestBody" in operation]
    assert len(taking) >= 4
    for operation in taking:
        assert {"400", "413"} <= operation["responses"].keys()


def test_every_room_reads_its_bodies_strictly(app: Flask) -> None:
    documented = [found for found in app.blueprints.values() if hasattr(found, "ARGUMENTS_PARSER")]
    assert len(documented) >= 3
    assert all(isinstance(found, api.Blueprint) for found in documented)


def test_the_page_loads_only_what_we_serve(client: FlaskClient) -> None:
    page = client.get("/api/docs")
    assert page.content_type.startswith("text/html")
    assert "://" not in page.text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 5
    for address in addresses:
        answer = client.get(f"/api/{address}")
        assert answer.status_code == 200
        assert int(answer.headers["Content-Length"]) > 100
        answer.close()


def test_the_page_has_no_script_inside_and_a_policy_that_says_so(client: FlaskClient) -> None:
    page = client.get("/api/docs")
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page.text) == ["", ""]
    assert " on" not in page.text.replace(" only", "")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"


def test_the_page_asks_no_validator_on_the_internet(client: FlaskClient) -> None:
    assert "validatorUrl: null" in client.get("/api/docs/start.js").text


@pytest.mark.parametrize("name", ["LICENSE", "oauth2-redirect.html", "..%2f__init__.py", "swagger-ui.js"])
def test_no_other_file_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/api/docs/{name}").status_code == 404


def test_the_receivers_answer_to_each_provider_is_documented(document: dict[str, Any]) -> None:
    texts = {
        name: spec.webhooks.acknowledgement for name, spec in provider_specs().items() if spec.webhooks.acknowledgement
    }
    assert texts == {"adyen": "[accepted]"}
    named = document["paths"]["/api/payments/webhook/{provider}"]["post"]["responses"]
    (media,) = named["200"]["content"].items()
    assert media[0] == "text/plain"
    assert {name: example["value"] for name, example in media[1]["examples"].items()} == texts
    assert {"202", "415"} <= named.keys()
    assert "200" not in document["paths"]["/api/payments/webhook"]["post"]["responses"], "the mock provider wants none"


def test_what_any_request_may_be_answered_is_documented(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if not path.startswith("/api/payments/webhook"):
            assert {"400", "412"} <= operation["responses"].keys(), (method, path)
