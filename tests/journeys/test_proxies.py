"""The proxies of deploy/ in front of a running service: what they hand on, and what stops at them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.journeys.conftest import Town
from tests.journeys.proxies import PROXIES, looking_glass, proxy
from tests.journeys.test_raw_requests import Answer, read_answer

NEIGHBOUR: Final = b"theme=caf\xc3\xa9"
"""As an application beside ours may set it; browsers send what they were given."""


@pytest.fixture(scope="module", params=PROXIES)
def glass(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a proxy behind which everything that it hands on is seen."""
    with looking_glass() as upstream, proxy(request.param, tmp_path_factory.mktemp("glass"), upstream=upstream) as port:
        yield port


def send(port: int, *lines: bytes, path: bytes = b"/", method: bytes = b"GET") -> Answer:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        head = [method + b" " + path + b" HTTP/1.1", b"Host: 127.0.0.1:%d" % port, *lines]
        connection.sendall(b"\r\n".join(head) + b"\r\n\r\n")
        return read_answer(connection)


def handed_on(port: int, *lines: bytes, **more: Any) -> dict[str, list[str]]:
    """The headers that arrive behind the proxy, by their names in lower case."""
    seen: dict[str, list[str]] = {}
    for name, value in json.loads(send(port, *lines, **more).body)["headers"]:
        seen.setdefault(name.lower(), []).append(value)
    return seen


@pytest.mark.parametrize(
    "lines",
    [
        [b"Cookie: guest=mine.sig-1_; " + NEIGHBOUR],
        [b"Cookie: " + NEIGHBOUR + b"; guest=mine.sig-1_"],
        [b"Cookie: other=1; guest=mine.sig-1_; guests=2"],
        [b"Cookie: " + NEIGHBOUR, b"Cookie: guest=mine.sig-1_"],
    ],
)
def test_our_cookie_alone_goes_on(glass: int, lines: list[bytes]) -> None:
    assert handed_on(glass, *lines)["cookie"] == ["guest=mine.sig-1_"]


GUEST, CONSOLE, SIGN_IN = b"guest=mine.sig-1_", b"__Host-console=eyJ9.AB_c-d", b"__Host-console-sign-in=Zm9v_-"


@pytest.mark.parametrize(
    "ours", [[GUEST, CONSOLE, SIGN_IN], [CONSOLE], [SIGN_IN], [GUEST, CONSOLE], [GUEST, SIGN_IN], [CONSOLE, SIGN_IN]]
)
@pytest.mark.parametrize("apart", [True, False])
def test_the_console_s_cookies_go_on_beside_it(glass: int, ours: list[bytes], apart: bool) -> None:
    sent = [
        b"theme=dark",
        *reversed(ours),
        NEIGHBOUR,
        b"x__Host-console=no",
        b"__Host-consoles=no",
        b"a=b,__Host-console=no",
    ]
    lines = [b"Cookie: " + each for each in sent] if apart else [b"Cookie: " + b"; ".join(sent)]
    # Caddy hands each on in a header of its own; the web process joins them by semicolons, as HTTP/2 would have it.
    assert "; ".join(handed_on(glass, *lines)["cookie"]) == b"; ".join(ours).decode()


@pytest.mark.parametrize("lines", [[], [b"Cookie: " + NEIGHBOUR], [b"Cookie: xguest=1; guests=2"]])
def test_without_our_cookie_none_goes_on(glass: int, lines: list[bytes]) -> None:
    assert "cookie" not in handed_on(glass, *lines)


@pytest.mark.parametrize("name", [b"X-Forwarded-For", b"X_Forwarded_For", b"X_FORWARDED_FOR"])
def test_nobody_chooses_their_own_address(glass: int, name: bytes) -> None:
    seen = handed_on(glass, name + b": 203.0.113.9", b"X-Real-IP: 203.0.113.9", b"Forwarded: for=203.0.113.9")
    assert seen["x-forwarded-for"] == ["127.0.0.1"]
    assert seen["x-forwarded-proto"] == ["http"]
    assert "203.0.113.9" not in str(seen)
    assert not any("_" in header for header in seen)


def test_what_is_for_those_who_run_it_stops_there(glass: int) -> None:
    for path in (b"/metrics", b"/livez", b"/readyz"):
        assert send(glass, path=path).status == 404
    assert send(glass, path=b"/cart").status == 200


def test_a_body_is_bounded_and_whole(glass: int) -> None:
    url = f"http://127.0.0.1:{glass}/api/payments/webhook"
    assert httpx.post(url, content=b" " * 256 * 1024, timeout=60).json()["length"] == 256 * 1024
    answer = httpx.post(url, content=b" " * (256 * 1024 + 1), timeout=60)
    assert answer.status_code in {413, 502}  # Caddy 2.6 says 502 of a body that it would not read to its end


def test_a_neighbours_cookie_hides_ours_without_a_proxy_and_the_page_says_so(town: Town) -> None:
    port = town.web.base_url.port
    assert port is not None
    ours = _new_guest(port)
    for lines in ([b"Cookie: " + ours + b"; " + NEIGHBOUR], [b"Cookie: " + NEIGHBOUR, b"Cookie: other=1"]):
        answer = send(port, *lines, b"Accept: text/html", path=b"/cart")
        assert answer.status == 400
        assert b"A cookie of this site cannot be read" in answer.body
        assert "set-cookie" not in answer.headers
    assert send(port, b"Cookie: " + NEIGHBOUR, b"Cookie: " + ours, path=b"/cart").status == 200


@pytest.mark.parametrize("name", PROXIES)
def test_behind_a_proxy_a_neighbours_cookie_hides_nothing(town: Town, tmp_path: Path, name: str) -> None:
    upstream = town.web.base_url.port
    assert upstream is not None
    with proxy(name, tmp_path, upstream=upstream) as port:
        ours = _new_guest(port)
        answer = send(port, b"Cookie: " + NEIGHBOUR + b"; " + ours, path=b"/cart")
        assert answer.status == 200
        assert "set-cookie" not in answer.headers, "it is the same guest"
        webhook = httpx.post(f"http://127.0.0.1:{port}/api/payments/webhook", json={"a": 1}, timeout=60)
        assert webhook.status_code == 202


@pytest.mark.parametrize(
    ("caller", "same", "other"),
    [("192.0.2.1", "192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::a:b:c:d", "2001:db8:0:1::1")],
)
def test_nginx_counts_connections_by_address(tmp_path: Path, town: Town, caller: str, same: str, other: str) -> None:
    """Of IPv6 by its /64: whoever has one address of it has all."""
    upstream = town.web.base_url.port
    assert upstream is not None
    slow = [b"POST /api/cart/items HTTP/1.1", b"Host: shop.test", b"Content-Length: 10", _played(caller), b"", b""]
    with ExitStack() as stack:
        port = stack.enter_context(proxy("nginx", tmp_path, upstream=upstream))
        for _ in range(100):
            sender = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            sender.sendall(b"\r\n".join(slow))
        assert send(port, _played(same), path=b"/api/cart").status == 429
        assert send(port, _played(other), path=b"/api/cart").status == 401, "others are served"
        url, headers = f"http://127.0.0.1:{port}/api/payments/webhook", {"X-Played-Address": same}
        assert httpx.post(url, json={"a": 1}, headers=headers, timeout=60).status_code == 202, "providers have more"


def _played(address: str) -> bytes:
    """Has nginx take this address for the caller's."""
    return b"X-Played-Address: " + address.encode()


def _new_guest(port: int) -> bytes:
    """The cookie of a guest who comes for the first time."""
    cookie = send(port, path=b"/cart").headers["set-cookie"]
    return cookie.partition(";")[0].encode()
