"""Where a customer comes back to is the request's to say, among the shop's own origins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checkout_service.checkout.return_urls import ReturnUrlRefused, check_return_urls
from checkout_service.settings.origins import Origins
from tests.apps import MakeApp
from tests.checkout.noting import Noting
from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import NOTHING, ask, counts, fill_cart, opened, replayed

ORIGINS = Origins(frozenset({"https://shop.example", "http://localhost:5173"}))
BACK, AWAY = "https://shop.example/paid/{payment_id}?again={payment_id}", "http://localhost:5173/#/cart"


@pytest.fixture
def provider() -> Noting:
    return Noting()


@pytest.fixture
def buyer(make_app: MakeApp, customer: Customer, provider: Noting) -> Customer:
    app = make_app(return_origins=ORIGINS)
    app.extensions["providers"] = {"mock": provider}
    return replace(customer, client=app.test_client())


@pytest.fixture
def cart_id(buyer: Customer, make_listing: MakeListing) -> str:
    return fill_cart(buyer, (make_listing(), 1))


def test_the_payments_id_is_filled_in(buyer: Customer, cart_id: str, provider: Noting) -> None:
    session = opened(buyer, cart_id, return_url=BACK, cancel_url=AWAY)

    (opening,) = provider.openings
    name = session["payment_id"]
    assert opening.return_url == f"https://shop.example/paid/{name}?again={name}"
    assert opening.cancel_url == AWAY


def test_a_request_that_names_none_has_none(buyer: Customer, cart_id: str, provider: Noting) -> None:
    opened(buyer, cart_id)

    (opening,) = provider.openings
    assert (opening.return_url, opening.cancel_url) == (None, None)


@pytest.mark.parametrize("member", ["return_url", "cancel_url"])
def test_a_key_is_of_the_addresses_too(buyer: Customer, cart_id: str, provider: Noting, member: str) -> None:
    opened(buyer, cart_id, **{member: BACK})

    assert replayed(ask(buyer, cart_id, **{member: BACK}))
    for other in ({}, {member: AWAY}, {"return_url": BACK, "cancel_url": BACK}):
        assert ask(buyer, cart_id, **other).json["type"] == "/problems/idempotency-key-reused"
    assert len(provider.openings) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://shop.example.evil.example/",
        "https://shop.example@evil.example/",
        "https://shop.example:8443/",
        "https://shop.example:443/",
        "https://SHOP.example/",
        "http://shop.example/",
        "https://evil.example/https://shop.example/",
        "https://evil.example\\@shop.example/",
        "https://shop.example\\.evil.example/",
        "//shop.example/",
        "/paid",
        "javascript:alert(1)//https://shop.example/",
        " https://shop.example/",
        "https://shop.example/a b",
        "https://shop.example/\n",
        "https://shop.example/é",
        "https://shop.example/%zz",
        "https://shop.example/{other}",
        "https://shop.example{payment_id}/",
        "https://shop{payment_id}.example/",
        "{payment_id}",
        "https://",
    ],
)
def test_any_other_address_is_refused_and_nothing_is_opened(
    buyer: Customer, cart_id: str, provider: Noting, sql: Sql, url: str
) -> None:
    answer = ask(buyer, cart_id, return_url=url, cancel_url=AWAY)

    assert (answer.status_code, answer.json["type"]) == (422, "/problems/return-url-refused")
    assert [error["pointer"] for error in answer.json["errors"]] == ["/return_url"]
    assert counts(sql) == NOTHING
    assert not provider.openings


def test_an_id_that_is_filled_in_makes_no_origin() -> None:
    with pytest.raises(ReturnUrlRefused):
        check_return_urls({"return_url": "https://shop{payment_id}/"}, Origins(frozenset({"https://shop0"})))


def test_where_no_origin_is_named_none_is_taken(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    cart_id = fill_cart(customer, (make_listing(), 1))

    answer = ask(customer, cart_id, return_url="https://shop.example/", cancel_url="https://shop.example/")

    assert (answer.status_code, answer.json["type"]) == (422, "/problems/return-url-refused")
    assert [error["pointer"] for error in answer.json["errors"]] == ["/return_url", "/cancel_url"]
    assert counts(sql) == NOTHING


@pytest.mark.parametrize("url", ["", "https://shop.example/" + "a" * 1000, 7, None])
def test_what_is_no_text_of_its_length_is_invalid(buyer: Customer, cart_id: str, url: object) -> None:
    answer = ask(buyer, cart_id, return_url=url)

    assert (answer.status_code, answer.json["type"]) == (422, "/problems/invalid")
