"""A session names its provider among those that are on; each holds the payment in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from flask import Flask

from checkout_service.providers import transport
from tests.apps import MakeApp
from tests.conftest import Customer, MakeListing, Sql
from tests.providers.kits import standard, stripe
from tests.purchases import NOTHING, ONE_OF_EACH, ask, counts, fill_cart, opened


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "sleep", lambda seconds: None)


@pytest.fixture
def banks() -> dict[str, stripe.StripeBank | standard.StandardBank]:
    return {"stripe": stripe.KIT.bank(), "standard": standard.KIT.bank()}


@pytest.fixture
def shop(make_app: MakeApp, banks: dict[str, stripe.StripeBank]) -> Iterator[Flask]:
    app = make_app()
    app.extensions["providers"] = {
        "stripe": stripe.KIT.provider(answer=banks["stripe"]),
        "standard": standard.KIT.provider(answer=banks["standard"]),
    }
    return app


@pytest.fixture
def buyer(customer: Customer, shop: Flask) -> Customer:
    return replace(customer, client=shop.test_client())


@pytest.fixture
def cart_id(buyer: Customer, make_listing: MakeListing) -> str:
    return fill_cart(buyer, (make_listing(unit_price="120.00"), 2))


def test_a_session_is_opened_at_the_provider_that_it_names(
    buyer: Customer, cart_id: str, banks: dict[str, stripe.StripeBank]
) -> None:
    first = opened(buyer, cart_id, "default")
    own = opened(buyer, cart_id, "own", provider="standard")

    assert (first["provider"], own["provider"]) == ("stripe", "standard")
    (intent,) = banks["stripe"].payments.values()
    assert first["payment_token"] == intent["client_secret"]
    assert intent["metadata"] == {"payment_id": first["payment_id"], "deployment": stripe.DEPLOYMENT}
    (held,) = banks["standard"].payments.values()
    assert own["payment_token"] == held["payment_token"]


def test_a_provider_that_is_off_or_unknown_is_refused(
    buyer: Customer, cart_id: str, sql: Sql, banks: dict[str, stripe.StripeBank]
) -> None:
    for name in ("mock", "adyen", "nobody"):
        assert ask(buyer, cart_id, provider=name).status_code == 422
    assert counts(sql) == NOTHING
    assert not banks["stripe"].requests


def test_a_key_that_the_provider_knows_with_another_amount_needs_a_new_one(
    buyer: Customer,
    cart_id: str,
    sql: Sql,
    shop: Flask,
    banks: dict[str, stripe.StripeBank],
    make_listing: MakeListing,
) -> None:
    """The answer to a first attempt was lost, and the cart changed since."""

    def deaf(request: httpx.Request) -> httpx.Response:
        banks["stripe"](request)
        return httpx.Response(503)

    honest = shop.extensions["providers"]["stripe"]
    shop.extensions["providers"]["stripe"] = stripe.KIT.provider(answer=deaf)
    assert ask(buyer, cart_id).status_code == 503
    assert len(banks["stripe"].payments) == 1
    shop.extensions["providers"]["stripe"] = honest
    fill_cart(buyer, (make_listing(unit_price="1.00"), 1))

    answer = ask(buyer, cart_id)

    assert (answer.status_code, answer.json["type"]) == (409, "/problems/amount-differs")
    assert counts(sql) == NOTHING
    opened(buyer, cart_id, "another")
    assert counts(sql) == ONE_OF_EACH
