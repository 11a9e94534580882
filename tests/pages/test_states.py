"""Every page in every state, on a phone and on a page, in light and in dark: axe-core finds nothing, nothing overflows.

Takes the pictures of docs/screenshots when TAKE_SCREENSHOTS is set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from checkout_service.local.mock_actions import LATE_AFTER
from tests.conftest import MakeListing, Servers, Sql
from tests.pages.browser import DESKTOP, NARROWEST, PHONE, open_browser, overflows, picture, violations
from tests.pages.stack import Customer, House, open_house
from tests.webhook_bodies import insert_webhook, webhook

PICTURED = {"shop-listings", "shop-cart", "provider", "payment-paid", "payment-failed"}

TITLES = [
    ("Riverside Academy blazer, navy, age 9-10", {"garment": "blazer"}),
    ("Spanish 6: ¡Vamos juntos!", {"binding": "paperback"}),
    ("Ballpoint pens, blue, pack of 4", {}),
    ("School backpack, 18 litres", {}),
]


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


def looked_at(page: Page, name: str, folder: Path) -> None:
    """Look at the page on a phone in the dark and on a page in the light, and take both pictures in the light."""
    page.set_viewport_size(NARROWEST)
    assert not overflows(page), f"{name}, narrow"
    for size, screen, scheme in (("phone", PHONE, "dark"), ("desktop", DESKTOP, "light")):
        page.set_viewport_size(screen)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert violations(page) == [], f"{name}, {size}, {scheme}"
        assert not overflows(page), f"{name}, {size}"
        if name in PICTURED:
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


@pytest.mark.parametrize(
    ("status", "title"),
    [
        ("pending", "Waiting for your payment"),
        ("waiting", "Still waiting"),
        ("review", "Somebody has to look at this"),
        ("processing", "Your bank is working on it"),
        ("failed", "The payment did not go through"),
        ("expired", "This payment has expired"),
        ("canceled", "This payment was canceled"),
        ("paid", "Paid. Thank you!"),
        ("reversed", "The money went back"),
    ],
)
def test_a_payment_in_each_state(
    customer: Customer, house: House, sql: Sql, tmp_path: Path, status: str, title: str
) -> None:
    payment = customer.check_out()
    bring_to(sql, payment.rpartition("/")[2], status)
    customer.page.goto(house.url + payment)
    customer.sees(title)
    assert customer.page.locator("[aria-live], [role=status], [role=alert], [role=log]").count() == 1
    looked_at(customer.page, f"payment-{status}", tmp_path)


def test_nothing_moves_for_those_who_want_no_motion(customer: Customer, house: House) -> None:
    customer.page.goto(house.url + customer.check_out())
    moving = "getComputedStyle(document.querySelector('.current .stop'), '::after').animationName"
    customer.page.emulate_media(reduced_motion="no-preference")
    assert customer.page.evaluate(moving) == "pulse"
    customer.page.emulate_media(reduced_motion="reduce")
    assert customer.page.evaluate(moving) == "none"


def bring_to(sql: Sql, payment_id: str, status: str) -> None:
    """As if the worker had been there: webhooks, events and the payment as it leaves them."""
    if status == "waiting":
        sql("UPDATE payments SET created_at = now() - interval '2 minutes' WHERE id = :id", id=payment_id)
        return
    if status == "review":
        add_event(sql, payment_id, "paid", "mismatch", after=1.2)
        sql("UPDATE payments SET review_reason = 'mismatch' WHERE id = :id", id=payment_id)
        return
    if status == "paid":
        reference = f"mock_pi_{payment_id.replace('-', '')}"
        done = {"attempts": "1", "processed_at": "now() + interval '930 milliseconds'"}
        came = "now() + interval '912 milliseconds'"
        insert_webhook(sql, webhook(reference, secret="x"), received_at=came, state="'rejected'", **done,
                      detail="'the signature is not ours'")  # fmt: skip
        for stale, after in (("processing", 3.1), ("failed", 3.5)):
            add_event(sql, payment_id, stale, "stale", after=after)
    if status != "pending":
        add_event(sql, payment_id, status, "applied", after=2.4)
        sql("UPDATE payments SET status = CAST(:status AS payment_status) WHERE id = :id", status=status, id=payment_id)


def add_event(sql: Sql, payment_id: str, status: str, outcome: str, *, after: float) -> None:
    """An event with the webhook that brought it; a payment that expired is one that we asked about."""
    moment = f"now() + interval '{after} seconds'"
    webhook_id = None
    if status != "expired":
        body = webhook(f"mock_pi_{payment_id.replace('-', '')}", status)
        processed = f"now() + interval '{after + 0.023} seconds'"
        webhook_id = insert_webhook(
            sql, body, received_at=moment, state="'applied'", attempts="1", processed_at=processed
        )
    sql(
        f"""INSERT INTO payment_events (delivery_id, provider, event_id, payment_id, status, amount, currency, outcome,
            received_at)
        SELECT CAST(:webhook AS uuid), 'mock', :event, id, CAST(:status AS payment_status), amount + :more, currency,
            :outcome, {moment} FROM payments WHERE id = :id""",
        webhook=webhook_id,
        event=str(uuid4()),
        status=status,
        more=1 if outcome == "mismatch" else 0,
        outcome=outcome,
        id=payment_id,
    )
