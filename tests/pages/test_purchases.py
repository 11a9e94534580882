"""Purchases in a real browser, with a real web process, a real worker and the provider's own site."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import MakeListing, Servers, Sql
from tests.operators.station import eventually
from tests.pages.browser import open_browser, tab_to
from tests.pages.house import Customer, House, open_house

MakeBuyer = Callable[..., Customer]


@pytest.fixture(scope="module")
def house(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(servers, tmp_path_factory.mktemp("shop"), "worker") as house:
        yield house


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def make_buyer(browser: Browser, house: House, make_listing: MakeListing) -> Iterator[MakeBuyer]:
    """A customer with a browser of their own; there is something to buy."""
    for title in ("Algebra for beginners", "Blazer, navy", "Box of chalk"):
        make_listing(title=title)
    made: list[Customer] = []

    def make(**options: bool) -> Customer:
        made.append(Customer(browser, house, **options))
        return made[-1]

    yield make
    for customer in made:
        customer.close()


@pytest.fixture
def buyer(make_buyer: MakeBuyer) -> Customer:
    return make_buyer()


def status(sql: Sql) -> list[str]:
    return [row.status for row in sql("SELECT status::text FROM payments ORDER BY created_at")]


def test_the_whole_purchase_by_keyboard_alone(buyer: Customer, sql: Sql) -> None:
    page = buyer.page
    page.goto(buyer.house.url)
    tab_to(page, "Skip to the content", most=1)
    page.keyboard.press("Enter")
    tab_to(page, "Add to cart Blazer, navy")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 in your cart")).to_be_visible()
    page.reload()
    tab_to(page, "Cart (1)")
    page.keyboard.press("Enter")
    tab_to(page, "Quantity of Blazer, navy")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Cart (3)")).to_be_visible()
    tab_to(page, "Check out")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{buyer.house.provider}/**")
    tab_to(page, "Pay")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{buyer.house.url}/pay/**")

    buyer.sees("Paid. Thank you!")
    assert status(sql) == ["paid"]
    assert buyer.complaints == []


@pytest.mark.parametrize(
    ("deed", "title", "ends", "badges"),
    [
        ("pay", "Paid. Thank you!", "paid", ["opened", "applied"]),
        ("decline", "The payment did not go through", "failed", ["opened", "applied"]),
        ("late", "Paid. Thank you!", "paid", ["opened", "applied", "applied"]),
        ("cancel", "This payment was canceled", "canceled", ["opened", "applied"]),
        ("twice", "Paid. Thank you!", "paid", ["opened", "applied", "duplicate"]),
        ("disorder", "Paid. Thank you!", "paid", ["opened", "applied", "stale", "stale"]),
        ("wrong_amount", "Somebody has to look at this", "pending", ["opened", "mismatch"]),
        ("forged", "Waiting for your payment", "pending", ["opened", "rejected"]),
        ("silent", "Waiting for your payment", "pending", ["opened"]),
        ("reverse", "The money went back", "reversed", ["opened", "applied"]),
    ],
)
def test_each_button_of_the_provider_ends_as_it_should(
    buyer: Customer, sql: Sql, deed: str, title: str, ends: str, badges: list[str]
) -> None:
    buyer.go_to_provider(buyer.check_out())
    buyer.press(deed)
    if deed == "late":
        buyer.sees("Your bank is working on it")

    expect(buyer.page.locator(".story .badge")).to_have_text(badges)
    buyer.sees(title)
    expect(buyer.page.locator("[aria-current=step] .name")).to_have_text(ends)
    expect(buyer.page).to_have_title(f"{title} · 80.00 USD")
    assert status(sql) == [ends]
    assert buyer.complaints == []


def test_who_declines_tries_again_with_a_new_session_and_pressing_twice_makes_one(buyer: Customer, sql: Sql) -> None:
    buyer.go_to_provider(buyer.check_out())
    buyer.press("decline")
    again = buyer.page.get_by_role("button", name="Try again")
    again.dblclick()
    buyer.page.wait_for_url(f"{buyer.house.provider}/**")
    buyer.press("pay")

    buyer.sees("Paid. Thank you!")
    assert status(sql) == ["failed", "paid"]
    ((keys,),) = sql("SELECT count(DISTINCT idempotency_key) FROM checkout_sessions")
    assert keys == 2


def test_a_form_sent_by_two_tabs_at_once_is_one_session(buyer: Customer, sql: Sql, house: House) -> None:
    buyer.fill_cart()
    form = buyer.checkout_form()
    (cookie,) = buyer.context.cookies()

    def send(_: int) -> str:
        cookies = {cookie["name"]: cookie["value"]}
        return httpx.post(f"{house.url}/checkout", data=form, cookies=cookies).headers["location"]

    with ThreadPoolExecutor(4) as threads:
        led_to = set(threads.map(send, range(4)))

    assert len(led_to) == 1
    assert status(sql) == ["pending"]


def test_two_tabs_see_the_same_truth(buyer: Customer) -> None:
    payment = buyer.check_out()
    other = buyer.new_page()
    other.goto(buyer.house.url + payment)
    buyer.sees("Waiting for your payment", other)
    buyer.go_to_provider(payment)
    buyer.press("pay")

    buyer.sees("Paid. Thank you!")
    buyer.sees("Paid. Thank you!", other)


def test_reloading_in_the_middle_and_going_back_show_the_truth(buyer: Customer) -> None:
    page, payment = buyer.page, buyer.check_out()
    page.goto(buyer.house.url + payment)
    page.reload()
    buyer.sees("Waiting for your payment")
    page.get_by_role("link", name="Pay at the provider’s site").click()
    page.reload()
    buyer.press("pay")
    page.reload()
    buyer.sees("Paid. Thank you!")
    page.go_back()
    page.go_back()
    assert page.url == buyer.house.url + payment, "the page that was left while it waited"
    buyer.sees("Paid. Thank you!")


def test_without_javascript_the_page_reloads_itself_until_it_is_settled(make_buyer: MakeBuyer, house: House) -> None:
    buyer = make_buyer(javascript=False)
    page = buyer.page
    page.goto(house.url)
    page.get_by_role("button", name="Add to cart Blazer, navy").click()
    page.get_by_role("link", name="Cart (1)").click()
    page.get_by_role("button", name="Check out").click()
    page.wait_for_url(f"{house.provider}/**")
    reference = urlsplit(page.url).path
    buyer.press("silent")
    buyer.sees("Waiting for your payment")
    expect(page.get_by_text("This page reloads itself")).to_be_visible()

    _press_elsewhere(house, reference, "pay")

    buyer.sees("Paid. Thank you!")
    assert page.locator("meta[http-equiv=refresh]").count() == 0, "it is settled, so it stays"


def test_a_shop_that_dies_in_the_middle_and_comes_back(buyer: Customer, sql: Sql, house: House) -> None:
    payment = buyer.check_out()
    buyer.go_to_provider(payment)
    reference = urlsplit(buyer.page.url).path
    buyer.press("silent")
    buyer.sees("Waiting for your payment")
    house.stop_web()
    try:
        _press_elsewhere(house, reference, "pay")
        said = buyer.page.get_by_role("status")
        expect(said).to_contain_text("does not answer right now", timeout=15_000)
        expect(said).to_be_in_viewport()
        assert status(sql) == ["pending"]
    finally:
        house.start_web()

    buyer.sees("Paid. Thank you!")
    eventually(lambda: status(sql) == ["paid"])


def test_news_are_asked_for_with_growing_pauses_not_while_hidden_and_no_more_at_the_end(
    buyer: Customer, house: House, sql: Sql
) -> None:
    page, payment = buyer.page, buyer.check_out()
    asked: list[int] = []
    page.on("response", lambda answer: asked.append(answer.status) if answer.url.endswith("/news") else None)
    page.clock.install()
    page.goto(house.url + payment)

    assert _waits(page, asked, 5) == [1, 1, 2, 3, 5]
    assert set(asked) == {304}, "nothing was new"

    _hide(page, hidden=True)
    page.clock.run_for(120_000)
    assert len(asked) == 5
    _hide(page, hidden=False)
    eventually(lambda: len(asked) == 6)

    _press_elsewhere(house, f"/pay/mock_pi_{payment.rpartition('/')[2].replace('-', '')}", "pay")
    eventually(lambda: status(sql) == ["paid"])
    page.clock.run_for(6_000)
    buyer.sees("Paid. Thank you!")
    expect(page.get_by_role("status")).to_have_text("Paid. Thank you! The money came, and your order is on its way.")
    page.clock.run_for(10_000)
    page.wait_for_timeout(100)
    settled = len(asked)
    page.clock.run_for(120_000)
    page.wait_for_timeout(100)
    assert len(asked) == settled, "nothing more is expected"


def _waits(page: Page, asked: list[int], number: int) -> list[int]:
    """The whole seconds that pass before each of so many questions."""
    waits = []
    for _ in range(number):
        before, seconds = len(asked), 0
        while len(asked) == before:
            page.clock.run_for(1000)
            seconds += 1
            assert seconds < 10
            page.wait_for_timeout(80)
        waits.append(seconds)
    return waits


def _hide(page: Page, *, hidden: bool) -> None:
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def _press_elsewhere(house: House, reference: str, deed: str) -> None:
    """The same payment's button in another browser."""
    form = {"deed": deed, "return_to": house.url}
    assert httpx.post(house.provider + reference, data=form).status_code == 303
