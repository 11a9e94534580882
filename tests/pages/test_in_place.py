"""The shelf and the cart in a real browser: buttons keep the place, and what they did is heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.conftest import MakeListing, Servers, Sql
from tests.pages.browser import open_browser, tab_to
from tests.pages.stack import Customer, House, open_house

MakeCustomer = Callable[..., Customer]


@pytest.fixture(scope="module")
def house(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(servers, tmp_path_factory.mktemp("shop")) as house:
        yield house


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def make_customer(browser: Browser, house: House, make_listing: MakeListing) -> Iterator[MakeCustomer]:
    """Customers of a shop with 20 listings, of the last of which there are two."""
    for number in range(20, 0, -1):  # the newest is shown first
        make_listing(title=f"Book {number:02}", unit_price="4.00", stock=2 if number == 20 else 50)
    made: list[Customer] = []

    def make(**options: bool) -> Customer:
        made.append(Customer(browser, house, **options))
        return made[-1]

    yield make
    for customer in made:
        assert customer.complaints == []
        customer.close()


def shifts(page: Page) -> float:
    """How far things moved by themselves, as browsers measure it (Cumulative Layout Shift)."""
    page.wait_for_timeout(100)
    return float(page.evaluate("window.moved"))


COUNT_SHIFTS = """
  window.moved = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.moved += entry.value;
  }).observe({type: "layout-shift"});
"""
"""From now on: a page that comes in pieces over a slow line may grow while it comes."""


def quantities(sql: Sql) -> list[int]:
    return [row.qty for row in sql("SELECT qty FROM cart_items ORDER BY id")]


def test_adding_keeps_the_place_and_is_announced(make_customer: MakeCustomer, house: House, sql: Sql) -> None:
    page = make_customer().page
    page.goto(house.url)
    page.evaluate(COUNT_SHIFTS)
    last = page.get_by_role("listitem").filter(has_text="Book 20")
    last.get_by_role("button").scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 0
    announced = ("Book 20: 1 in your cart.", "Book 20: 2 in your cart.", "Book 20: 3 in your cart, only 2 left.")
    for number, text in enumerate(announced, start=1):
        last.get_by_role("button").click()
        expect(page.get_by_role("status")).to_have_text(text)
        expect(last.get_by_role("button")).to_be_focused()
        expect(page.get_by_role("link", name=f"Cart ({number})")).to_be_visible()
    assert page.evaluate("scrollY") == before
    assert page.url == f"{house.url}/"
    assert shifts(page) == 0
    assert quantities(sql) == [3]


def test_pressing_twice_is_pressing_once_and_two_buttons_are_two(
    make_customer: MakeCustomer, house: House, sql: Sql
) -> None:
    page = make_customer().page
    page.goto(house.url)
    page.get_by_role("button", name="Add to cart Book 01").dblclick()
    for title in ("Book 02", "Book 03"):
        page.get_by_role("button", name=f"Add to cart {title}").click()
    expect(page.get_by_role("link", name="Cart (3)")).to_be_visible()
    expect(page.get_by_text("in your cart", exact=False).locator("visible=true")).to_have_count(4)
    assert quantities(sql) == [1, 1, 1]


def test_the_steppers_of_the_cart_by_keyboard(make_customer: MakeCustomer, house: House, sql: Sql) -> None:
    customer = make_customer()
    customer.fill_cart(newest=True)
    page = customer.page
    page.add_init_script(COUNT_SHIFTS)
    page.goto(f"{house.url}/cart")
    tab_to(page, "One less of Book 01")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Book 01: 1, $4.00. 1 piece in your cart, total $4.00.")
    expect(page.get_by_label("Quantity of Book 01")).to_be_focused()  # there is no less than one
    expect(page.get_by_role("button", name="One less of Book 01")).to_be_disabled()
    tab_to(page, "One more of Book 01", most=1)
    for number in (2, 3, 4):
        page.keyboard.press("Space")
        expect(page.get_by_label("Quantity of Book 01")).to_have_value(str(number))
        expect(page.get_by_role("button", name="One more of Book 01")).to_be_focused()
    assert quantities(sql) == [4]
    assert shifts(page) < 0.01, "an amount that grew a digit, and nothing else"
    tab_to(page, "Remove Book 01")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Removed. Your cart is empty.")
    expect(page.get_by_role("heading", name="Your cart is empty")).to_be_visible()
    assert page.url == f"{house.url}/cart"


def test_the_button_in_place_of_check_out_does_what_it_says(
    make_customer: MakeCustomer, house: House, sql: Sql
) -> None:
    page = make_customer().page
    page.goto(house.url)
    last = page.get_by_role("listitem").filter(has_text="Book 20")
    for number in (1, 2, 3):
        last.get_by_role("button").click()
        expect(page.get_by_role("link", name=f"Cart ({number})")).to_be_visible()
    page.goto(f"{house.url}/cart")
    tab_to(page, "Take 2 of “Book 20” to check out")
    page.keyboard.press("Enter")
    words = "1 line was lowered to what is left. 2 pieces in your cart, total $8.00."
    expect(page.get_by_role("status")).to_have_text(words)
    expect(page.get_by_role("button", name="Check out", exact=True)).to_be_visible()
    assert page.evaluate("document.activeElement.tagName") != "BODY"
    assert page.url == f"{house.url}/cart"
    assert quantities(sql) == [2]


def test_what_is_typed_into_another_line_is_not_lost(make_customer: MakeCustomer, house: House, sql: Sql) -> None:
    page = make_customer().page
    page.goto(house.url)
    for title in ("Book 01", "Book 02"):
        page.get_by_role("button", name=f"Add to cart {title}").click()
    expect(page.get_by_role("link", name="Cart (2)")).to_be_visible()
    page.goto(f"{house.url}/cart")
    page.get_by_label("Quantity of Book 02").fill("7")
    page.get_by_role("button", name="One more of Book 01").click()
    expect(page.get_by_role("link", name="Cart (3)")).to_be_visible()
    expect(page.get_by_label("Quantity of Book 02")).to_have_value("7")
    page.get_by_role("button", name="Update Book 02").click()
    expect(page.get_by_role("link", name="Cart (9)")).to_be_visible()
    assert quantities(sql) == [2, 7]


def test_what_goes_wrong_is_sent_by_the_browser_itself(make_customer: MakeCustomer, house: House, sql: Sql) -> None:
    customer = make_customer()
    page = customer.page
    page.goto(house.url)

    def fail_scripts(route: Route) -> None:
        if route.request.resource_type == "fetch":
            route.abort()
        else:
            route.continue_()

    page.route("**/cart/items", fail_scripts)
    page.get_by_role("button", name="Add to cart Book 05").click()
    expect(page.get_by_role("link", name="Cart (1)")).to_be_visible()
    assert page.url.partition("#")[2].startswith("listing-")
    assert quantities(sql) == [1]
    assert len(customer.complaints) == 1, "the browser's own word on the request that failed"
    customer.complaints.clear()


def test_without_javascript_the_same_buttons_lead_back_to_the_place(
    make_customer: MakeCustomer, house: House, sql: Sql
) -> None:
    page = make_customer(javascript=False).page
    page.goto(house.url)
    for _ in range(3):
        page.get_by_role("listitem").filter(has_text="Book 20").get_by_role("button").click()
    expect(page.get_by_text("3 in your cart, only 2 left")).to_be_in_viewport()
    page.get_by_role("link", name="Cart (3)").click()
    page.get_by_role("button", name="Take 2 of “Book 20” to check out").click()
    expect(page.get_by_text("1 line was lowered to what is left.")).to_be_visible()
    expect(page.get_by_role("button", name="Check out", exact=True)).to_be_visible()
    page.get_by_role("button", name="One more of Book 20").click()
    page.get_by_role("button", name="One less of Book 20").click()
    page.get_by_label("Quantity of Book 20").fill("1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Cart (1)")).to_be_visible()
    assert quantities(sql) == [1]


def test_details_stay_open_while_the_payment_moves(make_customer: MakeCustomer, house: House, sql: Sql) -> None:
    customer = make_customer()
    payment = customer.check_out()
    page = customer.page
    page.goto(house.url + payment)
    page.locator("#details-summary").click()
    expect(page.locator(".history")).to_be_visible()
    sql("INSERT INTO cancel_requests (payment_id, requested_by) SELECT id, user_id FROM payments")
    customer.sees("This payment is being canceled")
    expect(page.locator(".history")).to_be_visible()
    expect(page.locator("#details-summary")).to_be_focused()
    expect(page.locator(".history h3").last).to_contain_text("It is to be canceled")
