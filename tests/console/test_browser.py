"""An operator with a real browser, before a real web process and real workers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from checkout_service.local.processes import Processes
from tests.conftest import Servers, Sql
from tests.console.conftest import PASSWORD, USER
from tests.flower_pages import stack as station
from tests.flower_pages.browser import PAGE_WITHIN
from tests.flower_pages.page import CommandGroup
from tests.flower_pages.stack import FLOWER_USER, eventually
from tests.pages.browser import DESKTOP, open_browser, tab_to, violations
from tests.webhook_bodies import insert_payment, state_of, status_of, webhook


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where everything is, and what runs there."""

    url: str
    flower: str
    settings: Mapping[str, str]
    processes: Processes


@pytest.fixture(scope="module")
def place(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Web, worker, housekeeping and Flower, each of which knows the others' addresses."""
    ports = station.environment(servers)
    url, flower = f"http://127.0.0.1:{ports['PORT']}", f"http://127.0.0.1:{ports['FLOWER_PORT']}"
    settings = ports | {
        "CONSOLE_BASIC_AUTH": f"{USER}:{PASSWORD}",
        "CONSOLE_URL": f"{url}/ops",
        "FLOWER_URL": flower,
        "WEB_THREADS": "4",
    }
    with station.run(
        tmp_path_factory.mktemp("console"), settings, "web", "worker", "housekeeping", "flower"
    ) as processes:
        yield Place(url=url, flower=flower, settings=settings, processes=processes)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(http_credentials={"username": USER, "password": PASSWORD}, viewport=DESKTOP)
    context.set_default_timeout(PAGE_WITHIN)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda words: complaints.append(words.text) if "Content Security Policy" in words.text else None)
    yield page
    assert not complaints


def given_up(sql: Sql, number: int = 1) -> list[UUID]:
    """Webhooks that failed, whose cause is gone, each about a payment of its own."""
    references = [f"mock_pi_{uuid4().hex}" for _ in range(number)]
    sql(
        """WITH customer AS (INSERT INTO users DEFAULT VALUES RETURNING id)
        INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
        SELECT customer.id, 'mock', reference, 240, 'USD'
        FROM customer, unnest(CAST(:references AS text[])) AS reference""",
        references=references,
    )
    bodies = [webhook(reference, event_id=f"evt_{place}") for place, reference in enumerate(references)]
    rows = sql(
        """INSERT INTO webhook_deliveries (provider, body, state, attempts, processed_at, received_at, detail)
        SELECT 'mock', body, 'failed', 12, now() - interval '1 minute', now() - place * interval '1 millisecond',
            'InternalError: nobody thought of this'
        FROM unnest(CAST(:bodies AS bytea[])) WITH ORDINALITY AS given (body, place) RETURNING id""",
        bodies=bodies,
    )
    return [row.id for row in rows]


def test_from_the_overview_to_a_webhook_and_its_payment(page: Page, place: Place, sql: Sql) -> None:
    (failed,) = given_up(sql)
    page.goto(f"{place.url}/ops")
    page.get_by_role("link", name=re.compile("failed, for you")).click()
    page.get_by_role("table", name="Webhooks").get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Webhook of mock")
    expect(page.get_by_label("Body in good order")).to_contain_text('"event_id": "evt_0"')
    page.get_by_label("Why (if you want to say)").fill("the trigger is gone")
    page.get_by_role("button", name="Process").click()

    # Without any help of ours: the page looks again by itself.
    expect(page.locator("h1 + .badge")).to_have_text("applied")
    expect(page.get_by_role("status")).to_contain_text("The webhook is applied")
    assert state_of(sql, failed) == "applied"
    page.get_by_role("region", name="What became of it").get_by_role("link").click()
    expect(page.locator("h1 + .badge")).to_have_text("paid")
    expect(page.get_by_role("list").filter(has_text="created")).to_contain_text("paid: applied, event evt_0")
    page.get_by_role("link", name="Audit", exact=True).click()
    expect(page.get_by_role("table")).to_contain_text("the trigger is gone")


def test_a_webhook_is_processed_by_keyboard_alone(page: Page, place: Place, sql: Sql) -> None:
    (failed,) = given_up(sql)
    page.goto(f"{place.url}/ops/webhooks")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "State")
    page.keyboard.type("failed")
    tab_to(page, "Show")
    page.keyboard.press("Enter")
    page.wait_for_url("**state=failed**")
    tab_to(page, "Look again")
    for _ in range(3):  # the other action, the table that scrolls, the first webhook
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/ops/webhooks/{failed}")
    tab_to(page, "Why")
    page.keyboard.type("by keyboard")
    tab_to(page, "Process")
    page.keyboard.press("Enter")
    expect(page.locator("h1 + .badge")).to_have_text("applied")
    assert sql("SELECT why FROM audit")[0].why == "by keyboard"


def test_all_that_match_are_processed_with_progress(page: Page, place: Place, sql: Sql) -> None:
    given_up(sql, 450)
    page.goto(f"{place.url}/ops/webhooks?state=failed")
    page.get_by_role("link", name="Process all that match").click()
    expect(page.get_by_text("450 webhooks would be processed")).to_be_visible()
    assert not sql("SELECT FROM audit")
    page.get_by_role("button", name="Process all 450").click()
    assert not sql("SELECT FROM audit"), "the note is needed"
    page.get_by_label("Why").fill("mended")
    page.get_by_role("button", name="Process all 450").click()
    page.wait_for_url("**/ops/commands/**")
    expect(page.get_by_role("status")).to_have_text(re.compile("Done: 450 processed"))
    expect(page.get_by_text("applied 450")).to_be_visible()
    assert {row.state for row in sql("SELECT state FROM webhook_deliveries")} == {"applied"}
    assert {row.status for row in sql("SELECT status::text FROM payments")} == {"paid"}


def test_a_run_goes_on_without_a_browser_and_is_stopped(
    page: Page, place: Place, sql: Sql, context: BrowserContext
) -> None:
    given_up(sql, 3000)
    page.goto(f"{place.url}/ops/webhooks/process-all?state=failed")
    page.get_by_label("Why").fill("mended")
    page.get_by_role("button", name="Process all 3000").click()
    page.wait_for_url("**/ops/commands/**")
    address = page.url
    page.close()
    done = "SELECT count(*) AS number FROM webhook_deliveries WHERE state = 'applied'"
    eventually(lambda: sql(done)[0].number >= 400)

    page = context.new_page()
    page.goto(f"{place.url}/ops")
    page.get_by_role("link", name="Process all that match").click()
    page.wait_for_url(address)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_have_text(re.compile("Stopped: .* the others are as they were"))
    processed = sql(done)[0].number
    assert 400 <= processed < 3000
    expect(page.get_by_role("status")).to_contain_text(f"Stopped: {processed} of 3000 processed")
    assert sql("SELECT state FROM command_runs")[0].state == "stopped"
    assert sql("SELECT state, count(*) AS number FROM webhook_deliveries WHERE state <> 'applied' GROUP BY 1") == [
        ("failed", 3000 - processed)
    ]
    assert [row.action for row in sql("SELECT action FROM audit ORDER BY id")] == ["process_all", "stop"]


def test_a_payment_is_looked_up_and_reviewed(page: Page, place: Place, sql: Sql) -> None:
    reference = insert_payment(sql)
    (payment,) = sql("UPDATE payments SET review_reason = 'paid_twice' RETURNING id")
    page.goto(f"{place.url}/ops/payments?flagged=yes")
    page.get_by_role("table").get_by_role("link").first.click()
    page.wait_for_url(f"**/ops/payments/{payment.id}")
    page.get_by_role("button", name="Look it up").click()
    commands = page.get_by_role("region", name="Commands so far")
    expect(commands).to_contain_text("nothing new")
    assert len(sql("SELECT look_up_log FROM payments")[0].look_up_log) == 1

    page.get_by_label("Why", exact=True).fill("agreed with the customer, refunded")
    page.get_by_role("button", name="Take the flag off").click()
    expect(commands).to_contain_text("paid_twice was seen")
    expect(page.get_by_role("heading", name="Mark as reviewed")).to_have_count(0)
    assert sql("SELECT review_reason FROM payments")[0].review_reason is None
    assert status_of(sql, reference) == "pending"


def test_everything_works_without_a_script(browser: Browser, place: Place, sql: Sql) -> None:
    given_up(sql, 3)
    credentials: Any = {"username": USER, "password": PASSWORD}
    context = browser.new_context(http_credentials=credentials, viewport=DESKTOP, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{place.url}/ops/webhooks?state=failed")
    page.get_by_role("link", name="Process all that match").click()
    page.get_by_label("Why").fill("mended")
    page.get_by_role("button", name="Process all 3").click()
    page.wait_for_url("**/ops/commands/**")
    # The browser itself reloads the page until it is final, and then no more.
    expect(page.get_by_role("status")).to_have_text(re.compile("Done: 3 processed"))
    assert "http-equiv" not in page.content()
    context.close()


@pytest.mark.slow
def test_a_dead_server_in_the_middle_and_back(page: Page, place: Place, sql: Sql) -> None:
    place.processes.end(place.processes.named("worker"))
    try:
        given_up(sql, 3)
        page.goto(f"{place.url}/ops/webhooks/process-all?state=failed")
        page.get_by_label("Why").fill("mended")
        page.get_by_role("button", name="Process all 3").click()
        expect(page.get_by_role("status")).to_have_text(re.compile("Waits for a worker"))
        place.processes.end(place.processes.named("web"))
        page.wait_for_timeout(2000)
        expect(page.get_by_role("status")).to_have_text(re.compile("Waits for a worker"))
    finally:
        for name in ("web", "worker"):
            if place.processes.named(name).running is None:
                place.processes.launch(place.processes.named(name))
        station.await_page(place.processes, f"{place.url}/livez")
    expect(page.get_by_role("status")).to_have_text(re.compile("Done: 3 processed"))


def test_a_webhook_leads_to_flower_and_back(page: Page, browser: Browser, place: Place, sql: Sql) -> None:
    (failed,) = given_up(sql)
    page.goto(f"{place.url}/ops/webhooks/{failed}")
    page.get_by_role("button", name="Process").click()
    expect(page.get_by_role("status")).to_contain_text("its task was")
    task = page.get_by_role("status").get_by_role("link")
    address = task.get_attribute("href")
    assert address == f"{place.flower}/task/{task.inner_text()}"

    ui = CommandGroup(place.settings)
    eventually(lambda: ui.tasks().get(task.inner_text(), {}).get("state") == "SUCCESS")
    ui.close()
    user, password = FLOWER_USER
    flower = browser.new_context(http_credentials={"username": user, "password": password}, viewport=DESKTOP)
    at_flower = flower.new_page()
    at_flower.goto(address)
    assert (
        at_flower.get_by_role("link", name="Open the webhook").get_attribute("href")
        == f"{place.url}/ops/webhooks/{failed}"
    )
    flower.close()


@pytest.mark.slow
def test_pages_of_a_living_run_are_accessible(browser: Browser, place: Place, sql: Sql) -> None:
    given_up(sql, 400)
    credentials: Any = {"username": USER, "password": PASSWORD}
    context = browser.new_context(http_credentials=credentials, viewport=DESKTOP, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{place.url}/ops/webhooks/process-all?state=failed")
    assert not violations(page)
    page.get_by_label("Why").fill("mended")
    page.get_by_role("button", name="Process all 400").click()
    page.wait_for_url("**/ops/commands/**")
    assert not violations(page)
    expect(page.get_by_role("status")).to_have_text(re.compile("Done"))
    assert page.locator("[role=status]").count() == 1, "one live region, the same all the time"
    assert not violations(page)
    context.close()
