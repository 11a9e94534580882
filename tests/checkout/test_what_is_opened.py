"""What a provider is to open comes of the request and its cart alone, so that a retry opens the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checkout_service.providers.base import Buyer, DeliveryAddress, ProviderUnavailableError
from tests.apps import MakeApp
from tests.checkout.noting import Noting
from tests.checkout.test_buyer import ADDRESS, BUYER, LEAST_ADDRESS, LEAST_BUYER
from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import NOTHING, ask, counts, fill_cart, opened, replayed


@pytest.fixture
def provider() -> Noting:
    return Noting()


@pytest.fixture
def buyer(make_app: MakeApp, customer: Customer, provider: Noting) -> Customer:
    app = make_app()
    app.extensions["providers"] = {"mock": provider}
    return replace(customer, client=app.test_client())


@pytest.fixture
def cart_id(buyer: Customer, make_listing: MakeListing) -> str:
    return fill_cart(buyer, (make_listing(), 1))


def test_who_buys_what_and_where_it_goes_is_handed_on(buyer: Customer, cart_id: str, provider: Noting) -> None:
    opened(buyer, cart_id, buyer=BUYER, delivery_address=ADDRESS, description="School blazers")

    (opening,) = provider.openings
    assert opening.buyer == Buyer(**BUYER)
    assert opening.delivery_address == DeliveryAddress(**ADDRESS)
    assert opening.description == "School blazers"


def test_the_least_of_each_is_enough_and_none_is_none(buyer: Customer, cart_id: str, provider: Noting) -> None:
    opened(buyer, cart_id, "least", buyer=LEAST_BUYER, delivery_address=LEAST_ADDRESS)
    opened(buyer, cart_id, "none")

    least, none = provider.openings
    assert least.buyer == Buyer(**LEAST_BUYER)
    assert least.delivery_address == DeliveryAddress(**LEAST_ADDRESS)
    assert (none.buyer, none.delivery_address, none.description) == (None, None, None)


def test_a_retry_after_a_lost_answer_opens_the_same(
    buyer: Customer, cart_id: str, provider: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, order = provider.open, {"buyer": BUYER, "delivery_address": ADDRESS, "description": "School blazers"}

    def lost(opening: object) -> None:
        note(opening)  # type: ignore[arg-type]
        raise ProviderUnavailableError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(provider, "open", lost)
        assert ask(buyer, cart_id, **order).status_code == 503
    opened(buyer, cart_id, **order)

    first, second = provider.openings
    assert first == second


def test_a_key_is_of_the_description_too(buyer: Customer, cart_id: str, provider: Noting) -> None:
    opened(buyer, cart_id, description="School blazers")

    assert replayed(ask(buyer, cart_id, description="School blazers"))
    for other in ({}, {"description": "School ties"}):
        assert ask(buyer, cart_id, **other).json["type"] == "/problems/idempotency-key-reused"
    assert len(provider.openings) == 1


@pytest.mark.parametrize("text", ["", "   ", "a" * 256, "two\nlines", "\u202eturned", "nul\x00", 7, None])
def test_a_description_is_a_line_of_text(
    buyer: Customer, cart_id: str, provider: Noting, sql: Sql, text: object
) -> None:
    answer = ask(buyer, cart_id, description=text)

    assert answer.status_code in {400, 422}
    assert answer.json["type"] in {"/problems/invalid", "/problems/malformed-body"}
    assert counts(sql) == NOTHING
    assert not provider.openings
