"""The cart's and the shelf's pages over HTTP: what is short of them, and what their buttons do."""

from __future__ import annotations

import re
from html import unescape
from uuid import uuid4

import pytest
from flask import Flask

from tests.conftest import MakeListing, Sql
from tests.guests import Guest
from tests.money import bring_to
from tests.pages.scenes import number_orders


@pytest.fixture
def guest(shop: Flask, make_listing: MakeListing) -> Guest:
    make_listing(title="Something to see, so that there is a form")
    return Guest(shop.test_client())


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def quantities(sql: Sql) -> list[int]:
    return [row.qty for row in sql("SELECT qty FROM cart_items ORDER BY id")]


def test_the_shelf_says_how_many_are_left(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    for title, stock in (("Plenty", 40), ("A few", 3), ("None", 0), ("Uncounted", None)):
        make_listing(title=title, stock=stock)
    cards = re.findall(r'<li class="card" id="listing-.*?</li>', guest.get("/").text, re.S)
    texts = {title: next(text_of(card) for card in cards if f">{title}<" in card)
             for title in ("Plenty", "A few", "None", "Uncounted")}  # fmt: skip
    assert " 40 left" in texts["Plenty"]
    assert "only 3 left" in texts["A few"]
    assert "sold out" in texts["None"]
    assert "left" not in texts["Uncounted"]
    assert "sold out" not in texts["Uncounted"]
    assert "made to order" not in "".join(texts.values())


def test_more_than_there_is_may_be_put_into_the_cart_and_is_marked(
    guest: Guest, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(title="A globe", stock=2)
    assert guest.put(listing, qty="5").status_code == 303
    assert quantities(sql) == [5]
    assert "5 in your cart, only 2 left" in text_of(guest.get("/").text)
    page = guest.get("/cart").text
    assert "Only 2 left, and you want 5." in text_of(page)
    assert "Take 2 of “A globe” to check out" in text_of(page)
    assert 'action="/checkout"' not in page
    assert 'aria-invalid="true" aria-describedby="short-' in page
    (item,) = sql("SELECT id FROM cart_items")

    assert guest.post(f"/cart/items/{item.id}", qty="5", set="2").location == f"/cart#item-{item.id}"
    assert quantities(sql) == [2]
    assert 'action="/checkout"' in guest.get("/cart").text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE listings SET stock = 0", "Remove “A globe” to check out"),
        ("UPDATE listings SET active = false", "Remove “A globe” to check out"),
        ("UPDATE listings SET stock = 0, active = false", "Remove “A globe” to check out"),
        ("UPDATE listings SET stock = 1", "Take 1 of “A globe” to check out"),
    ],
)
def test_the_button_says_what_to_change(
    guest: Guest, make_listing: MakeListing, sql: Sql, change: str, words: str
) -> None:
    guest.put(make_listing(title="A globe", stock=9), qty="2")
    sql(change)
    page = guest.get("/cart").text
    assert words in text_of(page)
    assert 'action="/checkout"' not in page


def test_the_button_changes_every_line_at_fault_and_says_so(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    guest.put(make_listing(title="A globe", stock=5), qty="4")
    for title in ("A map", "A pen", "A book"):
        guest.put(make_listing(title=title, stock=9), qty="2")
    sql("UPDATE listings SET stock = 3 WHERE title = 'A globe'")
    sql("UPDATE listings SET stock = 0 WHERE title = 'A map'")
    sql("UPDATE listings SET active = false WHERE title = 'A pen'")
    page = text_of(guest.get("/cart").text)
    assert "Change 3 lines to check out A globe: 3 in place of 4 A map: removed A pen: removed" in page

    answer = guest.post("/cart/mend")

    assert (answer.status_code, answer.location) == (303, "/cart?lowered=1&removed=2")
    assert quantities(sql) == [3, 2]
    page = guest.get(answer.location).text
    words = "1 line was lowered to what is left, and 2 lines were removed."
    assert words in text_of(page)
    assert f'data-announce="{words} 5 pieces in your cart' in page
    assert 'action="/checkout"' in page
    assert guest.post("/cart/mend").location == "/cart", "sent twice it does nothing more"
    assert quantities(sql) == [3, 2]
    assert guest.get("/cart?lowered=-1&removed=x").status_code == 200


def test_many_lines_are_changed_some_at_a_time(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    guest.put(make_listing())
    sql("""WITH more AS (
            INSERT INTO listings (vendor_id, title, unit_price, currency, stock)
            SELECT vendor_id, 'Book ' || number, 1, 'USD', 0
            FROM (SELECT * FROM listings LIMIT 1) AS one, generate_series(1, 60) AS number RETURNING id)
        INSERT INTO cart_items (cart_id, listing_id, qty) SELECT carts.id, more.id, 1 FROM carts, more""")
    assert "Change 50 lines to check out" in text_of(guest.get("/cart").text)
    assert guest.post("/cart/mend").location == "/cart?removed=50"
    assert guest.post("/cart/mend").location == "/cart?removed=10"
    assert quantities(sql) == [1]


def test_a_cart_is_mended_by_its_own_forms_alone(
    shop: Flask, guest: Guest, make_listing: MakeListing, sql: Sql
) -> None:
    guest.put(make_listing(title="A globe", stock=5), qty="4")
    sql("UPDATE listings SET stock = 0")
    assert Guest(shop.test_client()).get("/").status_code == 200
    assert guest.client.post("/cart/mend", data={"csrf": "another's"}).status_code == 403
    assert quantities(sql) == [4]


def test_what_is_sold_out_cannot_be_put_into_the_cart_from_the_shelf(
    guest: Guest, make_listing: MakeListing, sql: Sql
) -> None:
    globe, card = make_listing(title="A globe", stock=2), make_listing(title="A map", stock=0)
    shelf = guest.get("/").text
    assert re.search(rf'<button[^>]* id="add-{card["id"]}" disabled>', shelf)
    assert "Add to cart A globe" in text_of(shelf)
    guest.put(globe, qty="2")
    assert "One more A globe, more than there is" in text_of(guest.get("/").text)
    assert "One more of A globe, more than there is" in text_of(guest.get("/cart").text)
    guest.put(globe, qty="1")
    assert "more than there is" not in text_of(guest.get("/cart").text)
    sql("UPDATE listings SET stock = 0")
    assert "Sold out A globe" in text_of(guest.get("/").text)


def test_what_checkout_finds_short_is_shown_at_the_lines(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    guest.put(make_listing(title="A globe", stock=3), qty="3")
    guest.put(make_listing(title="A map", stock=None))
    form = guest.checkout_form()
    sql("UPDATE listings SET stock = 1 WHERE title = 'A globe'")
    answer = guest.post("/checkout", **form)
    assert answer.status_code == 409
    page = text_of(answer.text)
    assert "Out of stock. There are fewer pieces than your cart asks for" in page
    assert "Only 1 left, and you want 3." in page
    assert page.count(" left, and you want") == 1
    assert form["key"] not in answer.text
    assert sql("SELECT count(*) FROM payments")[0][0] == 0


def test_what_a_customer_holds_is_not_sold_out_to_them(shop: Flask, guest: Guest, make_listing: MakeListing) -> None:
    listing = make_listing(title="The last globe", stock=1)
    guest.put(listing)
    assert guest.check_out().status_code == 303
    assert "sold out" not in guest.get("/").text.partition(f"listing-{listing['id']}")[2].partition("</li>")[0]
    assert 'action="/checkout"' in guest.get("/cart").text
    another = Guest(shop.test_client())
    assert "sold out" in another.get("/").text.partition(f"listing-{listing['id']}")[2].partition("</li>")[0]


@pytest.mark.parametrize(
    ("fields", "becomes"),
    [
        ({"qty": "3", "step": "1"}, 4),
        ({"qty": "3", "step": "-1"}, 2),
        ({"qty": "7", "step": "1"}, 8),
        ({"qty": "1", "step": "-1"}, 1),
        ({"qty": "9999", "step": "1"}, 9999),
        ({"qty": "3", "step": "5"}, 3),
        ({"qty": "3", "step": "x"}, 3),
        ({"qty": "3", "set": "2"}, 2),
    ],
)
def test_the_buttons_beside_a_quantity_count_from_what_is_shown(
    guest: Guest, make_listing: MakeListing, sql: Sql, fields: dict[str, str], becomes: int
) -> None:
    guest.put(make_listing(unit_price="1.00"), qty="3")
    (item,) = sql("SELECT id FROM cart_items")
    for _ in range(2):  # sent twice it is done once
        assert guest.post(f"/cart/items/{item.id}", **fields).location == f"/cart#item-{item.id}"
        assert quantities(sql) == [becomes]


@pytest.mark.parametrize("fields", [{"step": "1"}, {"qty": "", "step": "1"}, {"qty": "3", "set": "0"}, {"set": "x"}])
def test_a_button_of_a_broken_form_changes_nothing(
    guest: Guest, make_listing: MakeListing, sql: Sql, fields: dict[str, str]
) -> None:
    guest.put(make_listing(), qty="3")
    (item,) = sql("SELECT id FROM cart_items")
    assert guest.post(f"/cart/items/{item.id}", **fields).status_code == 422
    assert quantities(sql) == [3]


def test_the_cart_that_was_paid_is_empty_and_what_was_added_meanwhile_stays(
    guest: Guest, make_listing: MakeListing, sql: Sql
) -> None:
    globe = make_listing(title="A globe")
    guest.put(globe, qty="2")
    payment = guest.check_out().location
    guest.put(make_listing(title="A map"))
    bring_to(sql, payment.split("/")[2], "paid")
    cart = guest.get("/cart").text
    assert "A map" in cart
    assert "A globe" not in cart
    page = guest.get(payment).text
    assert "Begin a new cart" not in page
    assert "its number follows in a moment" in page
    assert 'data-final="no"' in page
    assert '<meta http-equiv="refresh"' in page
    number_orders(sql)
    page = guest.get(payment).text
    assert ">S-1</a>" in page
    assert "Your order has the number S-1." in page
    assert 'data-final="yes"' in page
    assert '<meta http-equiv="refresh"' not in page


def test_an_unfinished_payment_is_named_above_the_button_by_what_it_is(
    guest: Guest, make_listing: MakeListing, sql: Sql
) -> None:
    guest.put(make_listing())
    payment = guest.check_out().location.split("/")[2]
    page = text_of(guest.get("/cart").text)
    assert "go on with it or cancel it there" in page
    assert "Check out" in page
    bring_to(sql, payment, "processing")
    page = text_of(guest.get("/cart").text)
    assert "is under way. What it is for leaves this cart when its money comes" in page
    assert "do not pay" not in page
    assert "before you pay again" not in page
    sql("INSERT INTO payments (user_id, provider, provider_ref, amount, currency, status) "
        "SELECT user_id, 'mock', 'mock_x', 5, 'USD', 'failed' FROM payments")  # fmt: skip
    assert "is under way" in text_of(guest.get("/cart").text), "it need not be the newest"


def test_who_pays_beside_a_payment_under_way_reads_of_it_first(
    guest: Guest, make_listing: MakeListing, sql: Sql
) -> None:
    guest.put(make_listing(stock=None))
    older = guest.check_out().location
    bring_to(sql, older.split("/")[2], "processing")
    newer = guest.check_out()
    assert newer.status_code == 303
    assert not newer.location.endswith("/leave")
    page = guest.get(newer.location).text
    assert f'href="{older}"' in page
    assert "is under way already" in page
    assert f'href="{newer.location}"' not in guest.get(older).text.partition("<details")[0]


def test_a_payment_is_canceled_by_its_customer_alone_and_once(
    shop: Flask, guest: Guest, make_listing: MakeListing, sql: Sql
) -> None:
    guest.put(make_listing())
    payment = guest.check_out().location
    stranger = Guest(shop.test_client())
    assert stranger.post(f"{payment}/cancel").status_code == 404
    assert guest.post(f"/pay/{uuid4()}/cancel").status_code == 404
    assert guest.client.post(f"{payment}/cancel").status_code == 403, "no token of the form"
    assert sql("SELECT count(*) FROM cancel_requests")[0][0] == 0
    for _ in range(2):
        assert guest.post(f"{payment}/cancel").location == payment
        page = guest.get(payment).text
        assert "This payment is being canceled" in page
        assert 'id="cancel"' not in page
        assert 'id="onward"' not in page
    assert sql("SELECT count(*) FROM cancel_requests")[0][0] == 1
    assert "It is to be canceled" in page


def test_what_is_paid_cannot_be_canceled_and_the_page_says_what_it_is(
    guest: Guest, make_listing: MakeListing, sql: Sql
) -> None:
    guest.put(make_listing())
    payment = guest.check_out().location
    bring_to(sql, payment.split("/")[2], "paid")
    assert guest.post(f"{payment}/cancel").location == payment
    assert "Paid. Thank you!" in guest.get(payment).text
    assert sql("SELECT count(*) FROM cancel_requests")[0][0] == 0
