"""Who buys and where it goes: checked strictly, sealed in the session, and part of the request."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import NOTHING, ONE_OF_EACH, ask, counts, fill_cart, opened, replayed

BUYER = {"email": "ada@example.com", "name": "Ada Lovelace", "locale": "en-GB", "phone": "+44 20 7946 0018"}
ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "12 St James's Square",
    "line2": "Flat 3",
    "postal_code": "SW1Y 4JH",
    "city": "London",
    "region": "Greater London",
    "country": "GB",
    "phone": "+44 20 7946 0018",
}
LEAST_BUYER = {name: BUYER[name] for name in ("email", "name", "locale")}
LEAST_ADDRESS = {name: ADDRESS[name] for name in ("name", "line1", "postal_code", "city", "country")}

EMAILS = [
    "a@b.co",
    "ada.lovelace+orders@mail.example.co.uk",
    "o'brien@example.com",
    "jürgen@bücher.example",
    "ada@xn--bcher-kva.example",
    "1@2.example",
]
NO_EMAILS = [
    "",
    "ada",
    "@example.com",
    "ada@",
    "ada@localhost",
    "ada@@example.com",
    "ada@example..com",
    ".ada@example.com",
    "ada.@example.com",
    "a..b@example.com",
    "ada@-example.com",
    "ada@example-.com",
    "ada@example.123",
    "ada lovelace@example.com",
    "ada@exam ple.com",
    "Ada <ada@example.com>",
    "ada@example.com, bob@example.com",
    "ada@example.com\n",
    "ada@example.com\nBcc: bob@example.com",
    "ada@example_x.com",
    "a" * 65 + "@example.com",
    "ada@" + "a" * 64 + ".com",
    "a@" + ".".join(["a" * 60] * 5),
    "a\u200bda@example.com",
    "\u202eada@example.com",
]
TAGS = ["en", "en-GB", "zh-Hant-TW", "es-419", "sl-rozaj-biske", "de-DE-u-co-phonebk", "gsw", "en-x-us"]
NO_TAGS = [
    "",
    "e",
    "en_GB",
    "en-",
    "-en",
    "en--GB",
    "english language",
    "de;q=1",
    "*",
    "en-GB\n",
    "a" * 36,
    "en-x",
    "12",
]
LINES = [
    "\x00",
    "a\x00b",
    "\n",
    "a\nb",
    "a\rb",
    "a\tb",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "a\u2028b",
    "a\u2029b",
    " ",
    "\u3000",
    "\u200b",
    "\u2060 \ufeff",
    "\u202eadA",
    "a\u2066b",
    "a\u2069b",
]
NAMES = ["\u0645\u06cc\u200c\u062e", "\u0915\u094d\u200d\u0937", "\u05d0\u200f (A)"]


@pytest.fixture
def cart_id(customer: Customer, make_listing: MakeListing) -> str:
    return fill_cart(customer, (make_listing(unit_price="40.00"), 2))


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    assert answer.json["type"] == "/problems/invalid"
    return [error["pointer"] for error in answer.json["errors"]]


@pytest.mark.parametrize(
    ("buyer", "address"),
    [(BUYER, ADDRESS), (LEAST_BUYER, LEAST_ADDRESS), (BUYER, None), (None, ADDRESS), (None, None)],
)
def test_they_are_sealed_as_they_were_sent(
    customer: Customer, cart_id: str, sql: Sql, buyer: dict[str, str] | None, address: dict[str, str] | None
) -> None:
    given = {"buyer": buyer, "delivery_address": address}
    opened(customer, cart_id, **{name: value for name, value in given.items() if value is not None})

    assert sql("SELECT buyer, delivery_address FROM checkout_sessions") == [(buyer, address)]


def test_a_hash_of_a_request_without_them_is_that_of_earlier_releases(
    customer: Customer, cart_id: str, sql: Sql
) -> None:
    opened(customer, cart_id, expected_total="80")

    before = json.dumps({"cart_id": cart_id, "provider": None, "expected_total": "80.00"}, sort_keys=True)
    assert bytes(sql("SELECT request_hash FROM checkout_sessions")[0][0]) == hashlib.sha256(before.encode()).digest()


def test_they_are_part_of_the_request_whatever_the_order_of_their_members(
    customer: Customer, cart_id: str, sql: Sql
) -> None:
    opened(customer, cart_id, buyer=BUYER, delivery_address=ADDRESS)

    turned = dict(reversed(BUYER.items()))
    assert replayed(ask(customer, cart_id, buyer=turned, delivery_address=ADDRESS))
    for other in (
        {},
        {"buyer": BUYER},
        {"buyer": BUYER | {"name": "Ada King"}, "delivery_address": ADDRESS},
        {"buyer": LEAST_BUYER, "delivery_address": ADDRESS},
        {"buyer": BUYER, "delivery_address": ADDRESS | {"line2": "Flat 4"}},
    ):
        assert ask(customer, cart_id, **other).json["type"] == "/problems/idempotency-key-reused"
    assert counts(sql) == ONE_OF_EACH


@pytest.mark.parametrize("name", list(LEAST_BUYER))
def test_what_a_buyer_must_have(customer: Customer, cart_id: str, sql: Sql, name: str) -> None:
    given = {key: value for key, value in BUYER.items() if key != name}
    assert pointers(ask(customer, cart_id, buyer=given)) == [f"/buyer/{name}"]
    assert counts(sql) == NOTHING


@pytest.mark.parametrize("name", list(LEAST_ADDRESS))
def test_what_an_address_must_have(customer: Customer, cart_id: str, sql: Sql, name: str) -> None:
    given = {key: value for key, value in ADDRESS.items() if key != name}
    assert pointers(ask(customer, cart_id, delivery_address=given)) == [f"/delivery_address/{name}"]
    assert counts(sql) == NOTHING


@pytest.mark.parametrize("value", [None, 1, True, [], {}, [BUYER], "Ada", ["x"]], ids=str)
@pytest.mark.parametrize("member", ["buyer", "delivery_address"])
def test_what_is_neither(customer: Customer, cart_id: str, sql: Sql, member: str, value: Any) -> None:
    assert all(each.startswith(f"/{member}") for each in pointers(ask(customer, cart_id, **{member: value})))
    assert counts(sql) == NOTHING


@pytest.mark.parametrize("value", [None, 1, True, 1.5, [], {}, ["x"]], ids=str)
@pytest.mark.parametrize(
    ("member", "name"), [("buyer", key) for key in BUYER] + [("delivery_address", key) for key in ADDRESS]
)
def test_members_are_texts(customer: Customer, cart_id: str, member: str, name: str, value: Any) -> None:
    given = {"buyer": BUYER, "delivery_address": ADDRESS}[member] | {name: value}
    assert pointers(ask(customer, cart_id, **{member: given})) == [f"/{member}/{name}"]


@pytest.mark.parametrize(("member", "given"), [("buyer", BUYER), ("delivery_address", ADDRESS)])
def test_an_unknown_member_is_refused(customer: Customer, cart_id: str, member: str, given: dict[str, str]) -> None:
    assert pointers(ask(customer, cart_id, **{member: given | {"card": "4242"}})) == [f"/{member}/card"]


@pytest.mark.parametrize("text", NAMES, ids=ascii)
def test_marks_that_a_script_needs_are_kept(customer: Customer, cart_id: str, sql: Sql, text: str) -> None:
    opened(customer, cart_id, buyer=BUYER | {"name": text})
    assert sql("SELECT buyer ->> 'name' AS name FROM checkout_sessions")[0].name == text


@pytest.mark.parametrize("text", LINES, ids=ascii)
@pytest.mark.parametrize("name", ["name", "line1", "line2", "postal_code", "city", "region", "phone"])
def test_no_control_characters_and_nothing_blank(
    customer: Customer, cart_id: str, sql: Sql, name: str, text: str
) -> None:
    answer = ask(customer, cart_id, delivery_address=ADDRESS | {name: text})
    if "\x00" in text:
        assert answer.status_code in {400, 422}
    else:
        assert pointers(answer) == [f"/delivery_address/{name}"]
    assert counts(sql) == NOTHING


@pytest.mark.parametrize(
    ("member", "name", "most"),
    [
        ("buyer", "name", 200),
        ("buyer", "phone", 32),
        *(("delivery_address", name, most) for name, most in {
            "name": 200, "line1": 200, "line2": 200, "postal_code": 20, "city": 100, "region": 100, "phone": 32,
        }.items()),
    ],
)  # fmt: skip
def test_lengths_are_bounded(customer: Customer, cart_id: str, member: str, name: str, most: int) -> None:
    given = {"buyer": BUYER, "delivery_address": ADDRESS}[member]
    assert pointers(ask(customer, cart_id, **{member: given | {name: "ü" * (most + 1)}})) == [f"/{member}/{name}"]
    assert ask(customer, cart_id, **{member: given | {name: "ü" * most}}).status_code == 201


@pytest.mark.parametrize("email", EMAILS)
def test_email_addresses_are_taken(customer: Customer, cart_id: str, email: str) -> None:
    assert ask(customer, cart_id, buyer=BUYER | {"email": email}).status_code == 201


@pytest.mark.parametrize("email", NO_EMAILS, ids=ascii)
def test_what_is_no_email_address_is_refused(customer: Customer, cart_id: str, sql: Sql, email: str) -> None:
    assert set(pointers(ask(customer, cart_id, buyer=BUYER | {"email": email}))) == {"/buyer/email"}
    assert counts(sql) == NOTHING


@pytest.mark.parametrize("tag", TAGS)
def test_language_tags_are_taken(customer: Customer, cart_id: str, tag: str) -> None:
    assert ask(customer, cart_id, buyer=BUYER | {"locale": tag}).status_code == 201


@pytest.mark.parametrize("tag", NO_TAGS, ids=ascii)
def test_what_is_no_language_tag_is_refused(customer: Customer, cart_id: str, sql: Sql, tag: str) -> None:
    assert set(pointers(ask(customer, cart_id, buyer=BUYER | {"locale": tag}))) == {"/buyer/locale"}
    assert counts(sql) == NOTHING


@pytest.mark.parametrize("country", ["", "gb", "GBR", "UK", "EU", "XX", "ZZ", "G", " GB", "826"])
def test_what_is_no_country_is_refused(customer: Customer, cart_id: str, sql: Sql, country: str) -> None:
    given = ADDRESS | {"country": country}
    assert pointers(ask(customer, cart_id, delivery_address=given)) == ["/delivery_address/country"]
    assert counts(sql) == NOTHING


def test_hostile_texts_cost_no_time(customer: Customer, cart_id: str) -> None:
    """Each of these made a regular expression that backtracks go on without end."""
    for name, text in (
        ("email", "a@" + "a-" * 120 + "!"),
        ("email", "a." * 60 + "@" + "a." * 60 + "!"),
        ("locale", "en" + "-aaaaa" * 5 + "!"),
        ("email", "a" * 20_000),
    ):
        assert set(pointers(ask(customer, cart_id, buyer=BUYER | {name: text}))) == {f"/buyer/{name}"}
