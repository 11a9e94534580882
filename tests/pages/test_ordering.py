"""The pages of orders over HTTP: whose they are, and what they tell."""

from __future__ import annotations

import re
from html import unescape
from uuid import uuid4

import pytest
from flask import Flask

from tests.conftest import MakeListing, Sql
from tests.guests import Guest
from tests.money import bring_to, fold
from tests.pages import scenes


@pytest.fixture
def guest(shop: Flask, make_listing: MakeListing) -> Guest:
    make_listing(title="Something to see, so that there is a form")
    return Guest(shop.test_client())


def buy(guest: Guest, sql: Sql) -> tuple[str, str]:
    """The paths of the order of what is in the cart, and of its payment."""
    payment = guest.check_out().location
    bring_to(sql, payment.split("/")[2], "paid")
    return f"/orders/{scenes.ordered(sql, payment.split('/')[2])}", payment


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_an_order_is_shown_to_whoever_bought_it_and_nobody_else(
    shop: Flask, guest: Guest, make_listing: MakeListing, sql: Sql
) -> None:
    guest.put(make_listing(title="A <globe>", unit_price="12.50"), qty="2")
    order, payment = buy(guest, sql)
    stranger = Guest(shop.test_client())
    stranger.get("/")
    assert stranger.get(order).status_code == 404
    assert guest.get(f"/orders/{uuid4()}").status_code == 404
    assert "No orders yet" in stranger.get("/orders").text
    page = guest.get(order)
    assert page.headers["Cache-Control"] == "no-store"
    assert "A <globe>" not in page.text
    text = text_of(page.text)
    assert "2 × A <globe>" in text
    assert "$12.50 each" in text
    assert "$25.00" in text
    assert "Its number comes in a moment" in text
    assert f'href="{payment}"' in page.text
    assert f'href="{order}"' in guest.get(payment).text
    scenes.number_orders(sql)
    assert "Order S-1" in text_of(guest.get(order).text)
    assert f'<a href="{order}">Order S-1</a>' in guest.get("/orders").text


def test_orders_are_listed_in_pages_the_newest_first(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    for _ in range(26):
        guest.put(make_listing())
        buy(guest, sql)
        sql("UPDATE orders SET created_at = created_at - interval '1 minute'")
    scenes.number_orders(sql)
    first = guest.get("/orders").text
    link = re.search(r'href="([^"]+)" rel="next"', first)
    assert link
    second = guest.get(unescape(link[1])).text
    assert 'rel="first"' in second
    listed = [re.findall(r'<a href="(/orders/[^"]+)">', page) for page in (first, second)]
    assert list(map(len, listed)) == [24, 2]
    newest_first = sql("SELECT id FROM orders ORDER BY created_at DESC, id DESC")
    assert [path for page in listed for path in page] == [f"/orders/{row.id}" for row in newest_first]
    assert guest.get("/orders?cursor=nonsense").status_code == 404


def test_what_was_sent_and_given_back_is_shown(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    guest.put(make_listing(title="A globe", unit_price="10.00"), qty="3")
    path, payment = buy(guest, sql)
    order = scenes.ordered(sql, payment.split("/")[2])
    scenes.fulfil(sql, order, every_line=False, tracking="NP 42 <b>")
    text = text_of(guest.get(path).text)
    assert "partly sent" in text
    assert "by Northern Parcels" in text
    assert "Tracking NP 42 <b>" in text
    assert "1 × A globe" in text
    assert "1 sent" in text
    assert "NP 42 <b>" not in guest.get(path).text
    scenes.refund(sql, payment.split("/")[2], "10.00")
    text = text_of(guest.get(path).text)
    assert "Given back $10.00" in text
    assert "$10.00 given back" in text_of(guest.get("/orders").text)
    assert "Paid, and partly refunded" in guest.get(payment).text


def test_an_order_follows_the_buyers_locale_and_shows_where_it_goes(
    guest: Guest, make_listing: MakeListing, sql: Sql
) -> None:
    guest.put(make_listing(unit_price="1234.50", currency="EUR"))
    path, _ = buy(guest, sql)
    sql("""UPDATE orders SET buyer = '{"email": "ada@example.com", "name": "Ada", "locale": "de-DE"}',
        delivery_address = '{"name": "Ada <Lovelace>", "line1": "12 Square", "city": "London", "country": "GB"}'""")
    page = guest.get(path).text
    assert "1.234,50\u00a0€" in page
    assert "Ada &lt;Lovelace&gt;" in page
    assert "London" in page
    sql("UPDATE orders SET buyer = NULL, delivery_address = NULL")
    page = guest.get(path).text
    assert "€1,234.50" in page
    assert "Where it goes" not in page


def test_a_long_order_is_shown_in_parts(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    guest.put(make_listing(stock=None))
    sql("""WITH more AS (
            INSERT INTO listings (vendor_id, title, unit_price, currency)
            SELECT vendor_id, 'Book ' || number, 1, 'USD' FROM (SELECT * FROM listings LIMIT 1) AS one,
                generate_series(1, 119) AS number RETURNING id)
        INSERT INTO cart_items (cart_id, listing_id, qty) SELECT carts.id, more.id, 1 FROM carts, more""")
    path, _ = buy(guest, sql)
    assert guest.get(path).text.count('<div class="about">') == 50
    seen: set[str] = set()
    for until in ("50", "100", "150"):
        seen |= set(re.findall(r"<h3>(.*?)</h3>", guest.get(f"{path}?until={until}").text))
    assert len(seen) == 120
    for until in ("0", "x", "-1", "99999999999"):
        assert guest.get(f"{path}?until={until}").status_code == 200


def test_a_canceled_order_shows_no_thanks_and_no_money_that_is_to_be_taken(
    guest: Guest, make_listing: MakeListing, sql: Sql
) -> None:
    guest.put(make_listing(unit_price="10.00"))
    payment = guest.check_out().location
    bring_to(sql, payment.split("/")[2], "authorized")
    assert "taken when your order is sent" in text_of(guest.get(payment).text)
    scenes.cancel_order(sql, scenes.ordered(sql, payment.split("/")[2]))
    text = text_of(guest.get(payment).text)
    assert "Your order was canceled" in text
    assert "taken when your order is sent" not in text
    guest.put(make_listing(unit_price="10.00"))
    order, payment = buy(guest, sql)
    scenes.cancel_order(sql, scenes.ordered(sql, payment.split("/")[2]))
    text = text_of(guest.get(payment).text)
    assert "Thank you" not in text
    assert "$10.00 is on its way back to you." in text
    assert "It was canceled, and nothing more is sent. $10.00 is on its way back" in text_of(guest.get(order).text)


def test_a_canceled_order_whose_refund_failed_says_that_the_shop_sees_to_it(
    guest: Guest, make_listing: MakeListing, sql: Sql
) -> None:
    guest.put(make_listing(unit_price="10.00"))
    order, payment = buy(guest, sql)
    payment_id = payment.split("/")[2]
    scenes.cancel_order(sql, scenes.ordered(sql, payment_id))
    sql("UPDATE refunds SET status = 'failed', decline = 'other', next_attempt_at = NULL")
    fold(sql, payment_id)
    assert "What was sent Nothing." in text_of(guest.get(order).text)
    for page in (order, payment):
        text = text_of(guest.get(page).text)
        assert "What you paid is not on its way back yet: the shop will see to it." in text
        assert "is on its way back to you" not in text


def test_what_came_is_shown_beside_what_was_due(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    guest.put(make_listing(unit_price="10.00"))
    payment = guest.check_out().location
    bring_to(sql, payment.split("/")[2], "paid", amount="11.00")
    assert "More came than you were asked for." in guest.get(payment).text
    assert "Amount $10.00 Came $11.00" in text_of(guest.get(payment).text)
    assert "$11.00 came" in text_of(guest.get("/payments").text)
    guest.put(make_listing(unit_price="10.00"))
    _, payment = buy(guest, sql)
    assert "Came" not in text_of(guest.get(payment).text)
