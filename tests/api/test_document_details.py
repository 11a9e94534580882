"""What the document has alike everywhere: tags, parameters, patterns, examples that are what they show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from marshmallow import ValidationError

from checkout_service.api.amount_field import AMOUNT_PATTERN, AmountField
from checkout_service.api.document_details import METHODS, add_details
from checkout_service.api.idempotency_key import KEY_PATTERN, read_key
from checkout_service.api.problems import Problem
from checkout_service.money import LARGEST

Json = dict[str, Any]


@pytest.fixture
def document(app: Flask) -> Json:
    found: Json = orjson.loads(app.extensions["openapi"])
    return found


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, Json]]:
    """All objects of the document with their path; nothing of an example is one."""
    if isinstance(node, dict):
        yield path, node
        for name, value in node.items():
            if name not in {"example", "examples", "const", "default"} or path.endswith("/properties"):
                yield from nodes(value, f"{path}/{name}")
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from nodes(value, f"{path}/{place}")


def parameters(document: Json) -> Iterator[tuple[str, Json]]:
    for path, node in nodes(document["paths"]):
        if "in" in node and "name" in node:
            yield path, node


def test_tags_are_words_with_a_sentence_each_and_all_of_them_are_used(document: Json) -> None:
    described = {tag["name"]: tag["description"] for tag in document["tags"]}
    operations = [
        item[method]
        for place in ("paths", "webhooks")
        for item in document[place].values()
        for method in METHODS
        if method in item
    ]
    used = {tag for operation in operations for tag in operation["tags"]}
    assert used == described.keys()
    assert len(document["tags"]) == len(described)
    for tag, words in described.items():
        assert re.fullmatch(r"[A-Z][a-z]+( [a-z]+)*", tag), tag
        assert re.fullmatch(r"[A-Z].+\.", words), tag
    assert {"Cart", "Checkout", "Payments", "Payments for staff", "Webhook endpoints"} <= used


def test_no_parameter_is_ever_null_and_each_shows_one_that_it_takes(document: Json) -> None:
    seen = 0
    for path, parameter in parameters(document):
        schema = parameter["schema"]
        assert isinstance(schema["type"], str), path
        assert None not in schema.get("enum", ()), path
        assert schema.get("default", "some") is not None, path
        if parameter["name"] == "subject":  # it is refused beside customer, which has an example
            assert "example" not in parameter
            continue
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(parameter["example"])
        seen += 1
    assert seen > 60


def test_every_example_is_what_its_schema_says(document: Json) -> None:
    seen = 0
    for path, node in nodes({name: document[name] for name in ("paths", "webhooks", "components")}):
        shown = [node["example"]] if "example" in node else []
        examples = node.get("examples", ())
        shown += [each["value"] for each in examples.values()] if isinstance(examples, dict) else examples
        schema = node.get("schema", node)
        if "/properties" in path and path.rsplit("/", 1)[1] == "properties":
            continue  # members that happen to be called so
        checks = Draft202012Validator({**schema, "components": document["components"]}, format_checker=FormatChecker())
        for example in shown:
            assert [error.message for error in checks.iter_errors(example)] == [], path
            seen += 1
    assert seen > 300


def test_every_body_that_is_taken_shows_an_example(document: Json) -> None:
    for item in document["paths"].values():
        for method in METHODS:
            for media in item.get(method, {}).get("requestBody", {}).get("content", {}).values():
                name = media["schema"].get("$ref", "").rsplit("/", 1)[-1]
                members = document["components"]["schemas"].get(name, {}).get("properties", {}).values()
                shown = any("example" in member for member in members)
                assert "example" in media or shown or (name and not members), (item, method)


def test_every_body_of_a_success_shows_an_example(document: Json) -> None:
    shown = {
        operation["operationId"]: "example" in media or "examples" in media
        for item in document["paths"].values()
        for method, operation in item.items()
        if method in METHODS
        for status, answer in operation["responses"].items()
        if status < "300"
        for media in answer.get("content", {}).values()
    }
    assert len(shown) > 30
    assert [operation for operation, has_one in shown.items() if not has_one] == []


def test_what_may_be_null_has_it_among_its_types(document: Json) -> None:
    for path, node in nodes(document):
        assert "nullable" not in node or path.endswith("/properties"), path
        if isinstance(node.get("type"), list):
            assert node["type"][1:] == ["null"], path
        for other in node.get("anyOf", ()):
            assert "$ref" in other or other == {"type": "null"}, path


def test_patterns_are_whole_and_of_the_kind_that_clients_have(document: Json) -> None:
    found = {node["pattern"] for _, node in nodes(document) if isinstance(node.get("pattern"), str)}
    assert len(found) >= 6
    for pattern in found:
        assert pattern.startswith("^")
        assert pattern.endswith("$")
        assert not re.search(r"\\[AZ]|\(\?P|\\W|\\w", pattern), pattern
        re.compile(pattern)


def test_every_idempotency_key_and_amount_that_is_taken_has_its_pattern(document: Json) -> None:
    keys = [found for _, found in parameters(document) if found["name"] == "Idempotency-Key"]
    assert len(keys) >= 7
    assert {found["schema"]["pattern"] for found in keys} == {KEY_PATTERN}
    schemas = document["components"]["schemas"]
    for name in ("NewRefund", "NewCapture", "NewAcceptance"):
        assert schemas[name]["properties"]["amount"]["pattern"] == AMOUNT_PATTERN, name
    assert schemas["OpenSession"]["properties"]["expected_total"]["pattern"] == AMOUNT_PATTERN


def fits(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern.removesuffix("$"), text) is not None


SIGNS = st.sampled_from(['"', "\\", ",", "a", "~", "!", " ", "\x7f", "é", "-", "#"])


@given(st.one_of(st.text(SIGNS, max_size=12), st.text(SIGNS, max_size=8).map('"{}"'.format)))
def test_the_pattern_of_a_key_is_what_is_read(text: str) -> None:
    try:
        read_key(text)
    except Problem:
        taken = False
    else:
        taken = text == text.strip()  # a header has no space around it
    assert fits(KEY_PATTERN, text) == taken


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        *(("k" * 255, True), ("k" * 256, False), (f'"{"k" * 255}"', True), (f'"{"k" * 256}"', False)),
        *(('"' + '\\"' * 255 + '"', True), ('""', False), ("", False), ("k\n", False)),
    ],
)
def test_the_pattern_of_a_key_bounds_it(text: str, taken: bool) -> None:
    assert fits(KEY_PATTERN, text) == taken
    assert not taken or len(text) <= 512


@given(st.text(st.sampled_from("0123456789.-+e \n٣"), max_size=14))
def test_the_pattern_of_an_amount_is_what_is_read(text: str) -> None:
    field = AmountField()
    try:
        field.deserialize(text)
    except ValidationError:
        assert not fits(AMOUNT_PATTERN, text) or float(text) > float(LARGEST)
    else:
        assert fits(AMOUNT_PATTERN, text)


def test_a_pattern_of_python_is_written_as_clients_read_it() -> None:
    document = {
        "paths": {
            "/x": {"get": {"parameters": [{"name": "x", "schema": {"type": ["string", "null"], "default": None}}]}}
        },
        "components": {"schemas": {"X": {"properties": {"pattern": {"type": "string", "pattern": r"[a-z]+\Z"}}}}},
    }
    add_details(document)
    assert document["components"]["schemas"]["X"]["properties"]["pattern"]["pattern"] == "^[a-z]+$"  # type: ignore[index]
    assert document["paths"]["/x"]["get"]["parameters"] == [{"name": "x", "schema": {"type": "string"}}]  # type: ignore[index]


def test_long_lists_of_words_are_in_the_same_order_in_each_process(document: Json) -> None:
    """The order of a set is another one in each process: two servers would serve two documents, with two ETags."""
    lists = [schema["enum"] for schema in document["components"]["schemas"].values() for schema in members(schema)]
    assert all(words == sorted(words) for words in lists)
    assert len(lists) >= 3


def members(schema: Json) -> list[Json]:
    return [member for member in schema.get("properties", {}).values() if len(member.get("enum", ())) > 100]


def test_members_of_a_problem_of_its_own_are_always_there(document: Json) -> None:
    own = {
        name: schema["allOf"][1]
        for name, schema in document["components"]["schemas"].items()
        if name.endswith("Problem") and "allOf" in schema
    }
    assert len(own) > 10
    assert {name for name, schema in own.items() if {*schema["required"]} != schema["properties"].keys()} == set()
