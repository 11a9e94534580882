"""The Idempotency-Key header: which keys are taken, and which are one key."""

from __future__ import annotations

import pytest

from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import NOTHING, ONE_OF_EACH, ask, counts, fill_cart, replayed


@pytest.fixture
def cart_id(customer: Customer, make_listing: MakeListing) -> str:
    return fill_cart(customer, (make_listing(), 1))


def test_missing_key_is_refused(customer: Customer, cart_id: str, sql: Sql) -> None:
    answer = ask(customer, cart_id, None)

    assert answer.status_code == 400
    assert answer.json["type"] == "/problems/missing-idempotency-key"
    assert counts(sql) == NOTHING


@pytest.mark.parametrize(
    "key",
    [
        "",  # as the server hands on what it cannot read
        "   ",
        "one,two",  # as the server hands on two headers
        "one,",
        ",one",
        '"one","two"',
        "k" * 256,
        '"' + "k" * 256 + '"',
        "two words",
        '"two words"',
        "tab\tinside",
        "clé",
        "\x7f",
        '""',
        '"',
        '"unterminated',
        '"one" "two"',
        '"key";parameter=1',
        r'"a wrong \escape"',
        '"ends in a backslash\\"',
        "first, second",
    ],
)
def test_malformed_key_is_refused(customer: Customer, cart_id: str, sql: Sql, key: str) -> None:
    answer = ask(customer, cart_id, key)

    assert answer.status_code == 400
    assert answer.json["type"] == "/problems/malformed-idempotency-key"
    assert counts(sql) == NOTHING


@pytest.mark.parametrize(
    "key",
    [
        "k",
        "!",
        "~",
        "k" * 255,
        '"' + "k" * 255 + '"',
        "3f1c6e0a-4d7b-4e1c-9a39-6c0f5a1b2c3d",
        "a;c=d",
        '"a,b;c=d"',
        'in"side',
        "'",
    ],
)
def test_every_visible_ascii_key_is_taken_and_replayed(customer: Customer, cart_id: str, sql: Sql, key: str) -> None:
    first, second = ask(customer, cart_id, key), ask(customer, cart_id, key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert (replayed(first), replayed(second)) == (False, True)
    assert counts(sql) == ONE_OF_EACH


@pytest.mark.parametrize(
    ("bare", "quoted"), [("purchase-1", '"purchase-1"'), ("a\\b", r'"a\\b"'), ('in"side', r'"in\"side"')]
)
def test_quoted_and_bare_key_are_one_key(customer: Customer, cart_id: str, sql: Sql, bare: str, quoted: str) -> None:
    first, second = ask(customer, cart_id, bare), ask(customer, cart_id, quoted)

    assert (first.status_code, second.status_code) == (201, 201)
    assert replayed(second)
    assert first.json == second.json
    assert counts(sql) == ONE_OF_EACH
    assert sql("SELECT idempotency_key FROM checkout_sessions")[0].idempotency_key == bare


def test_keys_differ_by_case(customer: Customer, cart_id: str, sql: Sql) -> None:
    assert ask(customer, cart_id, "key").json["payment_id"] != ask(customer, cart_id, "KEY").json["payment_id"]
    assert counts(sql) == (2, 2)


def test_two_customers_may_use_one_key(
    customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    answers = [ask(someone, fill_cart(someone, (make_listing(), 1))) for someone in (customer, other_customer)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert not any(replayed(answer) for answer in answers)
    assert counts(sql) == (2, 2)
