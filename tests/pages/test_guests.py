"""The shop's cookie: the guest has a row once something is kept for them, and the cookie is renewed day by day."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.identity.guests import REMEMBERED, Renewals
from tests.apps import MakeApp, make_app
from tests.conftest import MakeListing, Sql
from tests.guests import BROWSER, Guest

__all__ = ["make_app"]  # fixtures


@pytest.fixture
def shop(make_app: MakeApp) -> Flask:
    return make_app(pages=True, cart_tokens_last=timedelta(days=20))


def forget(shop: Flask) -> None:
    """Another process, which has looked at nobody yet."""
    shop.extensions.pop("guest_renewals", None)


def test_a_guest_has_a_row_with_the_first_line_of_a_cart(shop: Flask, make_listing: MakeListing, sql: Sql) -> None:
    guest, listing = Guest(shop.test_client()), make_listing()
    for path in ("/", "/cart", "/payments"):
        guest.get(path)
    assert sql("SELECT FROM guests") == []

    guest.put(listing)

    (row,) = sql("SELECT guests.id, token_hash, customer_id FROM guests JOIN carts ON carts.user_id = guests.id")
    assert (row.token_hash, row.customer_id) == (None, None)


def test_the_cookie_is_given_again_at_a_visit_a_day_later(shop: Flask, make_listing: MakeListing, sql: Sql) -> None:
    guest = Guest(shop.test_client())
    first = guest.get("/").headers["Set-Cookie"]
    assert "Max-Age=1728000" in first
    assert guest.put(make_listing()).headers.get("Set-Cookie") is None, "a POST may come from another site"
    # When it was given is not known of a guest who had no row.
    assert guest.get("/cart").headers["Set-Cookie"].partition(";")[0] == first.partition(";")[0]
    assert guest.get("/cart").headers.get("Set-Cookie") is None

    forget(shop)
    sql("UPDATE guests SET last_used_at = now() - interval '1 day' + interval '1 minute'")
    assert guest.get("/cart").headers.get("Set-Cookie") is None
    forget(shop)
    sql("UPDATE guests SET last_used_at = now() - interval '1 day'")
    again = guest.get("/cart").headers["Set-Cookie"]
    assert (again.partition(";")[0], "Max-Age=1728000" in again) == (first.partition(";")[0], True)
    assert sql("SELECT last_used_at > now() - interval '1 minute' AS fresh FROM guests")[0].fresh
    assert len(sql("SELECT FROM cart_items")) == 1


def test_a_guest_of_the_release_before_gets_a_row_with_the_cookie(
    shop: Flask, make_listing: MakeListing, sql: Sql
) -> None:
    guest = Guest(shop.test_client())
    guest.get("/")
    guest.put(make_listing())
    sql("DELETE FROM guests")
    forget(shop)
    assert "guest=" in guest.get("/cart").headers["Set-Cookie"]
    assert len(sql("SELECT FROM guests")) == 1


def test_the_cookie_opens_the_cart_that_no_token_opens(shop: Flask, make_listing: MakeListing, sql: Sql) -> None:
    guest = Guest(shop.test_client())
    guest.get("/")
    guest.put(make_listing())
    assert guest.client.get("/api/cart").status_code == 401
    token = shop.test_client().post("/api/carts").json["cart_token"]
    answer = shop.test_client().get("/cart", headers=BROWSER | {"Cart-Token": token})
    assert "guest=" in answer.headers["Set-Cookie"], "pages read no token"


def test_a_process_looks_at_a_guest_once_an_hour_and_remembers_so_many() -> None:
    renewals, somebody = Renewals(), uuid4()
    assert [renewals.is_due(somebody) for _ in range(3)] == [True, False, False]
    renewals.forget(somebody)
    assert renewals.is_due(somebody)
    for number in range(REMEMBERED):
        assert renewals.is_due(UUID(int=number))
    assert renewals.is_due(somebody), "the first of them is forgotten"
