"""What an answer leads to: each link of the document names an operation, gives it all of its path, and is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from flask import Flask

from checkout_service.api.document_details import METHODS

Json = dict[str, Any]


@pytest.fixture
def document(app: Flask) -> Json:
    found: Json = orjson.loads(app.extensions["openapi"])
    return found


def operations(document: Json) -> dict[str, tuple[Json, list[Json]]]:
    """Each operation by its id, with all of its parameters."""
    return {
        item[method]["operationId"]: (item[method], item.get("parameters", []) + item[method].get("parameters", []))
        for item in document["paths"].values()
        for method in METHODS
        if method in item
    }


def links(document: Json) -> Iterator[tuple[str, Json, Json]]:
    """Each link: the operation that has it, the answer and the link."""
    for name, (operation, _) in operations(document).items():
        for answer in operation["responses"].values():
            for link in answer.get("links", {}).values():
                yield name, answer, link


def test_a_link_gives_all_of_a_path_and_nothing_that_the_operation_does_not_take(document: Json) -> None:
    known = operations(document)
    for name, _, link in links(document):
        operation, parameters = known[link["operationId"]]
        of_path = {parameter["name"] for parameter in parameters if parameter.get("in") == "path"}
        assert set(link["parameters"]) == of_path, (name, link)
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        members = resolved(document, body).get("properties", {})
        assert set(link.get("requestBody", ())) <= set(members), (name, link)


def test_what_a_link_takes_is_in_the_answer_or_in_the_path(document: Json) -> None:
    known, seen = operations(document), 0
    for name, answer, link in links(document):
        for value in [*link["parameters"].values(), *link.get("requestBody", {}).values()]:
            seen += 1
            if value.startswith("$request.path."):
                assert value.removeprefix("$request.path.") in {each.get("name") for each in known[name][1]}, name
                continue
            schema = answer["content"]["application/json"]["schema"]
            for step in value.removeprefix("$response.body#/").split("/"):
                found = resolved(document, schema)
                schema = found["items"] if step == "0" else found["properties"][step]
    assert seen > 60


def test_only_answers_that_say_it_was_done_lead_on(document: Json) -> None:
    for operation, _ in operations(document).values():
        for status, answer in operation["responses"].items():
            assert status[0] == "2" or "links" not in answer


def resolved(document: Json, schema: Json) -> Json:
    """The plain schema; of alternatives with null, the other."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema or "oneOf" in schema:
        (schema,) = [each for each in schema.get("anyOf", schema.get("oneOf")) if each.get("type") != "null"]
        return resolved(document, schema)
    return schema
