"""A front end of another origin in a real browser: it buys, pays and watches; one that is not let in is blocked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from checkout_service.local.purchase import customer_token
from tests.conftest import JWT_SECRET, MakeListing, Servers, Sql
from tests.pages.browser import open_browser
from tests.pages.stack import House, open_house

FRONT_END = Path(__file__).with_name("front_end.html").read_bytes()

Open = Callable[..., Page]


class _Serve(BaseHTTPRequestHandler):
    """One page at every path."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(FRONT_END)))
        self.end_headers()
        self.wfile.write(FRONT_END)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def front_end() -> Iterator[int]:
    """The port of a server that has the page alone, and nothing of the shop's."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Serve) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with front_end() as port:
        yield port


@pytest.fixture(scope="module")
def house(servers: Servers, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Lets in the front end by its address, and not by the name that the same machine has: that is another origin."""
    origins = f"http://127.0.0.1:{port},https://*.preview.example"
    with open_house(servers, tmp_path_factory.mktemp("api"), "worker", CORS_ORIGINS=origins) as house:
        yield house


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def opened(browser: Browser, house: House, port: int, make_listing: MakeListing) -> Iterator[Open]:
    """The front end at a host, in a browser of its own; what the console says is kept in ``complaints``."""
    context = browser.new_context()
    context.set_default_timeout(20_000)
    given = {
        "api": house.url,
        "listing": make_listing()["id"],
        "token": customer_token(uuid4(), {"JWT_SECRET": JWT_SECRET}),
        "key": str(uuid4()),
    }

    def open_at(host: str, complaints: list[str]) -> Page:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(f"http://{host}:{port}/#{urlencode(given)}")
        return page

    yield open_at
    context.close()


def press(page: Page, button: str, outcome: str) -> None:
    page.locator(f"#{button}").click()
    expect(page.locator("#outcome")).to_have_text(outcome)


def test_a_front_end_of_an_origin_that_is_let_in_buys_pays_and_watches(opened: Open, house: House, sql: Sql) -> None:
    complaints: list[str] = []
    page = opened("127.0.0.1", complaints)
    page.locator("#buy").click()
    expect(page.locator("#status")).to_have_text("pending")
    log = page.locator("#log li")
    expect(log.filter(has_text="wait=2 304").first).to_be_attached()

    with page.context.expect_page() as popup:
        page.locator("#pay").click()
    provider = popup.value
    provider.locator("button[value=pay]").click()
    provider.wait_for_url("**/back")

    expect(page.locator("#status")).to_have_text("paid")
    expect(page.locator("#outcome")).to_have_text("bought")
    lines = log.all_inner_texts()
    assert lines[:6] == [
        "POST /api/cart/items 201",
        "GET /api/cart 200",
        "POST /api/checkout/session 201",
        "POST /api/checkout/session 201",
        "replayed: true, at /api/payments/…",
        "POST /api/cart/items 422",
    ]
    assert lines[6] == "a problem: /problems/invalid"
    assert "GET /api/payments/…?wait=2 200" in lines, "it was answered at the change"
    assert [row.status for row in sql("SELECT status::text FROM payments")] == ["paid"]
    assert [text for text in complaints if "422" not in text] == []


AS_A_GUEST = """
async ({ api, listing, token, key }) => {
  const call = async (method, path, headers, body) => {
    const json = body ? { "Content-Type": "application/json" } : {};
    const sent = body && JSON.stringify(body);
    const answer = await fetch(api + path, { method, headers: { ...json, ...headers }, body: sent });
    return [answer.status, await answer.json()];
  };
  const cart = await call("POST", "/api/carts", {});
  const guest = { "Cart-Token": cart[1].cart_token };
  const put = await call("POST", "/api/cart/items", guest, { listing, qty: 2 });
  const order = { cart_id: cart[1].id };
  const session = await call("POST", "/api/checkout/session", { ...guest, "Idempotency-Key": key }, order);
  const merge = { cart_token: cart[1].cart_token, how: "sum" };
  const merged = await call("POST", "/api/cart/merge", { Authorization: `Bearer ${token}` }, merge);
  const read = await call("GET", `/api/payments/${session[1].payment_id}`, guest);
  const refused = await call("GET", "/api/cart", guest);
  const statuses = [cart, put, session, merged, read, refused].map((answer) => answer[0]);
  return { statuses, qty: merged[1].items?.[0].qty, problem: refused[1].type };
}
"""


def test_a_front_end_of_an_origin_that_is_let_in_has_a_cart_before_log_in(
    opened: Open, house: House, make_listing: MakeListing
) -> None:
    page = opened("127.0.0.1", [])
    given = {
        "api": house.url,
        "listing": str(make_listing()["id"]),
        "token": customer_token(uuid4(), {"JWT_SECRET": JWT_SECRET}),
        "key": str(uuid4()),
    }

    found = page.evaluate(AS_A_GUEST, given)

    assert found == {
        "statuses": [201, 201, 201, 200, 200, 401],
        "qty": 2,
        "problem": "/problems/invalid-cart-token",
    }


def test_it_reads_what_is_open_to_all_and_problems_but_never_with_cookies(opened: Open) -> None:
    complaints: list[str] = []
    page = opened("127.0.0.1", complaints)
    press(page, "read", "read 3.1.0")
    press(page, "too-large", "/problems/too-large")
    assert not [text for text in complaints if "CORS" in text]
    press(page, "with-cookies", "blocked: TypeError")
    assert "Access-Control-Allow-Credentials" in complaints[-2] + complaints[-1]


def test_a_front_end_of_another_origin_is_blocked_and_nothing_is_done(opened: Open, sql: Sql) -> None:
    complaints: list[str] = []
    page = opened("localhost", complaints)
    press(page, "read", "blocked: TypeError")
    press(page, "buy", "blocked: TypeError")
    blocked = [text for text in complaints if "has been blocked by CORS policy" in text]
    assert len(blocked) == 2
    assert all("No 'Access-Control-Allow-Origin' header" in text for text in blocked)
    assert "Response to preflight request" in blocked[1]
    assert sql("SELECT count(*) FROM cart_items")[0][0] == 0
    assert page.locator("#log li").count() == 0
