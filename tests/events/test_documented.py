"""Every type of event is in the API's document and in its page, with examples that are as the database writes them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from checkout_service.events.meanings import MEANINGS
from checkout_service.events.types import EVENT_TYPES, TEST_TYPE, ObjectType
from checkout_service.oversight.event_documents import OBJECTS, example_of, objects_of
from tests.conftest import ROOT, Customer, MakeListing, Sql
from tests.purchases import fill_cart, opened
from tests.refunding import ask_refund, refund_event, staff_of
from tests.worker.conftest import worker
from tests.worker.transitions import entered

__all__ = ["worker"]  # fixtures

ALL = (*EVENT_TYPES, TEST_TYPE)


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/openapi.json").json
    return found


def test_every_type_is_documented_with_examples_that_its_schema_takes_and_no_other(document: dict[str, Any]) -> None:
    assert list(document["webhooks"]) == list(ALL)
    for name, item in document["webhooks"].items():
        (media,) = item["post"]["requestBody"]["content"].values()
        accepts = Draft202012Validator({**media["schema"], "components": document["components"]})
        assert len(media["examples"]) == len(objects_of(name)) + 1
        for title, example in media["examples"].items():
            shown = example["value"]
            accepts.validate(shown)
            assert set(shown) == {"type", "timestamp", "id", "data"}
            assert not accepts.is_valid(shown | {"type": "payment.unknown"}), (name, title)
            assert not accepts.is_valid(shown | {"seq": 1})
            for member in set(shown["data"]) - {"lines"}:
                without = {key: value for key, value in shown["data"].items() if key != member}
                assert not accepts.is_valid(shown | {"data": without}), (name, title, member)
        thin = media["examples"]["thin"]["value"]["data"]
        assert thin.keys() == {"type", "id", "version"}
        assert thin["type"] in set(objects_of(name))
        assert MEANINGS[name] in item["post"]["description"]
        assert [header["name"] for header in item["post"]["parameters"]] == [
            *("webhook-id", "webhook-timestamp", "webhook-signature"),
        ]


def test_an_example_has_all_that_its_schema_shows() -> None:
    for name in ALL:
        for kind in objects_of(name):
            shown = OBJECTS[kind]
            assert example_of(name, kind).keys() | set(shown.optional) == set(shown.schema().fields), (name, kind)
    assert {kind for name in ALL for kind in objects_of(name)} == set(ObjectType)


def test_no_secret_of_a_payment_is_in_what_is_posted(document: dict[str, Any]) -> None:
    names = {name for shown in OBJECTS.values() for name in shown.schema().fields}
    assert not names & {"payment_token", "next_action", "provider_token", "secret"}


def test_the_page_lists_every_type_with_when_it_is_written() -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| (.*) \|$", page, re.MULTILINE))
    assert rows == MEANINGS
    assert list(rows) == list(ALL)


def test_what_the_database_writes_is_what_the_document_says(
    document: dict[str, Any], customer: Customer, sql: Sql, make_listing: MakeListing, worker: Flask
) -> None:
    """A purchase with all that may follow: each event as it would be posted, and as a page of the log has it."""
    listing = make_listing(unit_price="50.00", stock=5)
    session = opened(customer, fill_cart(customer, (listing, 2)))
    reference = sql("SELECT provider_ref FROM payments WHERE id = :id", id=session["payment_id"])[0].provider_ref
    entered.enter(entered.news(reference, entered.attempt("at_1", "authorized", authorized=Decimal(100))))
    entered.enter(entered.news(reference, entered.capture("ca_1", "100.00", attempt_ref="at_1")))
    refund = ask_refund(staff_of(customer), session["payment_id"], amount="10.00").json["id"]
    entered.enter(refund_event(reference, "succeeded", refund_ref="re_1", refund_id=refund, amount=Decimal(10)))
    entered.enter(entered.news(reference, entered.dispute("du_1", "needs_response", "50.00")))
    sql("SELECT events_sequence('S-', 1000)")
    reader = staff_of(customer, scope="events:read")

    shown = reader.get("/api/admin/events").json["data"]

    seen = set()
    for event in shown:
        item = document["webhooks"][event["type"]]["post"]
        (media,) = item["requestBody"]["content"].values()
        accepts = Draft202012Validator({**media["schema"], "components": document["components"]})
        posted = {"type": event["type"], "timestamp": event["created_at"], "id": event["id"], "data": event["data"]}
        accepts.validate(posted)
        kind = ObjectType(event["object"]["type"])
        assert kind in objects_of(event["type"])
        assert event["data"].keys() <= set(OBJECTS[kind].schema().fields), "nothing that is not documented"
        assert event["data"]["id"] == event["object"]["id"]
        seen.add(event["type"])
    assert {"checkout.session.opened", "payment.authorized", "payment.paid", "capture.succeeded"} <= seen
    assert {"order.placed", "refund.requested", "refund.succeeded", "dispute.opened"} <= seen
    (order,) = {event["data"]["number"] for event in shown if event["type"] == "order.placed"}
    assert order is not None, "it is filled in"
