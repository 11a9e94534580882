"""What the document says of texts in requests: a client that goes by it keeps back nothing that would be taken."""

from __future__ import annotations

import re
from typing import Final

import orjson
import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema

from checkout_service.catalog.listing_schemas import ListingsQuery
from checkout_service.endpoints.addresses import URL_PATTERN, Policy, RefusedAddressError, check_url
from checkout_service.events.schemas import EventsQuery
from checkout_service.events.types import EVENT_TYPES, ObjectType
from checkout_service.orders.schemas import OrderFiltersQuery

ID: Final = "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4"

MEMBERS: Final[dict[str, tuple[Schema, str]]] = {
    "amount": (ListingsQuery(), "price_max"),
    "moment": (OrderFiltersQuery(), "since"),
    "ids": (ListingsQuery(), "ids"),
    "types": (EventsQuery(), "types"),
    "object": (EventsQuery(), "object"),
    "number": (OrderFiltersQuery(), "number"),
}

TAKEN: Final = {
    "amount": ["0", "99999999.99", "0" * 12 + "99999999", "0" * 20 + ".5", "0.125"],
    "moment": ["2026-12-24", "2028-02-29", "2026-12-24T18:30Z", "2026-12-24 23:59:59.123456789+23:59"],
    "ids": [ID, ID.upper(), ",".join([ID] * 100)],
    "types": [*EVENT_TYPES, ",".join(EVENT_TYPES)],
    "object": [ID.upper(), *(f"{kind}:{ID}" for kind in ObjectType)],
    "number": ["1", "0", "A-1042", "a\n1", "é7"],
}

REFUSED: Final = {
    "amount": ["", "100000000", "0" * 13 + "99999999", "0" * 21, "000100000000", "1.", ".5", "1.2345", "-1", "1\n"],
    "moment": ["", "2026-13-01", "2026-12-32", "2026-12-24T18:30", "2026-12-24T24:00Z", "2026-12-24T18:30+05:75"],
    "ids": ["", f"{ID},", f"{ID}, {ID}", ",".join([ID] * 101), ID.replace("-", "")],
    "types": ["", "payment", "payment.paid,", "payment.paid, payment.failed", "payment.*"],
    "object": ["", f":{ID}", f"payment:{ID} ", f"shop:{ID}", "payment"],
    "number": ["", "A", "1a", "1 ", "٣"],
}

SIGNS: Final = st.sampled_from("0159aAfzZtT.,:-+_ \n٣")


def pattern_of(name: str) -> str:
    schema, member = MEMBERS[name]
    found: str = schema.fields[member].metadata["pattern"]
    return found


def fits(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern.removesuffix("$"), text) is not None


def takes(name: str, text: str) -> bool:
    schema, member = MEMBERS[name]
    return not schema.validate({member: text})


def test_the_document_has_each_pattern(app: Flask) -> None:
    document = orjson.loads(app.extensions["openapi"])
    schemas = document["components"]["schemas"]
    events = {each["name"]: each for each in document["paths"]["/api/admin/events"]["get"]["parameters"]}
    assert events["object"]["schema"]["pattern"] == pattern_of("object")
    assert events["types"]["schema"]["pattern"] == pattern_of("types")
    assert (
        schemas["NewReplay"]["properties"]["since"] | {"pattern": pattern_of("moment"), "type": "string"}
        == (schemas["NewReplay"]["properties"]["since"])
    )
    for name in ("NewEndpoint", "EndpointChanges"):
        assert schemas[name]["properties"]["url"]["pattern"] == URL_PATTERN
    assert schemas["EndpointChanges"]["minProperties"] == 1
    assert "minProperties" not in schemas["NewEndpoint"]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in TAKEN.items() for text in texts])
def test_what_is_taken_fits(name: str, text: str) -> None:
    assert takes(name, text)
    assert fits(pattern_of(name), text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in REFUSED.items() for text in texts])
def test_what_does_not_fit_is_refused(name: str, text: str) -> None:
    assert not fits(pattern_of(name), text)
    assert not takes(name, text)


@pytest.mark.parametrize("name", MEMBERS)
@given(data=st.data())
@settings(max_examples=50)
def test_whatever_is_almost_right_is_taken_only_where_it_fits(name: str, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(TAKEN[name]) | st.from_regex(pattern_of(name), fullmatch=True))
    place = data.draw(st.integers(0, len(text)))
    changed = text[:place] + data.draw(SIGNS | st.just("")) + text[place + data.draw(st.integers(0, 1)) :]
    assert fits(pattern_of(name), changed) or not takes(name, changed)


@given(st.from_regex(pattern_of("object"), fullmatch=True))
def test_every_object_that_fits_is_taken(text: str) -> None:
    assert takes("object", text)


@pytest.mark.parametrize("private", [True, False])
@given(data=st.data())
def test_no_address_is_taken_that_does_not_fit(private: bool, data: st.DataObject) -> None:
    text = data.draw(
        st.sampled_from(["https://shop.example.com/a?b=%20", "HTTPS://shop.example.com", "http://a.example"])
    )
    place = data.draw(st.integers(0, len(text)))
    changed = text[:place] + data.draw(st.sampled_from('a/:?#@[]{}|\\^` "<>~é\n')) + text[place:]
    for address in (text, changed):
        try:
            check_url(address, Policy(private=private))
        except RefusedAddressError:
            continue
        assert fits(URL_PATTERN, address)
