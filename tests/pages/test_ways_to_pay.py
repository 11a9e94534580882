"""The shop's own pages lead to each provider's page, or say what would stand in its place."""

from __future__ import annotations

import html
from dataclasses import replace
from uuid import UUID

import httpx
import pytest

from checkout_service.pages.paying import _way_back
from tests.apps import MakeApp, make_app
from tests.conftest import MakeListing, Sql
from tests.guests import Guest
from tests.providers.contract.test_opening import members_of
from tests.providers.kits.collection import KITS

__all__ = ["make_app"]

REDIRECTING, WITH_COMPONENT = ("adyen", "mollie", "mock"), ("paypal", "stripe")


class Shop:
    """A guest in a shop with one provider, and what that was sent."""

    def __init__(self, make_app: MakeApp, make_listing: MakeListing, name: str) -> None:
        kit, self.requests = KITS[name], list[httpx.Request]()
        bank = kit.bank()

        def answer(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return bank(request)

        app = make_app(pages=True)
        app.extensions["providers"] = {name: kit.provider(answer=answer)}
        self.guest = Guest(app.test_client())
        self.guest.put(make_listing())
        self.location = self.guest.check_out().location


def token_of(sql: Sql) -> str:
    (row,) = sql("SELECT payment_token FROM checkout_sessions")
    token: str = row.payment_token
    return token


@pytest.mark.parametrize("name", REDIRECTING)
def test_a_customer_is_led_to_the_providers_page_and_back_to_this_payment(
    make_app: MakeApp, make_listing: MakeListing, sql: Sql, name: str
) -> None:
    shop = Shop(make_app, make_listing, name)

    token = token_of(sql)
    url = f"http://mock.test/v1/pay/{token}" if name == "mock" else token
    assert shop.location.endswith("/leave")
    assert f'href="{url}"' in html.unescape(shop.guest.get(shop.location).text)
    page = shop.location.removesuffix("/leave")
    shown = html.unescape(shop.guest.get(page).text)
    assert f'id="onward" href="{url}"' in shown
    assert 'id="component"' not in shown
    sent = members_of(shop.requests[-1])
    assert f"http://localhost{page}" in {sent.get("returnUrl"), sent.get("redirectUrl"), sent.get("return_url")}


@pytest.mark.parametrize("name", WITH_COMPONENT)
def test_where_a_component_is_needed_the_page_says_so_and_shows_no_secret(
    make_app: MakeApp, make_listing: MakeListing, sql: Sql, name: str
) -> None:
    shop = Shop(make_app, make_listing, name)

    assert UUID(shop.location.rpartition("/")[2])
    page = shop.guest.get(shop.location)
    assert f"The payment form of {name} would stand here." in page.text
    assert 'id="onward"' not in page.text
    assert token_of(sql) not in page.text
    assert shop.guest.get(f"{shop.location}/leave").status_code == 404


def test_where_no_way_is_known_the_page_says_so(make_app: MakeApp, make_listing: MakeListing, sql: Sql) -> None:
    shop = Shop(make_app, make_listing, "standard")

    page = shop.guest.get(shop.location).text
    assert "These pages know no way to pay at standard." in page
    assert 'id="component"' not in page


@pytest.mark.parametrize("name", [*REDIRECTING, *WITH_COMPONENT, "standard"])
def test_a_payment_that_ended_leads_nowhere(make_app: MakeApp, make_listing: MakeListing, sql: Sql, name: str) -> None:
    shop = Shop(make_app, make_listing, name)
    sql("UPDATE payments SET status = 'canceled'")

    page = shop.guest.get(shop.location.removesuffix("/leave")).text

    assert not any(f'id="{name}"' in page for name in ("onward", "component", "no-way"))
    assert token_of(sql) not in page


@pytest.mark.parametrize(
    ("production", "scheme", "named"), [(True, "https", True), (True, "http", False), (False, "http", True)]
)
def test_nobody_is_led_back_by_plaintext_in_production(
    make_app: MakeApp, production: bool, scheme: str, named: bool
) -> None:
    settings = replace(make_app().extensions["settings"], environment="production" if production else "development")
    with make_app(pages=True).test_request_context("/checkout", base_url=f"{scheme}://shop.example"):
        way = _way_back(settings)
    assert way == (f"{scheme}://shop.example/pay/{{payment_id}}" if named else None)
