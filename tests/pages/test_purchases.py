"""Purchases in a real browser, with a real web process, a real worker and the provider's own site."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from checkout_service.local.mock_actions import BY_NAME
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WorkerSettings
from tests.apps import close_app
from tests.conftest import MOCK_SECRET, MakeListing, Servers, Sql
from tests.flower_pages.stack import eventually
from tests.pages.browser import open_browser, tab_to
from tests.pages.scenes import number_orders
from tests.pages.stack import Customer, House, open_house
from worker.context import make_context
from worker.payments.look_ups import look_up

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
        make_listing(title=title, stock=1000)
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
    expect(page.get_by_text("1 in your cart", exact=True)).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Blazer, navy: 1 in your cart.")
    expect(page.get_by_role("button", name="One more Blazer, navy")).to_be_focused()
    page.reload()
    tab_to(page, "Cart (1)")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your cart")
    tab_to(page, "Quantity of Blazer, navy")
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Cart (2)")).to_be_visible()
    tab_to(page, "One more of Blazer, navy", most=1)
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


ENDS = {
    "pay": ("Paid. Thank you!", "paid", ["opened", "applied"]),
    "decline": ("The payment did not go through", "failed", ["opened", "applied", "failed"]),
    "late": ("Paid. Thank you!", "paid", ["opened", "applied", "applied"]),
    "cancel": ("This payment was canceled", "canceled", ["opened", "applied"]),
    "twice": ("Paid. Thank you!", "paid", ["opened", "applied", "duplicate"]),
    "disorder": ("Paid. Thank you!", "paid", ["opened", "applied", "stale", "stale"]),
    "wrong_amount": ("Paid. Thank you!", "paid", ["opened", "applied"]),
    "unverified": ("Waiting for your payment", "pending", ["opened", "rejected"]),
    "silent": ("Waiting for your payment", "pending", ["opened"]),
    "reverse": ("The money went back", "reversed", ["opened", "applied", "reversed"]),
}
"""By button: the headline that its payment ends with, the current status, and the badges of what happened."""


MONEY_ENDS = {
    "charge_twice": ("Paid. Thank you!", ("paid", "overpaid", 160, 0, 0)),
    "refund": ("Paid, and partly refunded", ("paid", None, 80, 0, 40)),
    "dispute": ("Paid. Thank you!", ("paid", None, 80, 0, 0)),
    "dispute_lost": ("Paid. Thank you!", ("paid", None, 80, 40, 0)),
    "dispute_won": ("Paid. Thank you!", ("paid", None, 80, 0, 0)),
    "authorize": ("Your payment is authorized", ("authorized", None, 0, 0, 0)),
    "capture": ("Paid. Thank you!", ("paid", None, 80, 0, 0)),
    "capture_half": ("A part of the money came", ("partially_paid", "mismatch", 40, 0, 0)),
    "release": ("This payment was canceled", ("canceled", None, 0, 0, 0)),
}
"""By button that moves money by names: the headline, and the payment's status, reasons, and what came, went and was
given back."""


def test_each_button_that_moves_money_ends_as_it_should(make_buyer: MakeBuyer, sql: Sql) -> None:
    for action, (title, row) in MONEY_ENDS.items():
        buyer = make_buyer()
        buyer.go_to_provider(buyer.check_out())
        buyer.press(action)
        buyer.sees(title)
        (payment,) = sql(
            """SELECT status::text, review_reason, amount_captured, amount_lost, amount_refunded
            FROM payments ORDER BY created_at DESC LIMIT 1"""
        )
        assert tuple(payment) == row, action
        assert buyer.complaints == []
        buyer.close()


def test_each_button_of_the_provider_ends_as_it_should(make_buyer: MakeBuyer, sql: Sql) -> None:
    assert ENDS.keys() | MONEY_ENDS.keys() == BY_NAME.keys()
    buyers = {action: make_buyer() for action in ENDS}
    for action, buyer in buyers.items():
        buyer.go_to_provider(buyer.check_out())
        buyer.press(action)
        if action == "late":
            buyer.sees("Your bank is working on it")
    for action, (title, ends, badges) in ENDS.items():
        page = buyers[action].page
        expect(page.locator(".history .badge"), action).to_have_text(badges)
        buyers[action].sees(title)
        expect(page.locator("[aria-current=step] .name"), action).to_have_text(ends)
        expect(page, action).to_have_title(f"{title} · $80.00")
        assert buyers[action].complaints == []

    assert status(sql) == [ends for _, ends, _ in ENDS.values()]


def test_where_the_provider_never_answers_the_service_asks(
    buyer: Customer, house: House, sql: Sql, worker_settings: WorkerSettings
) -> None:
    buyer.go_to_provider(buyer.check_out())
    buyer.press("silent")
    buyer.sees("Waiting for your payment")
    sql("UPDATE payments SET created_at = now() - interval '2 minutes'")
    buyer.sees("Still waiting")
    expect(buyer.page.get_by_text("We ask the provider at")).to_be_visible()

    sql("UPDATE payments SET next_look_up_at = now()")
    provider = Account(options={"api_base": Secret(house.provider)}, secrets=[Secret(MOCK_SECRET)])
    worker = make_context(replace(worker_settings, accounts={"mock": provider}))
    with worker.app_context():
        look_up()
    close_app(worker)

    buyer.sees("Paid. Thank you!")
    expect(buyer.page.locator(".history h3")).to_contain_text(["You asked to pay", "We asked the provider"])


def test_who_declines_tries_again_with_a_new_session_and_pressing_twice_makes_one(buyer: Customer, sql: Sql) -> None:
    declined = buyer.check_out()
    buyer.go_to_provider(declined)
    buyer.press("decline")
    again = buyer.page.get_by_role("button", name="Try again")
    again.dblclick()
    buyer.page.wait_for_url(f"{buyer.house.provider}/**")
    buyer.press("pay")

    buyer.sees("Paid. Thank you!")
    assert status(sql) == ["failed", "paid"]
    ((keys,),) = sql("SELECT count(DISTINCT idempotency_key) FROM checkout_sessions")
    assert keys == 2

    buyer.page.goto(buyer.house.url + declined)
    expect(buyer.page.get_by_role("button", name="Try again")).to_have_count(0)
    buyer.page.get_by_role("link", name="See that payment").click()
    buyer.sees("Paid. Thank you!")


def test_a_form_sent_by_two_tabs_at_once_is_one_session(buyer: Customer, sql: Sql, house: House) -> None:
    buyer.fill_cart()
    form = buyer.checkout_form()
    (cookie,) = buyer.context.cookies()

    def send(_: int) -> str:
        cookies = {cookie["name"]: cookie["value"]}
        return httpx.post(f"{house.url}/checkout", data=form, cookies=cookies, timeout=60).headers["location"]

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


def test_without_javascript_the_page_reloads_itself_until_it_is_settled(
    make_buyer: MakeBuyer, house: House, sql: Sql
) -> None:
    buyer = make_buyer(javascript=False)
    page = buyer.page
    page.goto(house.url)
    page.get_by_role("button", name="Add to cart Blazer, navy").click()
    page.get_by_role("link", name="Cart (1)").click()
    page.get_by_role("button", name="Check out", exact=True).click()
    page.wait_for_url(f"{house.provider}/**")
    reference = urlsplit(page.url).path
    buyer.press("silent")
    buyer.sees("Waiting for your payment")
    assert page.locator("meta[http-equiv=refresh]").count() == 1

    _press_elsewhere(house, reference, "pay")

    buyer.sees("Paid. Thank you!")
    number_orders(sql)
    expect(page.locator(".details a")).to_be_visible()
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
        printed = buyer.page.get_by_role("status")
        expect(printed).to_contain_text("does not answer right now")
        expect(printed).to_be_in_viewport()
        assert status(sql) == ["pending"]
    finally:
        house.start_web()

    buyer.sees("Paid. Thank you!")
    eventually(lambda: status(sql) == ["paid"])


def test_the_shop_keeps_the_question_until_there_are_news(buyer: Customer, house: House, sql: Sql) -> None:
    page, payment = buyer.page, buyer.check_out()
    statuses = _statuses_of_news(page)
    with page.expect_request(re.compile(r"/news\?wait=20$")):
        page.goto(house.url + payment)
    page.wait_for_timeout(1500)
    assert not statuses, "it is kept"

    _press_elsewhere(house, f"/pay/mock_pi_{payment.rpartition('/')[2].replace('-', '')}", "pay")

    buyer.sees("Paid. Thank you!")
    number_orders(sql)
    expect(page.get_by_role("status")).to_contain_text("Your order has the number")
    assert statuses[0] == 200, "the first answer was the change"


def test_a_question_that_is_kept_is_let_go_of_when_nobody_looks(buyer: Customer, house: House) -> None:
    page, payment = buyer.page, buyer.check_out()
    with page.expect_request(re.compile(r"/news\?wait=20$")) as kept:
        page.goto(house.url + payment)
    with page.expect_event("requestfailed", lambda request: request == kept.value):
        _hide(page, hidden=True)
    with page.expect_request(re.compile(r"/news\?wait=20$")):
        _hide(page, hidden=False)
    expect(page.get_by_role("status")).to_have_text("", timeout=10_000)


def test_news_are_fetched_with_growing_pauses_not_while_hidden_and_no_more_at_the_end(
    buyer: Customer, house: House, sql: Sql
) -> None:
    """Of a shop that does not keep the question waiting, as one before this release."""
    page, payment = buyer.page, buyer.check_out()
    statuses = _statuses_of_news(page)
    page.route(re.compile(r"/news\?wait=20$"), lambda route: route.continue_(url=route.request.url.partition("?")[0]))
    _stop_time(page)
    page.add_init_script(COUNTING)
    page.goto(house.url + payment)

    assert [_wait(page) for _ in range(7)] == [1, 1, 1, 2, 3, 5, 5]
    assert set(statuses) == {304}, "nothing was new"

    _hide(page, hidden=True)
    page.clock.run_for(120_000)
    assert _requests(page) == 7
    _hide(page, hidden=False)
    assert _requests(page) == 8, "somebody looks again, so it is asked at once"

    _press_elsewhere(house, f"/pay/mock_pi_{payment.rpartition('/')[2].replace('-', '')}", "pay")
    eventually(lambda: status(sql) == ["paid"])
    number_orders(sql)
    assert _wait(page) == 1
    buyer.sees("Paid. Thank you!")
    message = r"Paid\. Thank you! The money came, and your order is placed\. Your order has the number \S+\."
    expect(page.get_by_role("status")).to_have_text(re.compile(message))
    assert [_wait(page), _wait(page)] == [1, 3], "for a word that comes right behind it"
    page.clock.run_for(300_000)
    assert _requests(page) == 11, "nothing more is expected"


def test_where_a_proxy_spoils_etags_news_are_not_fetched_without_a_pause(buyer: Customer, house: House) -> None:
    """Every answer is then 200 at once, with nothing new."""
    page, payment = buyer.page, buyer.check_out()
    statuses = _statuses_of_news(page)

    def spoil(route: Route) -> None:
        headers = {name: value for name, value in route.request.headers.items() if name != "if-none-match"}
        route.continue_(headers=headers)

    page.route(re.compile(r"/news\?wait=20$"), spoil)
    _stop_time(page)
    page.add_init_script(COUNTING)
    page.goto(house.url + payment)

    assert [_wait(page, step=0.2) for _ in range(7)] == [0.2, 0.2, 1, 1, 2, 3, 5]
    assert set(statuses) == {200}


def _stop_time(page: Page) -> None:
    """The page's clock goes on by ``run_for`` alone; one that is only installed goes on by itself as well."""
    page.clock.install(time=NOON)
    page.clock.pause_at(NOON + timedelta(seconds=1))


def _statuses_of_news(page: Page) -> list[int]:
    """A list to which each answer adds its status."""
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status) if "/news" in answer.url else None)
    return statuses


NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)

COUNTING = """
  window.asked = window.answered = 0;
  const real = window.fetch;
  window.fetch = async (...given) => {
    window.asked += 1;
    const answer = await real(...given);
    const text = await answer.clone().text();
    window.answered += 1;
    return answer;
  };
"""


SETTLED = """async () => {
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise((next) => {
      const {port1, port2} = new MessageChannel();
      port1.onmessage = next;
      port2.postMessage(null);
    });
  }
  return [asked, answered];
}"""
"""Turns of the page's loop, which no clock counts: what it does with an answer it has done then, its next timer set."""


def _requests(page: Page) -> int:
    """How often the page has asked so far, once each question is answered and each answer read."""
    for _ in range(1000):
        requests, answered = page.evaluate(SETTLED)
        if requests == answered:
            return int(requests)
        page.wait_for_timeout(25)
    raise AssertionError("no answer within 25 s")


def _wait(page: Page, step: float = 1) -> float:
    """The seconds that pass, in such steps and by the page's own clock, before it asks again."""
    before = _requests(page)
    for steps in range(1, round(10 / step)):
        page.clock.run_for(round(step * 1000))
        if _requests(page) > before:
            return round(steps * step, 1)
    raise AssertionError("it does not ask any more")


def _hide(page: Page, *, hidden: bool) -> None:
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def _press_elsewhere(house: House, reference: str, action: str) -> None:
    """The same payment's button in another browser."""
    form = {"action": action, "return_to": house.url}
    assert httpx.post(house.provider + reference, data=form, timeout=60).status_code == 303
