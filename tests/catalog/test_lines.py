"""One line of a catalogue file: what is taken, and what is refused for which reason."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from checkout_service.catalog.jsonl import LONGEST_LINE, BadLineError
from checkout_service.catalog.rows import LONGEST_NAME, parse_line

ID = "018f0000-0000-7000-8000-000000000101"
VENDOR = {"id": "018f0000-0000-7000-8000-000000000001", "name": "Harbour Books"}
SCHOOL = {"id": "018f0000-0000-7000-8000-000000000002", "name": "Northgate School"}
SPEC = {"id": "018f0000-0000-7000-8000-000000000003", "name": "Hardcover", "attributes": {"pages": 320}}
LISTING: dict[str, Any] = {
    "id": ID,
    "title": "Algebra for beginners",
    "unit_price": "40.00",
    "currency": "USD",
    "stock": 10,
    "active": True,
    "vendor": VENDOR,
    "school": SCHOOL,
    "spec": SPEC,
}


def line(**changes: Any) -> bytes:
    return json.dumps(LISTING | changes).encode()


def raw(member: str, text: str) -> bytes:
    """The listing with one member written as it stands, which json.dumps would tidy up."""
    return line(**{member: "HERE"}).replace(b'"HERE"', text.encode())


def without(*members: str) -> bytes:
    return json.dumps({name: value for name, value in LISTING.items() if name not in members}).encode()


def test_a_whole_line_is_read() -> None:
    row = parse_line(line())

    assert (row.id, row.title, row.unit_price, row.currency) == (ID, "Algebra for beginners", Decimal("40.00"), "USD")
    assert (row.stock, row.active) == (10, True)
    assert row.vendor == (VENDOR["id"], "Harbour Books", None)
    assert row.school == (SCHOOL["id"], "Northgate School", None)
    assert row.spec == (SPEC["id"], "Hardcover", '{"pages":320}')


@pytest.mark.parametrize(
    "text", [without("stock", "active", "school", "spec"), line(stock=None, school=None, spec=None)]
)
def test_what_may_be_left_out_may_be_null(text: bytes) -> None:
    row = parse_line(text)

    assert (row.stock, row.active, row.school, row.spec) == (None, True, None, None)


@pytest.mark.parametrize(
    ("price", "amount"),
    [
        ('"240"', "240.00"),
        ('"33.3"', "33.30"),
        ('"0.01"', "0.01"),
        ('"99999999.99"', "99999999.99"),
        ("240", "240.00"),
        ("12.5", "12.50"),
        ("0.10", "0.10"),
        ("99999999.99", "99999999.99"),
    ],
)
def test_a_price_is_read_exactly(price: str, amount: str) -> None:
    assert str(parse_line(raw("unit_price", price)).unit_price) == amount


@pytest.mark.parametrize(
    "price",
    [
        *('"1.235"', "1.235", '"-1"', "-1", "-0.5", "1e2", '"1e2"', "1.0E1", '"0"', "0.00", '"100000000"', "100000000"),
        *('""', '" 1"', '"+1"', '"1,50"', '"1."', '".5"', '"NaN"', '"Infinity"', '"١"', "true", "null", "[1]"),
        "9" * 4000,
    ],
)
def test_what_is_no_price_is_refused(price: str) -> None:
    with pytest.raises(BadLineError, match="unit_price"):
        parse_line(raw("unit_price", price))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "not JSON at character 2"),
        (b"", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON at character 1"),
        (b"[]", "the line is an array, not an object"),
        (b"null", "the line is missing or null"),
        (line(title="x").replace(b"x", b"\xff"), "not UTF-8 at byte"),
        (b"[" * 200_000, "nested too deeply"),
        (line(title="x" * LONGEST_LINE), f"longer than {LONGEST_LINE} bytes"),
        (raw("stock", "NaN"), "NaN is no number"),
        (raw("stock", "9" * 5000), "a number is too large"),
        (line().replace(b'"stock"', b'"id"'), 'the member "id" stands twice'),
        (line(price="1"), 'the line has the unknown member "price"'),
        (line(vendor=VENDOR | {"city": "Cork"}), 'vendor has the unknown member "city"'),
        (without("id"), "id is missing"),
        (line(id=7), "id is a number"),
        (line(id="101"), "id is no UUID"),
        (line(id="{" + ID + "}"), "id is no UUID"),
        (line(vendor=VENDOR | {"id": None}), "vendor.id is missing"),
        (without("title"), "title is missing"),
        (line(title=""), "title is empty"),
        (line(title=" \t"), "title is empty"),
        (line(title="x" * (LONGEST_NAME + 1)), "title is longer than 500"),
        (line(title="a\0b"), "title holds a NUL"),
        (line(title="a\ud800b"), "title holds half of a surrogate pair"),
        (line(title=["x"]), "title is an array"),
        (line(school=SCHOOL | {"name": ""}), "school.name is empty"),
        (line(school={"id": ID}), "school.name is missing"),
        (line(currency="usd"), "currency is no ISO 4217"),
        (line(currency="XXQ"), "currency is no ISO 4217"),
        (line(currency="BGN"), r"currency is no ISO 4217 code such as USD \(BGN was withdrawn on 2026-01-01: EUR"),
        (line(currency=None), "currency is no ISO 4217"),
        (line(stock=-1), "stock is no integer"),
        (line(stock=2**31), "stock is no integer"),
        (line(stock=1.5), "stock is no integer"),
        (line(stock="1"), "stock is no integer"),
        (line(stock=True), "stock is no integer"),
        (line(active="yes"), "active is a text"),
        (line(active=1), "active is a number"),
        (without("vendor"), "vendor is missing"),
        (line(vendor=None), "vendor is missing"),
        (line(vendor="Harbour Books"), "vendor is a text"),
        (line(vendor=VENDOR | {"attributes": {"size": 1}}), "only a spec keeps attributes"),
        (line(spec=SPEC | {"attributes": []}), "spec.attributes is an array"),
        (line(spec=SPEC | {"attributes": {"a": "\0"}}), "spec.attributes holds a NUL"),
        (line(spec=SPEC | {"attributes": {"\ud800": 1}}), "spec.attributes holds half of a surrogate"),
        (line(spec=SPEC | {"attributes": {"a": 2**64}}), "more than 64 bits"),
        (line(spec="HERE").replace(b'"HERE"', b'{"attributes": {"a": 1e99999}}'), "spec.id is missing"),
    ],
)
def test_a_bad_line_is_refused_with_a_reason(text: bytes, reason: str) -> None:
    with pytest.raises(BadLineError, match=reason):
        parse_line(text)


@pytest.mark.parametrize("number", ["1e99999", "-1e-1000", "1." + "0" * 200, "1e9999999999999999999"])
def test_numbers_beyond_measure_are_refused_in_attributes(number: str) -> None:
    text = line(spec=SPEC | {"attributes": {"a": ["HERE"]}}).replace(b'"HERE"', number.encode())

    with pytest.raises(BadLineError, match="too large or too long"):
        parse_line(text)


def test_attributes_nested_too_deeply_are_refused() -> None:
    deep: Any = "x"
    for _ in range(30):
        deep = [deep]

    with pytest.raises(BadLineError, match="nested more than 20 deep"):
        parse_line(line(spec=SPEC | {"attributes": {"a": deep}}))


def test_numbers_in_attributes_stay_as_they_were_written() -> None:
    text = line(spec=SPEC | {"attributes": {"a": ["HERE", "x"]}}).replace(b'"HERE"', b"0.10, 1.5E+3, -7")

    row = parse_line(text)

    assert row.spec is not None
    assert row.spec.attributes == '{"a":[0.10,1.5E+3,-7,"x"]}'


@pytest.mark.parametrize("currency", ["JPY", "KRW", "CLP", "VND"])
def test_a_price_has_no_more_decimals_than_its_currency(currency: str) -> None:
    assert parse_line(line(currency=currency, unit_price="1200")).unit_price == Decimal(1200)
    assert parse_line(line(currency=currency, unit_price="1200.00")).unit_price == Decimal(1200)
    with pytest.raises(BadLineError, match=f"unit_price: {currency} has no such small unit"):
        parse_line(line(currency=currency, unit_price="1200.50"))


@pytest.mark.parametrize("currency", ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
def test_a_price_has_the_three_decimals_of_its_currency(currency: str) -> None:
    assert str(parse_line(line(currency=currency, unit_price="0.001")).unit_price) == "0.001"
    assert str(parse_line(line(currency=currency, unit_price="12.5")).unit_price) == "12.500"
    with pytest.raises(BadLineError, match="at most three decimals"):
        parse_line(line(currency=currency, unit_price="0.0001"))


@pytest.mark.parametrize("currency", ["XCG", "ZWG"])
def test_currencies_of_the_last_years_are_known(currency: str) -> None:
    assert parse_line(line(currency=currency)).currency == currency
