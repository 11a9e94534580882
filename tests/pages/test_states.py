"""Every page in every state, on a phone and on a page, in light and in dark: axe-core finds nothing, nothing overflows.

Takes the pictures of docs/screenshots when TAKE_SCREENSHOTS is set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from checkout_service.local.mock_actions import LATE_AFTER
from tests.conftest import MakeListing, Servers, Sql
from tests.money import bring_to, dispute
from tests.pages import scenes
from tests.pages.browser import DESKTOP, NARROWEST, PHONE, cut, open_browser, overflows, picture, violations
from tests.pages.scenes import PAYMENT_SCENES, Scene
from tests.pages.stack import Customer, House, open_house

PICTURED = {
    "shop-listings", "shop-cart", "shop-cart-short", "shop-order-partly-sent", "provider", "payment-paid",
    "payment-paid-details", "payment-failed",
}  # fmt: skip

TITLES = [
    ("Riverside Academy blazer, navy, age 9-10", {"garment": "blazer"}),
    ("Spanish 6: ¡Vamos juntos!", {"binding": "paperback"}),
    ("Ballpoint pens, blue, pack of 4", {}),
    ("School backpack, 18 litres", {}),
]


ORDER_SCENES: dict[str, Scene] = {
    "placed": lambda _sql, _payment: None,
    "refunded-in-part": lambda sql, payment: scenes.refund(sql, payment, "3.50"),
    "partly-sent": lambda sql, payment: scenes.fulfil(
        sql, scenes.ordered(sql, payment), every_line=False, tracking="NP 0042 7718 GB"
    ),
    "sent": lambda sql, payment: scenes.fulfil(sql, scenes.ordered(sql, payment), every_line=True, tracking=None),
    "on-hold": lambda sql, payment: dispute(sql, payment, "1"),
    "canceled": lambda sql, payment: scenes.cancel_order(sql, scenes.ordered(sql, payment)),
    "new": lambda _sql, _payment: None,
}
"""Orders in each status, and what brings one there."""

SEND = """([address, fields]) => {
  const form = document.createElement("form");
  form.method = "post";
  form.action = address;
  for (const [name, value] of Object.entries(fields)) {
    form.append(Object.assign(document.createElement("input"), {name, value}));
  }
  document.body.append(form);
  form.submit();
}"""
"""As a tab that is open for longer sends its form."""


@pytest.fixture(scope="module")
def house(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(servers, tmp_path_factory.mktemp("shop"), late_after=LATE_AFTER) as house:
        yield house


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def customer(browser: Browser, house: House, make_listing: MakeListing, sql: Sql) -> Iterator[Customer]:
    for number, (title, attributes) in enumerate(TITLES):
        listing = make_listing(title=title, unit_price=f"{7 * number + 9}.50", stock=[12, 40, None, 0][number])
        sql("UPDATE specs SET attributes = CAST(:a AS jsonb) WHERE id = :id", a=str(attributes).replace("'", '"'),
            id=listing["spec_id"])  # fmt: skip
    customer = Customer(browser, house)
    yield customer
    customer.close()


SIGHTS = (("phone", PHONE, "dark"), ("desktop", DESKTOP, "light"))


def looked_at(page: Page, name: str, folder: Path, *, sights: Sequence[Any] = SIGHTS) -> None:
    """Look at the page on a phone in the dark and on a page in the light, and take both pictures in the light."""
    page.set_viewport_size(NARROWEST)
    assert not overflows(page), f"{name}, narrow"
    assert cut(page) == [], f"{name}, narrow"
    for size, screen, scheme in sights:
        page.set_viewport_size(screen)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert violations(page) == [], f"{name}, {size}, {scheme}"
        assert not overflows(page), f"{name}, {size}"
        assert cut(page) == [], f"{name}, {size}"
        if name in PICTURED or "LOOK" in os.environ:
            page.emulate_media(color_scheme="light")
            picture(page, f"{name}-{size}", folder, whole=size == "desktop" or name == "payment-paid")


def test_the_shelves_the_cart_and_the_provider(customer: Customer, house: House, tmp_path: Path) -> None:
    page = customer.page
    page.goto(f"{house.url}/cart")
    looked_at(page, "shop-cart-empty", tmp_path)
    page.goto(f"{house.url}/payments")
    looked_at(page, "shop-payments-none", tmp_path)
    page.goto(house.url)
    for title in ("Riverside Academy blazer", "Ballpoint pens"):
        page.get_by_role("listitem").filter(has_text=title).get_by_role("button").click()
    looked_at(page, "shop-listings", tmp_path)
    page.goto(f"{house.url}/?q=nothing+of+the+kind")
    looked_at(page, "shop-nothing-found", tmp_path)
    page.goto(f"{house.url}/cart")
    looked_at(page, "shop-cart", tmp_path)
    page.get_by_label("Quantity of Ballpoint").fill("0")
    page.evaluate("document.querySelectorAll('form').forEach(form => form.noValidate = true)")
    page.get_by_role("button", name="Update Ballpoint").click()
    expect(page.get_by_role("alert")).to_contain_text("A quantity is a whole number from 1 to 9999.")
    looked_at(page, "shop-cart-fault", tmp_path)
    customer.go_to_provider(customer.post("/checkout", customer.checkout_form()).removesuffix("/leave"))
    looked_at(page, "provider", tmp_path)
    page.goto(f"{house.url}/cart")
    expect(page.get_by_text("is not finished yet")).to_be_visible()
    looked_at(page, "shop-cart-unfinished", tmp_path)
    page.goto(f"{house.url}/payments")
    looked_at(page, "shop-payments", tmp_path)
    page.goto(f"{house.url}/pay/{uuid4()}")
    looked_at(page, "shop-not-found", tmp_path)


def test_the_page_that_leads_on_to_the_provider(customer: Customer, house: House) -> None:
    def stay(route: Route) -> None:
        answer = route.fetch()
        assert "http-equiv" in answer.text()
        route.fulfill(response=answer, body=answer.text().replace("http-equiv", "data-kept"))

    customer.page.route("**/leave", stay)
    customer.page.goto(f"{house.url}{customer.check_out()}/leave")
    assert violations(customer.page) == []
    expect(customer.page.get_by_role("link", name="Go on")).to_have_attribute("href", re.compile(house.provider))


@pytest.mark.parametrize("name", PAYMENT_SCENES)
def test_a_payment_in_each_state(customer: Customer, house: House, sql: Sql, tmp_path: Path, name: str) -> None:
    title, bring = PAYMENT_SCENES[name]
    payment = customer.check_out()
    bring(sql, payment.rpartition("/")[2])
    page = customer.page
    page.goto(house.url + payment)
    customer.sees(title)
    assert page.locator("[aria-live], [role=status], [role=alert], [role=log]").count() == 1
    if "do not pay" in page.locator("main").inner_text():
        assert page.locator("#again, #onward").count() == 0, "that never stands over a button to pay"
    expect(page.locator("#details .history")).to_be_hidden()
    # With the details open there is more to see, and all of this.
    closed = f"payment-{name}"
    looked_at(page, closed, tmp_path, sights=SIGHTS if closed in PICTURED or "LOOK" in os.environ else SIGHTS[:1])
    page.locator("#details-summary").click()
    expect(page.locator("#details .history")).to_be_visible()
    looked_at(page, f"payment-{name}-details", tmp_path)
    assert customer.complaints == []


def test_one_of_two_payments_for_a_cart(customer: Customer, house: House, sql: Sql, tmp_path: Path) -> None:
    page, older = customer.page, customer.check_out()
    newer = customer.post("/checkout", customer.checkout_form()).removesuffix("/leave")
    page.goto(house.url + older)
    customer.sees("This payment is being canceled")
    expect(page.get_by_role("link", name="See the newer payment")).to_be_visible()
    looked_at(page, "payment-replaced", tmp_path)
    bring_to(sql, older.rpartition("/")[2], "canceled")
    page.reload()
    expect(page.get_by_text("You began to pay for the same cart anew")).to_be_visible()
    looked_at(page, "payment-canceled-for-newer", tmp_path)
    bring_to(sql, newer.rpartition("/")[2], "paid")
    page.reload()
    expect(page.get_by_text("The same cart is paid for by another payment")).to_be_visible()
    page.get_by_role("link", name="See that payment").click()
    customer.sees("Paid. Thank you!")


def test_a_payment_beside_one_that_is_under_way(customer: Customer, house: House, sql: Sql, tmp_path: Path) -> None:
    page, older = customer.page, customer.check_out()
    bring_to(sql, older.rpartition("/")[2], "processing")
    page.goto(f"{house.url}/cart")
    expect(page.get_by_text("What it is for leaves this cart when its money comes")).to_be_visible()
    looked_at(page, "shop-cart-under-way", tmp_path)
    page.get_by_role("button", name="Check out", exact=True).click()
    customer.sees("Waiting for your payment")
    expect(page.get_by_text("is under way already")).to_be_visible()
    expect(page.get_by_role("link", name="Pay at the provider’s site")).to_be_visible()
    looked_at(page, "payment-beside-another", tmp_path)
    page.get_by_role("link", name="a payment of").click()
    assert page.url == house.url + older


def test_what_is_short(customer: Customer, house: House, sql: Sql, tmp_path: Path) -> None:
    page = customer.page
    page.goto(house.url)
    blazer = page.get_by_role("listitem").filter(has_text="Riverside Academy blazer")
    for number in (1, 2, 3):
        blazer.get_by_role("button").click()
        expect(blazer.get_by_text(f"{number} in your cart")).to_be_visible()
    page.get_by_role("listitem").filter(has_text="Spanish 6").get_by_role("button").click()
    page.get_by_role("listitem").filter(has_text="Ballpoint pens").get_by_role("button").click()
    expect(page.get_by_role("link", name="Cart (5)")).to_be_visible()
    form = customer.checkout_form()
    sql("UPDATE listings SET stock = 2 WHERE title LIKE 'Riverside%'")
    page.reload()
    expect(blazer.get_by_text("3 in your cart, only 2 left")).to_be_visible()
    sold_out = page.get_by_role("listitem").filter(has_text="School backpack")
    expect(sold_out.locator(".badge")).to_have_text("sold out")
    looked_at(page, "shop-listings-short", tmp_path)

    page.goto(f"{house.url}/cart")
    expect(page.get_by_text("Only 2 left, and you want 3.")).to_be_visible()
    expect(page.get_by_role("button", name="Take 2 of “Riverside Academy blazer")).to_be_visible()
    expect(page.get_by_role("button", name="Check out", exact=True)).to_have_count(0)
    looked_at(page, "shop-cart-short", tmp_path)
    sql("UPDATE listings SET stock = 0 WHERE title LIKE 'Spanish%'")
    sql("UPDATE listings SET active = false WHERE title LIKE 'Ballpoint%'")
    page.reload()
    expect(page.get_by_role("button", name="Change 3 lines to check out")).to_be_visible()
    looked_at(page, "shop-cart-sold-out", tmp_path)

    sql("UPDATE listings SET active = true")
    page.evaluate(SEND, [f"{house.url}/checkout", form])
    page.wait_for_url("**/checkout")
    expect(page.get_by_role("alert")).to_contain_text("There are fewer pieces than your cart asks for")
    expect(page.get_by_text("Only 2 left, and you want 3.")).to_be_visible()
    looked_at(page, "shop-cart-refused", tmp_path)


def test_orders(customer: Customer, house: House, sql: Sql, tmp_path: Path) -> None:
    page = customer.page
    page.goto(f"{house.url}/orders")
    expect(page.get_by_text("No orders yet")).to_be_visible()
    looked_at(page, "shop-orders-none", tmp_path)
    for name, bring in ORDER_SCENES.items():
        payment = customer.check_out()
        payment_id = payment.rpartition("/")[2]
        scenes.number_coming(sql, payment_id) if name == "new" else scenes.paid(sql, payment_id)
        bring(sql, payment_id)
        page.goto(house.url + payment)
        page.get_by_role("link", name="See your order").click()
        page.wait_for_url("**/orders/**")
        looked_at(page, f"shop-order-{name}", tmp_path)
    page.get_by_role("link", name="Orders").click()
    expect(page.locator("tbody .badge")).to_have_text(
        ["placed", "canceled", "on hold", "sent", "partly sent", "placed", "placed"]
    )
    looked_at(page, "shop-orders", tmp_path)
    assert customer.complaints == []


def test_nothing_moves_for_those_who_want_no_motion(customer: Customer, house: House) -> None:
    customer.page.goto(house.url + customer.check_out())
    moving = "getComputedStyle(document.querySelector('.current .stop'), '::after').animationName"
    customer.page.emulate_media(reduced_motion="no-preference")
    assert customer.page.evaluate(moving) == "pulse"
    customer.page.emulate_media(reduced_motion="reduce")
    assert customer.page.evaluate(moving) == "none"
