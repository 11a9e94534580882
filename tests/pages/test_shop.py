"""The shop over HTTP: who its customers are, what its forms take, and that it adds nothing to the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from uuid import UUID, uuid4

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from checkout_service.api.callers import how_known, is_public
from checkout_service.identity.guests import identify
from checkout_service.oversight.payment_history import FOUND
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp, make_app
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.guests import BROWSER, Guest
from tests.money import bring_to
from tests.purchases import add_older_line
from tests.webhook_bodies import name_in_webhooks

__all__ = ["make_app"]

SOME_ID = "6a1f0c3f-5f0e-4d7c-8f3b-1d2e4c5a6b7d"

VISITED = {
    "shop.show_listings": 5,
    "shop.show_listing": 3,
    "shop.show_cart": 3,
    "shop.put_into_cart": 1,
    "shop.change_line": 1,
    "shop.mend_cart": 2,
    "shop.empty_cart": 1,
    "shop.show_payments": 2,
    "paying.check_out": 4,
    "paying.leave": 2,
    "paying.cancel": 2,
    "paying.show_payment": 19,
    "paying.show_news": 19,
    "your_orders.show_orders": 2,
    "your_orders.show_order": 2,
}
"""Every route whose caller is a cookie's, and how many statements it takes; no more, however long a story is.
Of a GET one of them is to see whether the cookie is a day old."""


MakeGuest = Callable[[], Guest]


@pytest.fixture
def make_guest(shop: Flask, make_listing: MakeListing) -> MakeGuest:
    make_listing(title="Something to see, so that there is a form")
    return lambda: Guest(shop.test_client())


@pytest.fixture
def guest(make_guest: MakeGuest) -> Guest:
    return make_guest()


def bought(guest: Guest, sql: Sql) -> UUID:
    """The order of what is in the guest's cart, as the worker makes it."""
    payment = guest.check_out().location.split("/")[2]
    bring_to(sql, payment, "paid")
    found: UUID = sql("SELECT id FROM orders WHERE payment_id = :id", id=payment)[0].id
    return found


def rows(sql: Sql) -> tuple[int, int, int]:
    """Users, lines of carts, and payments."""
    return tuple(sql(f"SELECT count(*) FROM {table}")[0][0] for table in ("users", "cart_items", "payments"))  # type: ignore[return-value]


def test_the_cookie_opens_the_shops_pages_alone(shop: Flask) -> None:
    rules = list(shop.url_map.iter_rules())
    by_cookie = {rule.endpoint for rule in rules if how_known(shop, rule.endpoint)}
    assert by_cookie == set(VISITED)
    assert {how_known(shop, endpoint) for endpoint in by_cookie} == {identify}
    assert {rule.endpoint for rule in rules if is_public(shop, rule.endpoint)} & by_cookie == set()
    assert not any(rule.rule.startswith("/api/") for rule in rules if rule.endpoint in by_cookie)
    guest = Guest(shop.test_client())
    guest.get("/")
    private = [rule for rule in rules if rule.endpoint not in by_cookie and not is_public(shop, rule.endpoint)]
    assert len(private) >= 7
    for rule in private:
        path = shop.url_map.bind("localhost").build(rule.endpoint, dict.fromkeys(rule.arguments, SOME_ID))
        for method in rule.methods or ():
            assert guest.client.open(path, method=method).status_code == 401, (method, path)


def test_looking_around_leaves_nothing_in_the_database(guest: Guest, sql: Sql) -> None:
    for path in ("/", "/cart", "/payments", "/?q=school"):
        assert guest.get(path).status_code == 200
    assert rows(sql) == (0, 0, 0)


def test_each_browser_is_somebody_of_its_own(make_guest: MakeGuest, make_listing: MakeListing) -> None:
    one, other = make_guest(), make_guest()
    assert one.put(make_listing(title="A globe")).status_code == 303
    payment = one.check_out().location
    assert "A globe" in one.get("/cart").text
    assert "A globe" not in other.get("/cart").text
    for path in (payment, f"{payment}/news"):
        assert one.get(path).status_code == 200
        assert other.get(path).status_code == 404
    assert payment not in other.get("/payments").text


def test_the_cookie_is_signed_and_kept_from_scripts(shop: Flask, guest: Guest) -> None:
    cookie = guest.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    value = cookie.split("=", 1)[1].split(";")[0]
    assert "Set-Cookie" not in guest.get("/").headers, "it is known"
    user, _, signature = value.rpartition(".")
    for unverified in (f"{uuid4()}.{signature}", user, f"{user}.{signature[::-1]}", "", "é", f"{user}."):
        client = shop.test_client()
        client.set_cookie("guest", unverified)
        assert value not in client.get("/", headers=BROWSER).headers["Set-Cookie"]


def test_in_production_the_cookie_goes_over_https_alone(make_app: MakeApp) -> None:
    app = make_app(pages=True, environment="production", payment_providers=())
    cookie = app.test_client().get("/").headers["Set-Cookie"]
    assert cookie.startswith("__Host-guest=")
    assert "Secure" in cookie
    assert "Path=/" in cookie


def test_tokens_from_a_jwks_and_cookies_go_together(make_app: MakeApp, make_listing: MakeListing) -> None:
    make_listing()
    app = make_app(
        pages=True,
        jwt_secret=None,
        jwt_jwks_url="http://127.0.0.1:9/keys",
        jwt_algorithms=("ES256",),
        pages_secret=Secret("of the pages' own"),
    )
    guest = Guest(app.test_client())
    assert guest.put(make_listing()).status_code == 303
    assert guest.check_out().status_code == 303


@pytest.mark.parametrize("path", ["/cart/items", f"/cart/items/{SOME_ID}", "/cart/empty", "/checkout"])
def test_a_form_of_somebody_else_changes_nothing(
    make_guest: MakeGuest, make_listing: MakeListing, sql: Sql, path: str
) -> None:
    guest, stranger = make_guest(), make_guest()
    listing = make_listing()
    guest.put(listing)
    before = rows(sql)
    theirs = re.search(r'name="csrf" value="(\w+)"', stranger.get("/").text)
    assert theirs
    fields = guest.checkout_form() | {"listing": str(listing["id"]), "qty": "5"}
    for token in ({}, {"csrf": theirs[1]}):
        answer = guest.client.post(path, data=fields | token, headers=BROWSER)
        assert answer.status_code == 403
        assert "This form has expired" in answer.text
    assert guest.client.get(path).status_code in {404, 405}
    assert rows(sql) == before
    assert sql("SELECT qty FROM cart_items")[0].qty == 1


def test_forms_sent_twice_do_what_they_do_once(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing()
    for _ in range(2):
        assert guest.put(listing, qty="2").status_code == 303
    assert sql("SELECT qty FROM cart_items")[0].qty == 2
    form = guest.checkout_form()
    led_to = {guest.post("/checkout", **form).location for _ in range(3)}
    assert len(led_to) == 1
    (item,) = sql("SELECT id FROM cart_items")
    for _ in range(2):
        assert guest.post(f"/cart/items/{item.id}", remove="yes").status_code == 303
    assert rows(sql)[1:] == (0, 1)


def test_retries_of_a_checkout_make_one_payment(shop: Flask, guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    guest.put(make_listing())
    token = re.search(r'name="csrf" value="(\w+)"', guest.get("/cart").text)
    assert token
    form = guest.checkout_form() | {"csrf": token[1]}
    cookie = guest.client.get_cookie("guest")
    assert cookie

    def send(_: int) -> str | None:
        client = shop.test_client()
        client.set_cookie("guest", cookie.value)
        return client.post("/checkout", data=form).location

    with ThreadPoolExecutor(3) as threads:
        assert len(set(threads.map(send, range(6)))) == 1
    assert rows(sql)[2] == 1


@pytest.mark.parametrize("qty", ["0", "-1", "", "1.5", "10000", "99999999999", "one", "²"])
def test_a_quantity_that_is_none_is_explained_and_changes_nothing(
    guest: Guest, make_listing: MakeListing, sql: Sql, qty: str
) -> None:
    guest.put(make_listing(), qty="3")
    (item,) = sql("SELECT id FROM cart_items")
    answer = guest.post(f"/cart/items/{item.id}", qty=qty)
    assert answer.status_code == 422
    assert "A quantity is a whole number from 1 to 9999." in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert sql("SELECT qty FROM cart_items")[0].qty == 3


def test_a_total_that_changed_is_shown_before_it_is_paid(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    guest.put(make_listing(unit_price="40.00"))
    form = guest.checkout_form()
    sql("UPDATE listings SET unit_price = 45")
    answer = guest.post("/checkout", **form)
    assert answer.status_code == 409
    assert "The total has changed" in answer.text
    assert "45.00" in answer.text
    assert form["key"] not in answer.text, "what is asked for now is another attempt"
    assert rows(sql)[2] == 0
    assert guest.check_out().status_code == 303


def test_carts_that_cannot_be_paid_say_why(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    empty = guest.post("/checkout", key="k", cart=str(uuid4()), total="1.00")
    assert empty.status_code == 404
    guest.put(make_listing(currency="USD"))
    form = guest.checkout_form()
    add_older_line(sql, make_listing(currency="EUR"))
    assert "several currencies" in guest.get("/cart").text
    assert guest.post("/checkout", **form).status_code == 422
    sql("DELETE FROM cart_items")
    assert "Your cart is empty" in guest.post("/checkout", **form).text
    for broken in ({"total": "1,00"}, {"cart": "mine"}, {"key": ""}, {"key": "two words"}):
        assert guest.post("/checkout", **(form | broken)).status_code in {400, 422}
    assert rows(sql)[2] == 0


def test_a_provider_that_is_away_leaves_the_attempt_as_it_is(make_app: MakeApp, make_listing: MakeListing) -> None:
    away = Account(options={"api_base": Secret("http://127.0.0.1:9")})
    guest = Guest(make_app(pages=True, accounts={"mock": away}).test_client())
    guest.put(make_listing())
    form = guest.checkout_form()
    answer = guest.post("/checkout", **form)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert f'value="{form["key"]}"' in answer.text, "trying again is the same attempt"


def test_listings_are_found_and_paged_and_each_is_seen_once(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    sql("DELETE FROM listings")
    titles = [f"Thing {number}" for number in range(50)]
    for title in titles:
        make_listing(title=title)
    make_listing(title="Gone", active=False)
    make_listing(title="100% wool_scarf")
    seen, path = [], "/"
    while path:
        page = guest.get(path).text
        seen += re.findall(r"<h2><a [^>]+>([^<]+)</a></h2>", page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        path = following[1].replace("&amp;", "&") if following else ""
    assert sorted(seen) == sorted([*titles, "100% wool_scarf"])
    for search, expected in (
        ("thing 4", 11),
        ("%%", 0),
        ("SCARF wool", 1),
        ("\\\\", 0),
        ("northgate", 24),
        ("gone", 0),
        ("t", 0),
    ):
        page = guest.client.get("/", query_string={"q": search}).text
        assert len(re.findall(r'id="listing-', page)) == expected, search
    assert guest.get("/?after=nonsense").status_code == 404
    assert guest.get("/?q=%00&after=").status_code == 422
    assert "two characters" in guest.get("/?q=t").text
    assert guest.get("/payments?cursor=nonsense").status_code == 404


def test_what_strangers_wrote_is_text_and_never_markup(guest: Guest, make_listing: MakeListing) -> None:
    make_listing(title="<script>alert(1)</script>")
    guest.put(make_listing(title='"><img src=x onerror=alert(1)>'))
    for path in ("/", "/cart", "/?q=<script>alert(1)</script>"):
        page = guest.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_news_are_304_while_nothing_is_new(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    guest.put(make_listing())
    payment = guest.check_out().location
    page = guest.get(payment)
    etag = re.search(r'data-etag="W/&#34;(\w+)&#34;"', page.text)
    assert etag, "the page knows what it shows"
    known = {**BROWSER, "If-None-Match": f'W/"{etag[1]}"'}
    unchanged = guest.client.get(f"{payment}/news", headers=known)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    sql("UPDATE payments SET status = 'processing'")
    changed = guest.client.get(f"{payment}/news", headers=known)
    assert changed.status_code == 200
    assert "Your bank is working on it" in changed.text
    assert changed.headers["Cache-Control"] == "private, no-cache"
    assert page.headers["Cache-Control"] == "no-store", "whoever comes back sees the truth"


def test_pages_keep_to_their_statements_however_long_a_timeline_is(
    guest: Guest, make_listing: MakeListing, sql: Sql, statements: Statements
) -> None:
    listings = [make_listing() for _ in range(3)]
    for listing in listings:
        guest.put(listing)
    payment = guest.check_out().location
    sql("""INSERT INTO payment_events (payment_id, provider, event_id, status, outcome)
        SELECT id, 'mock', number::text, 'failed', 'stale' FROM payments, generate_series(1, 20) AS number""")
    order = bought(guest, sql)
    for listing in listings:
        guest.put(listing)
    (item, *_) = sql("SELECT id FROM cart_items ORDER BY id")
    form = guest.checkout_form() | {"key": "fresh"}
    token = re.search(r'name="csrf" value="(\w+)"', guest.get("/").text)
    assert token
    client = guest.client

    def send(path: str, **fields: str) -> TestResponse:
        return client.post(path, data=fields | {"csrf": token[1]})

    requests = {
        "shop.show_listings": lambda: client.get("/?q=algebra"),
        "shop.show_listing": lambda: client.get(f"/listings/{listings[0]['id']}"),
        "shop.show_cart": lambda: client.get("/cart"),
        "shop.put_into_cart": lambda: send("/cart/items", listing=str(listings[0]["id"]), qty="2"),
        "shop.change_line": lambda: send(f"/cart/items/{item.id}", qty="1"),
        "shop.show_payments": lambda: client.get("/payments"),
        "paying.check_out": lambda: send("/checkout", **form),
        "paying.leave": lambda: client.get(f"{payment}/leave"),
        "paying.show_payment": lambda: client.get(payment),
        "paying.show_news": lambda: client.get(f"{payment}/news"),
        "paying.cancel": lambda: send(f"{payment}/cancel"),
        "shop.mend_cart": lambda: send("/cart/mend"),
        "shop.empty_cart": lambda: send("/cart/empty"),
        "your_orders.show_orders": lambda: client.get("/orders"),
        "your_orders.show_order": lambda: client.get(f"/orders/{order}"),
    }
    assert requests.keys() == VISITED.keys()
    for endpoint, request in requests.items():
        with statements() as seen:
            answer = request()
        # The provider of this app has no page to lead to.
        assert (answer.status_code == 404) if endpoint == "paying.leave" else (answer.status_code < 400), answer.text
        assert 0 < len(seen) <= VISITED[endpoint], (endpoint, seen)
    assert sql("SELECT count(*) FROM cart_items")[0][0] == 0


def test_a_payment_that_strangers_name_by_the_thousand_is_a_short_page(
    guest: Guest, make_listing: MakeListing, sql: Sql, statements: Statements
) -> None:
    guest.put(make_listing())
    payment = guest.check_out().location
    before = len(guest.get(payment).data)
    name_in_webhooks(sql, 1200)

    with statements() as seen:
        page = guest.get(payment)

    assert len(seen) <= VISITED["paying.show_payment"]
    keys = re.findall(r'<li data-key="([^"]+)"', page.text)
    assert len(keys) == 50
    assert len(page.data) < before + 50 * 700
    assert len(guest.get(f"{payment}/news").data) < before + 50 * 700
    seen_keys, pages = list(keys), 1
    while link := re.search(r'href="([^"#]+)[^"]*" rel="prev"', page.text):
        page = guest.get(unescape(link[1]))
        keys = re.findall(r'<li data-key="([^"]+)"', page.text)
        assert len(keys) <= 50
        seen_keys, pages = [*keys, *(key for key in seen_keys if key not in keys)], pages + 1
    assert keys[0] == "opened"
    assert len(seen_keys) == 1 + 2 * FOUND
    assert len(set(seen_keys)) == len(seen_keys)
    link = re.search(r'href="([^"#]+)[^"]*" rel="next"', page.text)
    assert link
    assert "until=100" in link[1]
    assert 'rel="next">Later ' in page.text
    assert re.search(rf'data-from="{payment}/news\?until=\d+"', page.text), "it watches the part that it shows"


@pytest.mark.parametrize("until", ["0", "-1", "x", "1e9", "99999999999", "٣", "49", "1000000"])
def test_a_place_in_a_list_that_is_none_shows_some_of_it(guest: Guest, make_listing: MakeListing, until: str) -> None:
    guest.put(make_listing())
    payment = guest.check_out().location
    for path in (payment, f"{payment}/news", "/cart"):
        answer = guest.get(f"{path}?until={until}")
        assert answer.status_code == 200
    assert '<li data-key="opened"' in guest.get(f"{payment}?until={until}").text


def test_a_long_cart_is_shown_in_parts_and_paid_as_a_whole(guest: Guest, make_listing: MakeListing, sql: Sql) -> None:
    guest.put(make_listing())
    sql("""WITH more AS (
            INSERT INTO listings (vendor_id, title, unit_price, currency)
            SELECT vendor_id, 'Book ' || number, 1, 'USD' FROM (SELECT * FROM listings LIMIT 1) AS one,
                generate_series(1, 119) AS number RETURNING id)
        INSERT INTO cart_items (cart_id, listing_id, qty) SELECT carts.id, more.id, 1 FROM carts, more""")

    first = guest.get("/cart").text
    assert first.count('<div class="about">') == 50
    assert "120 lines, of which 50 are shown here" in first
    assert 'value="159.00 USD" dir="auto">$159.00</data>' in first
    assert 'rel="prev"' not in first
    second = guest.get("/cart?until=100").text
    third = guest.get("/cart?until=150").text
    items = [re.findall(r'action="/cart/items/([^"]+)"', page) for page in (first, second, third)]
    assert list(map(len, items)) == [50, 50, 50]  # the last part is as long as the others
    assert len({item for part in items for item in part}) == 120

    changed = guest.post(f"/cart/items/{items[1][0]}", qty="2", until="100")
    assert changed.location == f"/cart?until=100#item-{items[1][0]}"
    wrong = guest.post(f"/cart/items/{items[1][3]}", qty="0")
    assert f'id="fault-{items[1][3]}"' in wrong.text
    payment = guest.check_out().location
    assert "and 70 more" in guest.get(payment).text
    assert guest.get(payment).text.count("<li><span>") == 51


def test_where_the_database_is_away_people_read_a_page(make_app: MakeApp) -> None:
    app = make_app(pages=True, database_url=Secret("postgresql+psycopg://nobody@127.0.0.1:9/none"))
    answer = app.test_client().get("/", headers=BROWSER)
    assert answer.status_code == 503
    assert "The database is unavailable" in answer.text
    assert answer.headers["Retry-After"]
    assert "Content-Security-Policy" in answer.headers


def test_a_customer_with_a_token_and_a_guest_are_two_people(
    shop: Flask, guest: Guest, customer: Customer, make_listing: MakeListing
) -> None:
    guest.put(make_listing(title="A guest's globe"))
    with_token = replace(customer, client=guest.client)
    assert with_token.get("/api/cart").json["items"] == []
    assert "A guest&#39;s globe" in with_token.get("/cart").text


def test_another_sites_form_takes_nobodys_cookie_away(shop: Flask) -> None:
    # A cookie that is Lax does not come along, so the sender looks like somebody new.
    answer = shop.test_client().post("/cart/empty", headers=BROWSER | {"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
