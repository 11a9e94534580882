"""Who calls, by address: whatever a header holds, nobody chooses their own address, and nothing raises."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from flask import request, url_for
from structlog.testing import capture_logs
from werkzeug.test import EnvironBuilder

from checkout_service.api.addresses import caller_address
from checkout_service.api.forwarded import Addresses
from checkout_service.telemetry import request_log
from tests.own_apps import MakeApp, make_app

__all__ = ["make_app"]

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.1/32"))


def found(remote: str | None, sent: str | None = None, **named: Any) -> str | None:
    environ: dict[str, Any] = {} if remote is None else {"REMOTE_ADDR": remote}
    if sent is not None:
        environ["HTTP_X_FORWARDED_FOR"] = sent
    return Addresses(**{"proxies": PROXIES, "header": "X-Forwarded-For", **named}).of(environ)


@pytest.mark.parametrize(
    ("remote", "sent", "address"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        # The right-most that is no proxy: what a caller wrote stands left of what a proxy added.
        ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7, 10.0.0.2,192.0.2.1", "203.0.113.7"),
        ("10.0.0.1", "10.0.0.9, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", ",,,,203.0.113.7", "203.0.113.7"),
        # Somebody who came past the proxy.
        ("203.0.113.8", "198.51.100.1", "203.0.113.8"),
        ("203.0.113.8", None, "203.0.113.8"),
        # Spellings.
        ("10.0.0.1", "203.0.113.7:52814", "203.0.113.7"),
        ("10.0.0.1", "[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::/64"),
        ("10.0.0.1", "[2001:db8:1:2::]", "2001:db8:1:2::/64"),
        ("10.0.0.1", "2001:DB8:0001:0002:ffff::1", "2001:db8:1:2::/64"),
        ("10.0.0.1", '"[2001:db8:1:2::9]"', "2001:db8:1:2::/64"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::/64"),
        ("10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "::ffff:10.0.0.3", "10.0.0.3"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("fd00::1", "2001:db8::1", "2001:db8::/64"),
        # Only proxies: the farthest of them.
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # What cannot be read, a caller may have spoiled: it counts for the nearest that is known.
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "_hidden, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.7,", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7.", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.0/24", "10.0.0.1"),
        ("10.0.0.1", "0x7f.1", "10.0.0.1"),
        ("10.0.0.1", "٢٠٣.0.113.7", "10.0.0.1"),
        ("10.0.0.1", "[", "10.0.0.1"),
        ("10.0.0.1", "[]:1", "10.0.0.1"),
        ("10.0.0.1", ":", "10.0.0.1"),
        ("10.0.0.1", "1" * 10_240, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7" + " " * 10_240, "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1," * 800 + "203.0.113.7", "203.0.113.7"),
        # No chain is as long: what is left of it is not looked at.
        ("10.0.0.1", "203.0.113.7," + ",".join(["10.0.0.2"] * 100), "10.0.0.2"),
        # The server does not know where the connection comes from.
        (None, "203.0.113.7", None),
        ("", "203.0.113.7", None),
        ("unix:", "203.0.113.7", None),
    ],
)
def test_the_right_most_address_that_is_no_proxy_is_the_caller(
    remote: str | None, sent: str | None, address: str | None
) -> None:
    assert found(remote, sent) == address


def test_without_a_proxy_the_header_is_not_read() -> None:
    assert found("203.0.113.8", "198.51.100.1", proxies=()) == "203.0.113.8"
    assert found("10.0.0.1", "198.51.100.1", proxies=()) == "10.0.0.1"


def test_where_no_proxies_are_configured_no_address_is_known_and_that_is_warned_of_once() -> None:
    addresses = Addresses(proxies=None, header="X-Forwarded-For")
    with capture_logs() as logged:
        assert addresses.of({"REMOTE_ADDR": "203.0.113.8"}) is None
        assert logged == []
        for _ in range(3):
            assert addresses.of({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.8"}) is None
    assert [entry["event"] for entry in logged] == ["forwarded_header_not_read"]


def test_a_trusted_proxy_that_sends_no_header_makes_not_all_callers_one_and_is_warned_of_once() -> None:
    addresses = Addresses(proxies=PROXIES, header="X-Real-IP")
    with capture_logs() as logged:
        for _ in range(3):
            assert addresses.of({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.8"}) is None
        assert addresses.of({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_REAL_IP": "203.0.113.8"}) == "203.0.113.8"
    assert [entry["event"] for entry in logged] == ["forwarded_header_missing"]


@pytest.mark.parametrize("key", ["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA", "HTTP_MINE"])
def test_an_address_is_presumed_where_no_proxy_has_a_hand_in_the_request(key: str) -> None:
    unset = Addresses(proxies=None, header="Mine")
    assert unset.presumed({"REMOTE_ADDR": "2001:db8::1"}) == "2001:db8::/64"
    assert unset.presumed({"REMOTE_ADDR": "10.0.0.1", key: ""}) is None
    known = Addresses(proxies=PROXIES, header="X-Forwarded-For")
    assert known.presumed({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.7"}) == "203.0.113.7"


@pytest.mark.parametrize(
    ("remote", "sent", "scheme"),
    [
        ("10.0.0.1", "https", "https"),
        ("10.0.0.1", "http, HTTPS", "https"),
        ("10.0.0.1", "javascript", "http"),
        ("10.0.0.1", "", "http"),
        ("203.0.113.8", "https", "http"),
    ],
)
def test_the_scheme_is_the_one_that_a_trusted_proxy_names(
    make_app: MakeApp, remote: str, sent: str, scheme: str
) -> None:
    app = make_app(trusted_proxies=PROXIES)
    seen: dict[str, str | None] = {}

    @app.before_request
    def look() -> None:
        seen["page"] = url_for("problems.show_kind", slug="invalid", _external=True)
        seen["address"] = caller_address(request.environ)

    headers = {"X-Forwarded-Proto": sent, "X-Forwarded-For": "203.0.113.7"}
    app.test_client().get("/livez", headers=headers, environ_overrides={"REMOTE_ADDR": remote})
    assert str(seen["page"]).startswith(f"{scheme}://")
    assert seen["address"] == ("203.0.113.8" if remote == "203.0.113.8" else "203.0.113.7")


def test_the_server_finds_the_requests_id_whatever_the_proxy_says(make_app: MakeApp) -> None:
    """The server may have to answer in the app's place, and does so under the same id."""
    environ = EnvironBuilder("/livez", headers={"X-Forwarded-Proto": "https"}).get_environ()
    environ["REMOTE_ADDR"] = "10.0.0.1"
    answered: dict[str, str] = {}
    app = make_app(trusted_proxies=PROXIES)
    app.wsgi_app(environ, lambda _status, headers, *_: answered.update(headers))
    assert request_log.begin(environ) == answered["X-Request-Id"]
    assert environ["wsgi.url_scheme"] == "https"


def test_a_guest_who_came_by_https_gets_a_secure_cookie(make_app: MakeApp) -> None:
    client = make_app(trusted_proxies=PROXIES, pages=True).test_client()
    came = {"REMOTE_ADDR": "10.0.0.1"}
    by_https = client.get("/", headers={"X-Forwarded-Proto": "https"}, environ_overrides=came)
    assert "Secure" in by_https.headers["Set-Cookie"]
    by_http = make_app(trusted_proxies=PROXIES, pages=True).test_client().get("/", environ_overrides=came)
    assert "Secure" not in by_http.headers["Set-Cookie"]
