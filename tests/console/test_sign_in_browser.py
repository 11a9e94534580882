"""An operator with a real browser, who signs in at oidc-provider before a real web process, and out again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Servers, Sql
from tests.console.openid import CLIENT, openid_provider
from tests.flower_pages import stack as station
from tests.flower_pages.browser import PAGE_WITHIN
from tests.pages.browser import DESKTOP, open_browser, overflows, violations
from tests.webhook_bodies import insert_payment


@pytest.fixture(scope="module")
def console(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    ports = station.environment(servers)
    console = f"http://127.0.0.1:{ports['PORT']}/ops"
    with openid_provider(console=console) as issuer:
        settings = ports | {
            "CONSOLE_URL": console,
            "CONSOLE_OIDC_ISSUER": issuer,
            "CONSOLE_OIDC_CLIENT_ID": CLIENT[0],
            "CONSOLE_OIDC_CLIENT_SECRET": CLIENT[1],
        }
        with station.run(tmp_path_factory.mktemp("sign-in"), settings, "web"):
            yield console


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=DESKTOP)
    context.set_default_timeout(PAGE_WITHIN)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda words: complaints.append(words.text) if "Content Security Policy" in words.text else None)
    yield page
    context.close()
    assert not [each for each in complaints if "/ops" in each]


def test_sign_in_give_a_command_and_sign_out(page: Page, console: str, sql: Sql) -> None:
    reference = insert_payment(sql, status="paid")
    (payment,) = sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)
    page.goto(f"{console}/payments/{payment.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert violations(page) == []
    page.get_by_role("link", name="Sign in at 127.0.0.1").click()
    page.get_by_placeholder("Enter any login").fill("operator.ana")
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()

    # Chromium takes cookies with Secure and __Host- over http from this machine.
    page.wait_for_url(f"{console}/payments/{payment.id}")
    cookie = next(each for each in page.context.cookies() if each["name"] == "__Host-console")
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")
    expect(page.get_by_role("contentinfo")).to_contain_text("oidc:operator.ana (Ana operator.ana), operator")
    expect(page.get_by_role("button", name="Ask for the refund")).to_have_count(0)
    page.get_by_role("button", name="Look it up").click()
    expect(page.get_by_role("region", name="Commands so far")).to_contain_text(
        "by oidc:operator.ana (Ana operator.ana)"
    )
    assert violations(page) == []
    assert not overflows(page)

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    assert violations(page) == []
    page.get_by_role("link", name=re.compile("Sign out of 127.0.0.1")).click()
    page.get_by_role("button", name="Yes, sign me out").click()
    page.wait_for_url(f"{console}/sign-in*")
    page.goto(f"{console}/audit")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
