"""OpenID providers for tests: npm's oidc-provider as a process, and one of our own that does whatever it is told."""

from __future__ import annotations

import html
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from flask.testing import FlaskClient
from jwt.algorithms import ECAlgorithm
from werkzeug.test import TestResponse

from checkout_service.local.servers import free_port
from checkout_service.settings.operators import OidcSettings
from checkout_service.settings.secret import Secret
from tests.conftest import ROOT
from tests.in_node import PACKAGES, find_node

CONSOLE: Final = "http://127.0.0.1:8000/ops"
CLIENT: Final = ("the-console", "a-client-secret:with+/%and=")
CALLBACK: Final = "/ops/sign-in/callback"
WITH_PAGE: Final = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def oidc_settings(issuer: str, **changes: Any) -> OidcSettings:
    """Those of a console that has this issuer."""
    return OidcSettings(
        **{
            "issuer": issuer,
            "client_id": CLIENT[0],
            "client_secret": Secret(CLIENT[1]),
            "console_url": CONSOLE,
            **changes,
        }
    )


@contextmanager
def openid_provider(console: str = CONSOLE, **given: Any) -> Iterator[str]:
    """The issuer's address of an oidc-provider in a process of its own. Skips where it is not installed."""
    node = find_node("oidc-provider")
    port = free_port()
    settings = {
        "port": port,
        "client_id": CLIENT[0],
        "client_secret": CLIENT[1],
        "client_authentication": "client_secret_basic",
        "redirect_uri": f"{console}/sign-in/callback",
        "signed_out_uri": f"{console}/sign-in",
        "claims_apart": True,
        **given,
    }
    command = [node, str(ROOT / "tests" / "node" / "openid_provider.mjs"), str(PACKAGES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(settings))
        process.stdin.close()
        try:
            assert process.stdout.readline() == "listens\n"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


class Person:
    """Somebody with a browser: the console by a test client, the provider by HTTP."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        # Each connection is closed with its answer: nobody closes the client.
        self.provider = httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.client.get(path, headers=WITH_PAGE, **kwargs)

    def begin(self, path: str = "/ops") -> str:
        """Open a page of the console without being signed in; the provider's address that it leads to."""
        led = self.get(path)
        assert (led.status_code, led.headers["Location"].partition("?")[0]) == (303, "/ops/sign-in")
        page = self.get(led.headers["Location"])
        assert page.status_code == 200
        (begin,) = re.findall(r'href="(/ops/sign-in/begin[^"]*)"', page.text)
        left = self.get(html.unescape(begin))
        assert left.status_code == 303, left.text
        return left.headers["Location"]

    def at_provider(self, address: str, user: str) -> str:
        """Sign in there as this user and consent; the address that the browser is sent back to."""
        for _ in range(12):
            answer = self.provider.get(address)
            if answer.status_code == 200:
                (form,) = re.findall(r'action="([^"]+)"', answer.text)
                (prompt,) = re.findall(r'name="prompt" value="([^"]+)"', answer.text)
                typed = {"login": user, "password": "any"} if prompt == "login" else {}
                answer = self.provider.post(urljoin(address, html.unescape(form)), data={"prompt": prompt, **typed})
            assert answer.status_code == 303, answer.text
            address = urljoin(address, answer.headers["Location"])
            if address.startswith(CONSOLE):
                return address
        raise AssertionError("the provider sends the browser in a circle")

    def come_back(self, address: str) -> TestResponse:
        parts = urlsplit(address)
        return self.get(f"{parts.path}?{parts.query}")

    def sign_in(self, user: str, path: str = "/ops") -> TestResponse:
        return self.come_back(self.at_provider(self.begin(path), user))


class HostileProvider:
    """Signs what it is told to: each test changes one thing of an answer that would be right."""

    def __init__(self) -> None:
        self.key = generate_private_key(SECP256R1())
        self.kid: str | None = "one"
        self.more_keys: list[dict[str, Any]] = []
        """Published beside the own one."""
        self.discovery: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.user: dict[str, Any] | None = None
        self.nonce = ""
        self.token: str | None = None
        """Sent as the ID token, whatever the claims are."""
        self.answers: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        """By path: sent in place of what is right."""
        self.pause = 0.0
        self.calls: list[tuple[str, dict[str, str], dict[str, str]]] = []
        """Path, headers, form of what came."""
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())
                fields = {name: values[0] for name, values in form.items()}
                hostile.calls.append((self.path, dict(self.headers.items()), fields))
                status, body, headers = hostile.answers.get(self.path) or (200, hostile.right(self.path), {})
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):
                    for start in range(0, len(body), 64 if hostile.pause else len(body) or 1):
                        self.wfile.write(body[start : start + (64 if hostile.pause else len(body))])
                        time.sleep(hostile.pause)

            do_POST = do_GET  # noqa: N815 (the name that http.server looks for)

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"

    def right(self, path: str) -> bytes:
        """What a provider would answer, but for what the test changed."""
        if path == "/token":
            return json.dumps({"access_token": "opaque", "token_type": "Bearer", "id_token": self.id_token()}).encode()
        if path == "/jwks":
            key = ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            named = {} if self.kid is None else {"kid": self.kid}
            return json.dumps({"keys": [{**key, **named, "use": "sig", "alg": "ES256"}, *self.more_keys]}).encode()
        if path == "/me":
            return json.dumps(self.user or {}).encode()
        return json.dumps(self.described()).encode()

    def described(self) -> dict[str, Any]:
        places = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "jwks"}
        found = {"issuer": self.issuer} | {name: f"{self.issuer}/{path}" for name, path in places.items()}
        if self.user is not None:
            found["userinfo_endpoint"] = f"{self.issuer}/me"
        return found | self.discovery

    def id_token(self) -> str:
        if self.token is not None:
            return self.token
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT[0], "sub": "mira", "iat": now, "exp": now + 60}
        claims |= {"nonce": self.nonce, "roles": ["operator"], "name": "Mira"} | self.claims
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, self.key, "ES256", headers={} if self.kid is None else {"kid": self.kid})

    def go_away(self) -> None:
        """Nothing listens any more."""
        self._server.shutdown()
        self._server.server_close()


def begin(client: FlaskClient) -> dict[str, str]:
    """What the browser takes along to the provider."""
    left = client.get("/ops/sign-in/begin?next=/ops/audit", headers=WITH_PAGE)
    assert left.status_code == 303, left.text
    return {name: values[0] for name, values in parse_qs(urlsplit(left.headers["Location"]).query).items()}


def come_back(client: FlaskClient, hostile: HostileProvider, **sent: str) -> TestResponse:
    taken = begin(client)
    hostile.nonce = hostile.nonce or taken["nonce"]
    return client.get(CALLBACK, query_string={"code": "c", "state": taken["state"], **sent}, headers=WITH_PAGE)


def refused(answer: TestResponse, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert "__Host-console=" not in str(answer.headers.getlist("Set-Cookie"))
    assert "You are not signed in" in answer.text
    for word in words:
        assert word in answer.text
