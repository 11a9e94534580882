"""A page a listing: what is to be read of it, its images from where the shop keeps them, and the way into the cart."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from checkout_service.settings.origins import read_origins
from tests.apps import MakeApp, make_app
from tests.conftest import MakeListing, Sql
from tests.guests import Guest

__all__ = ["make_app"]

IMAGES = [
    {"url": "https://images.example/front.jpg?a=1&b=2", "alt": 'A "navy" blazer'},
    {"url": "https://images.example/back.jpg", "alt": "Its back"},
]


@pytest.fixture
def shop(make_app: MakeApp) -> Flask:
    return make_app(pages=True, image_origins=read_origins("https://images.example,https://*.cdn.example")[0])


def policy(answer: Any) -> str:
    return next(part for part in answer.headers["Content-Security-Policy"].split("; ") if part.startswith("img-src"))


def test_a_listing_has_a_page_with_its_images_and_goes_into_the_cart_from_there(
    shop: Flask, make_listing: MakeListing, sql: Sql
) -> None:
    made = make_listing(
        title="Blazer <b>", description="Lined.\nFor <i>winter</i>.", images=json.dumps(IMAGES), stock=3
    )
    guest = Guest(shop.test_client())
    path = f"/listings/{made['id']}"

    shelf, page = guest.get("/"), guest.get(path)

    assert f'href="{path}"' in shelf.text
    for shown in (shelf, page):
        assert 'src="https://images.example/front.jpg?a=1&amp;b=2" alt="A &#34;navy&#34; blazer"' in shown.text
        assert policy(shown) == "img-src 'self' https://images.example https://*.cdn.example"
    assert 'alt="Its back"' in page.text
    assert "Lined.\nFor &lt;i&gt;winter&lt;/i&gt;." in page.text
    assert "Blazer &lt;b&gt;" in page.text
    assert "only 3 left" in page.text
    answer = guest.post("/cart/items", listing=str(made["id"]), qty="1", alone="1")
    assert (answer.status_code, answer.headers["Location"]) == (303, path)
    assert "1 in your cart" in guest.get(path).text
    assert sql("SELECT qty FROM cart_items")[0].qty == 1


def test_what_is_not_on_sale_has_no_page(shop: Flask, make_listing: MakeListing) -> None:
    guest = Guest(shop.test_client())
    for missing in (make_listing(active=False)["id"], uuid4()):
        assert guest.get(f"/listings/{missing}").status_code == 404


def test_a_listing_without_images_shows_none_and_other_pages_name_no_image_origin(
    make_app: MakeApp, shop: Flask, make_listing: MakeListing
) -> None:
    made = make_listing(school_id=None, spec_id=None, stock=0)
    plain = Guest(make_app(pages=True).test_client())

    page = plain.get(f"/listings/{made['id']}")

    assert (page.status_code, policy(page)) == (200, "img-src 'self'")
    assert "Sold out" in page.text
    assert policy(Guest(shop.test_client()).get("/orders")) == "img-src 'self'"
