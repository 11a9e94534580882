"""Who comes into Flower, and what all that it answers carries: nothing of it is open but the health check.

Flower compares passwords for its pages and its API, but not for its metrics, as often as anybody likes, and fails on
one beyond ASCII. So each of its handlers asks here first.
"""

from __future__ import annotations

import json
from base64 import b64decode
from math import ceil
from pkgutil import resolve_name
from typing import Any, Final

from flower.views import BaseHandler
from flower.views.auth import LoginHandler
from flower.views.error import NotFoundErrorHandler
from tornado.options import options
from tornado.web import HTTPError, RequestHandler, StaticFileHandler

from checkout_service.api.forwarded import Addresses
from checkout_service.api.page_headers import page_headers
from checkout_service.identity.passwords import Passwords, PausedError, WrongPasswordError

# Flower's pages have scripts and styles in them.
POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS: Final = page_headers(POLICY)

PAUSED: Final = {
    "type": "/problems/too-many-wrong-passwords",
    "title": "Too many wrong passwords",
    "status": 429,
    "detail": "Too many wrong passwords came from where you are: wait for as long as Retry-After says.",
}
"""As the console answers it (RFC 9457); its description is at the web tier."""

PASSWORDS: Final = "checkout_passwords"
ADDRESSES: Final = "checkout_addresses"


class Secured(RequestHandler):
    """Carries the headers of a page in every answer, errors too."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        for name, value in HEADERS.items():
            self.set_header(name, value)
        if not isinstance(self, StaticFileHandler):
            self.set_header("Cache-Control", "no-store")


class Guarded(Secured):
    """Lets in whoever has a password."""

    operator = ""
    """Who that is."""

    def prepare(self) -> Any:
        user, password = _sent(self.request.headers.get("Authorization", ""))
        if not user:
            raise HTTPError(401)
        passwords: Passwords = self.settings[PASSWORDS]
        try:
            passwords.check(user, password, address=self._address())
        except WrongPasswordError:
            raise HTTPError(401) from None
        except PausedError as error:
            self._paused_for = error.seconds
            raise HTTPError(429) from None
        self.operator = user
        return super().prepare()

    def get_current_user(self) -> Any:
        # Where Flower's OAuth is set besides, it has to be passed too.
        return super().get_current_user() if options.auth else self.operator

    def write_error(self, status_code: int, **described: Any) -> None:
        if status_code not in {401, 429}:
            super().write_error(status_code, **described)
            return
        if status_code == 401:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            # Also where a machine asks: a browser that came straight to a task's page sends no password without it.
            self.set_header("WWW-Authenticate", 'Basic realm="flower", charset="UTF-8"')
            self.finish("Access denied")
            return
        self.set_header("Retry-After", str(ceil(self._paused_for)))
        self.set_header("Content-Type", "application/problem+json")
        self.finish(json.dumps(PAUSED))

    _paused_for = 0.0

    def _address(self) -> str | None:
        """The caller's, as the web tier knows it: what Flower's ``xheaders`` makes of headers, anybody can choose."""
        connection: Any = self.request.connection
        nearest = connection.context.address
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.request.headers.items()}
        # A unix socket has no address.
        environ["REMOTE_ADDR"] = str(nearest[0]) if isinstance(nearest, tuple) else ""
        addresses: Addresses = self.settings[ADDRESSES]
        return addresses.presumed(environ)


class HealthCheck(Secured, BaseHandler):  # type: ignore[misc]  # Flower has no types
    """Whether Flower answers, for whoever probes it: open, so it says nothing else."""

    def get(self) -> None:
        self.finish()


class Login(LoginHandler):  # type: ignore[misc]  # Flower has no types
    """Flower's own, which makes a handler of another class: that of OAuth where it is set, else not found."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        handler = resolve_name(options.auth_provider) if options.auth_provider else NotFoundErrorHandler
        return guarded(handler)(*arguments, **named)


def guarded(handler: type[RequestHandler]) -> type[RequestHandler]:
    """The same handler, behind the password."""
    return type(handler.__name__, (Guarded, handler), {})


def _sent(authorization: str) -> tuple[str, str]:
    """User and password of Basic (RFC 7617); nobody where none are sent, or none that can be read."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = b64decode(credentials.strip(), validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password
