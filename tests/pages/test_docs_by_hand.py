"""The API's page in a real browser: authorise, try a request, read a problem document; nothing comes from outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from checkout_service.local.purchase import customer_token
from tests.conftest import JWT_SECRET, MakeListing, Servers, Sql
from tests.pages.browser import DESKTOP, PHONE, open_browser, overflows, picture, violations
from tests.pages.stack import House, open_house


@pytest.fixture(scope="module")
def house(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(servers, tmp_path_factory.mktemp("docs")) as house:
        yield house


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


def tried(page: Page, operation: str, body: str | None = None) -> Locator:
    """Try an operation by hand; where its answer is shown."""
    block = page.locator(f"[id^=operations-][id$={operation}]")
    if "is-open" not in (block.get_attribute("class") or ""):
        block.locator(".opblock-summary-control").click()
        block.get_by_role("button", name="Try it out").click()
    if body is not None:
        block.locator("textarea").fill(body)
    block.get_by_role("button", name="Execute").click()
    return block.locator(".live-responses-table")


def test_the_api_is_tried_by_hand(
    browser: Browser, house: House, make_listing: MakeListing, sql: Sql, tmp_path: Path
) -> None:
    listing = make_listing()
    context = browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    requested: set[str] = set()
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requested.add(urlsplit(request.url).netloc or urlsplit(request.url).scheme))
    page.goto(f"{house.url}/api/docs")

    refused = tried(page, "getCart")
    expect(refused).to_contain_text("401")
    expect(refused).to_contain_text("Send an Authorization header: Bearer and a valid token.")
    expect(refused).to_contain_text("application/problem+json")
    assert len([text for text in complaints if "401" in text]) == 1
    complaints.clear()

    page.get_by_role("button", name="Authorize").first.click()
    token = customer_token(uuid4(), {"JWT_SECRET": JWT_SECRET})
    expect(page.locator(".auth-container input")).to_have_count(3)
    expect(page.get_by_label("Token of staff")).to_have_count(1)
    assert violations(page) == []
    page.get_by_label("Token of customer").fill(token)
    page.locator(".auth-btn-wrapper").get_by_role("button", name="Apply").or_(
        page.locator(".auth-btn-wrapper .authorize")
    ).first.click()
    page.get_by_role("button", name="Close").first.click()
    put = tried(page, "addCartItem", f'{{"listing": "{listing["id"]}", "qty": 3}}')
    expect(put).to_contain_text("201")
    assert sql("SELECT qty FROM cart_items")[0].qty == 3
    expect(tried(page, "getCart")).to_contain_text("120.00")

    assert complaints == []
    assert requested <= {urlsplit(house.url).netloc, "data", "blob"}
    assert violations(page) == []
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert not overflows(page)
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    page.evaluate("scrollTo(0, 0)")
    picture(page, "api-docs", tmp_path)
    context.close()
