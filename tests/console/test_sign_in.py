"""People sign in at an OpenID provider: npm's oidc-provider, in a process of its own."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from flask import Flask

from checkout_service.api.callers import how_known, is_public
from checkout_service.console.access import identify, identify_whoever
from checkout_service.settings.operators import Role
from checkout_service.settings.values import WebSettings
from tests.apps import MakeApp, make_app
from tests.conftest import Sql
from tests.console.conftest import basic, console_settings
from tests.console.openid import CONSOLE, WITH_PAGE, Person, oidc_settings, openid_provider
from tests.console.test_access import routes
from tests.webhook_bodies import insert_payment, insert_webhook

__all__ = ["make_app"]  # fixtures


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with openid_provider() as issuer:
        yield issuer


@pytest.fixture
def app(make_app: MakeApp, settings: WebSettings, issuer: str) -> Flask:
    users = console_settings(settings).console_users
    roles = {"jon": Role.VIEWER, "oidc:viewer.promoted": Role.REFUNDER}
    return make_app(console=True, console_users=users, console_oidc=oidc_settings(issuer), console_roles=roles)


@pytest.fixture
def person(app: Flask) -> Person:
    return Person(app.test_client())


def paid(sql: Sql) -> UUID:
    reference = insert_payment(sql, status="paid")
    (row,) = sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)
    payment_id: UUID = row.id
    return payment_id


def cookies(answer: Any) -> dict[str, str]:
    return {cookie.partition("=")[0]: cookie for cookie in answer.headers.getlist("Set-Cookie")}


def fields_of(page: Any, action: str) -> dict[str, str]:
    found = re.search(rf'<form method="post" action="{re.escape(action)}">(.*?)</form>', page.text, re.S)
    assert found, page.text
    return {
        name: html.unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', found[1])
    }


def test_from_a_page_to_the_provider_and_back_to_the_page(person: Person, sql: Sql) -> None:
    answer = person.sign_in("operator.ana", "/ops/webhooks?state=failed&find=a%20b")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/ops/webhooks?state=failed&find=a%20b")
    cookie = cookies(answer)["__Host-console"]
    assert re.search("; Secure; HttpOnly; Path=/; SameSite=Lax$", cookie), cookie
    assert "Max-Age=28800;" in cookie
    assert "Domain" not in cookie
    assert len(cookie) < 1000
    page = person.get("/ops/webhooks")
    assert "oidc:operator.ana (Ana operator.ana)" in page.text
    assert sql("SELECT operator, action, details FROM audit") == [
        ("oidc:operator.ana (Ana operator.ana)", "sign_in", {"role": "operator"})
    ]


def test_what_is_sent_to_the_provider_is_bound_to_this_attempt(person: Person) -> None:
    first, second = (parse_qs(urlsplit(person.begin()).query) for _ in range(2))
    assert first["redirect_uri"] == [f"{CONSOLE}/sign-in/callback"]
    assert first["code_challenge_method"] == ["S256"]
    assert first["scope"] == ["openid profile email"]
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name][0]) >= 43
        assert first[name] != second[name]


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("way", ["client_secret_basic", "client_secret_post"])
def test_either_way_of_the_client_and_of_the_claims(
    make_app: MakeApp, settings: WebSettings, way: str, apart: bool
) -> None:
    with openid_provider(client_authentication=way, claims_apart=apart) as issuer:
        app = make_app(console=True, console_oidc=oidc_settings(issuer))
        person = Person(app.test_client())
        assert person.sign_in("refunder.ana").status_code == 303
        assert "refunder" in person.get("/ops").text


def test_two_tabs_at_once_both_sign_in(person: Person) -> None:
    one, other = person.begin("/ops/audit"), person.begin("/ops/orders")
    back_of_one, back_of_other = (person.at_provider(address, "viewer.ana") for address in (one, other))
    assert person.come_back(back_of_other).headers["Location"] == "/ops/orders"
    assert person.come_back(back_of_one).headers["Location"] == "/ops/audit"


def test_a_code_counts_once(person: Person, app: Flask) -> None:
    back = person.at_provider(person.begin(), "operator.ana")
    assert person.come_back(back).status_code == 303
    person.client.delete_cookie("__Host-console", domain="localhost")

    again = person.come_back(back)

    assert again.status_code == 403
    assert "too old, or was used" in again.text
    assert "__Host-console" not in cookies(again)
    assert person.get("/ops").status_code == 303


def test_another_browser_is_not_signed_in_by_a_link(person: Person, app: Flask, sql: Sql) -> None:
    """Else somebody would work under the name of whoever sent the link (login CSRF)."""
    back = person.at_provider(person.begin(), "operator.mallory")
    victim = Person(app.test_client())
    for _ in range(2):  # without the cookie, then with one of its own
        answer = victim.come_back(back)
        assert answer.status_code == 400
        assert "This browser did not begin that sign-in" in answer.text
        assert "__Host-console" not in cookies(answer)
    assert sql("SELECT count(*) FROM audit")[0].count == 0
    assert person.come_back(back).status_code == 303, "in its own it counts still"


def test_a_code_of_another_attempt_is_refused(person: Person, app: Flask) -> None:
    """It is bound to the verifier of the attempt that it was asked for in (RFC 7636)."""
    mallory = Person(app.test_client())
    stolen = parse_qs(urlsplit(mallory.at_provider(mallory.begin(), "refunder.mallory")).query)
    mine = parse_qs(urlsplit(person.begin()).query)

    answer = person.get(
        "/ops/sign-in/callback",
        query_string={"code": stolen["code"][0], "iss": stolen["iss"][0], "state": mine["state"][0]},
    )

    assert answer.status_code == 403
    assert "__Host-console" not in cookies(answer)


@pytest.mark.parametrize("role", ["viewer", "operator", "refunder"])
def test_a_role_opens_its_commands_and_no_other(person: Person, sql: Sql, role: str) -> None:
    person.sign_in(f"{role}.ana")
    payment_id, webhook = paid(sql), insert_webhook(sql, b"{}", state="'failed'")
    looks, gives = role != "viewer", role == "refunder"
    page, other = person.get(f"/ops/payments/{payment_id}"), person.get(f"/ops/webhooks/{webhook}")
    assert (f"/ops/payments/{payment_id}/look-up" in page.text) is looks
    assert (f"/ops/payments/{payment_id}/refund" in page.text) is gives
    assert (f"/ops/webhooks/{webhook}/process" in other.text) is looks
    csrf = fields_of(page, "/ops/sign-out")["csrf"]
    form = {"csrf": csrf, "why": "a test"}
    same = {**WITH_PAGE, "Origin": "http://127.0.0.1:8000"}
    for number, (path, may) in enumerate(
        [
            (f"/ops/payments/{payment_id}/look-up", looks),
            (f"/ops/webhooks/{webhook}/process", looks),
            (f"/ops/payments/{payment_id}/refund", gives),
        ]
    ):
        sent = person.client.post(path, data=form | {"key": str(UUID(int=number + 1))}, headers=same)
        assert sent.status_code == (303 if may else 403), (path, sent.text)
        if not may:
            assert "Your role does not allow this" in sent.text
            assert 'href="/ops/sign-out"' in sent.text
            document = person.client.post(path, data=form, headers={"Origin": "http://127.0.0.1:8000"})
            assert document.json["type"] == "/problems/role-missing"
            assert document.json["role"] == ("refunder" if "refund" in path else "operator")
    assert sql("SELECT count(*) FROM refunds")[0].count == gives
    assert sql("SELECT count(*) FROM audit WHERE action <> 'sign_in'")[0].count == 2 * looks + gives


def test_a_refund_has_the_name_of_its_requester_in_the_audit(person: Person, sql: Sql) -> None:
    person.sign_in("refunder.ana")
    payment_id = paid(sql)
    # As long after the sign-in as one likes: its own row is on another page.
    sql(
        "INSERT INTO audit (key, door, operator, action, subject, why) "
        "SELECT gen_random_uuid(), 'cli', 'x', 'stop', '', '' FROM generate_series(1, 60)"
    )
    path = f"/ops/payments/{payment_id}/refund"
    form = fields_of(person.get(path), path) | {"why": "broken"}
    headers = {**WITH_PAGE, "Sec-Fetch-Site": "same-origin"}
    assert person.client.post(path, data=form, headers=headers).status_code == 303

    page = person.get("/ops/audit")

    (row,) = re.findall(r"<tr>(?:(?!</tr>).)*give money back.*?</tr>", page.text, re.S)
    assert "oidc:refunder.ana (Ana refunder.ana)" in row
    assert "sign in at the console" not in page.text


def test_who_has_no_role_reads_who_they_are_and_how_to_leave(person: Person, sql: Sql) -> None:
    assert person.sign_in("customer.ana").status_code == 303
    page = person.get("/ops")
    assert page.status_code == 403
    assert "You are at the console as oidc:customer.ana (Ana customer.ana), with no role" in page.text
    assert sql("SELECT count(*) FROM audit")[0].count == 0, "and no stranger fills the audit"
    leaving = person.get("/ops/sign-out")
    assert leaving.status_code == 200
    assert "with no role" in leaving.text


def test_a_role_of_the_settings_counts_with_the_next_request(person: Person) -> None:
    person.sign_in("viewer.promoted")
    assert ", refunder; what you have done" in person.get("/ops").text


def test_signed_out_is_signed_out_and_the_provider_can_be_left_too(person: Person) -> None:
    person.sign_in("operator.ana")
    form = fields_of(person.get("/ops"), "/ops/sign-out")
    headers = {**WITH_PAGE, "Origin": "http://127.0.0.1:8000"}

    answer = person.client.post("/ops/sign-out", data=form, headers=headers)

    assert answer.status_code == 200
    assert "Max-Age=0" in cookies(answer)["__Host-console"]
    assert person.get("/ops").status_code == 303
    (address,) = re.findall(r'href="(http://127.0.0.1:\d+/session/end[^"]+)"', answer.text)
    at_provider = person.provider.get(html.unescape(address))
    assert at_provider.status_code == 200
    assert "sign-out" in at_provider.text, "it takes our address to come back to"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:8001"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_form_of_another_site_does_nothing(person: Person, sql: Sql, headers: dict[str, str]) -> None:
    """Even with the right token: a browser sends the cookie by itself."""
    person.sign_in("operator.ana")
    webhook = insert_webhook(sql, b"{}", state="'failed'")
    form = fields_of(person.get(f"/ops/webhooks/{webhook}"), f"/ops/webhooks/{webhook}/process")
    path = f"/ops/webhooks/{webhook}/process"

    sent = person.client.post(path, data=form, headers={**WITH_PAGE, **headers})

    assert sent.status_code == 403
    assert "This form has expired" in sent.text
    wrong = {**WITH_PAGE, "Origin": "http://127.0.0.1:8000"}
    assert person.client.post(path, data=form | {"csrf": "0" * 64}, headers=wrong).status_code == 403
    assert sql("SELECT count(*) FROM audit WHERE action <> 'sign_in'")[0].count == 0


def test_passwords_go_on_beside_it_each_with_its_role(app: Flask, sql: Sql) -> None:
    client, webhook = app.test_client(), insert_webhook(sql, b"{}", state="'failed'")
    jon = basic("jon", "another password, for another one")
    assert "mira" in client.get("/ops", headers={**WITH_PAGE, **basic()}).text
    page = client.get(f"/ops/webhooks/{webhook}", headers={**WITH_PAGE, **jon})
    assert (page.status_code, "/process" in page.text, "Sign out" in page.text) == (200, False, False)
    refused = client.post(f"/ops/webhooks/{webhook}/process", headers=jon)
    assert (refused.status_code, refused.json["type"]) == (403, "/problems/role-missing")
    assert "sign_out" not in refused.json


def test_a_browser_prompts_for_a_password_only_where_it_is_chosen(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/ops/orders", headers=WITH_PAGE).status_code == 303
    prompted = client.get("/ops?sign-in=password", headers=WITH_PAGE)
    assert (prompted.status_code, prompted.headers["WWW-Authenticate"].split()[0]) == (401, "Basic")
    page = client.get("/ops/sign-in", headers=WITH_PAGE)
    assert 'href="/ops?sign-in=password"' in page.text
    sent = client.post("/ops/sign-out", headers=WITH_PAGE)
    assert (sent.status_code, sent.headers["WWW-Authenticate"].split()[0]) == (401, "Bearer")
    program = client.get("/ops")
    assert (program.status_code, program.headers["WWW-Authenticate"].split()[0]) == (401, "Basic")


def test_only_the_three_routes_to_sign_in_are_open(app: Flask) -> None:
    found = list(routes(app))
    opened = {endpoint for endpoint, *_ in found if is_public(app, endpoint)}
    assert opened == {f"console_sign_in.{name}" for name in ("choose", "begin", "finish")}
    for endpoint, method, path in found:
        if endpoint in opened:
            continue
        leaves = endpoint in {"console_sign_in.leave", "console_sign_in.close"}
        assert how_known(app, endpoint) is (identify_whoever if leaves else identify)
        for cookie in ("", "eyJzdWIiOiJhIn0.AAAA", "x" * 5000):
            headers = {"Cookie": f"__Host-console={cookie}"}
            assert app.test_client().open(path, method=method, headers=headers).status_code == 401, path


def test_a_cookie_is_nobody_s_once_it_is_old_or_of_another_issuer(
    make_app: MakeApp, app: Flask, person: Person, issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.sign_in("operator.ana")
    cookie = person.client.get_cookie("__Host-console")
    assert cookie

    def status(other: Flask) -> int:
        client = other.test_client()
        client.set_cookie("__Host-console", cookie.value)
        return client.get("/ops/audit").status_code

    assert status(make_app(console=True, console_oidc=oidc_settings(issuer))) == 200, "another process"
    assert status(make_app(console=True, console_oidc=oidc_settings(f"{issuer}/"))) == 401
    assert status(make_app(console=True, console_oidc=oidc_settings(issuer, client_id="other"))) == 401
    assert status(make_app(console=True)) == 401
    now = __import__("time").time()
    for seconds, found in ((8 * 3600 - 5, 200), (8 * 3600 + 5, 401), (-30, 200), (-90, 401)):
        monkeypatch.setattr("checkout_service.console.sessions.time", lambda seconds=seconds: now + seconds)
        assert status(app) == found, seconds
