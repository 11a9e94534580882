"""The callers of an app by their addresses, as forwarded.py reads them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

from flask import Flask

from checkout_service.api.forwarded import Addresses, Environ
from checkout_service.at_work import app_at_work
from checkout_service.settings.values import WebSettings


def connect_addresses(app: Flask, settings: WebSettings) -> None:
    """Give the app its callers' addresses, and its requests the scheme that a trusted proxy was asked by."""
    addresses = Addresses(proxies=settings.trusted_proxies, header=settings.proxy_header)
    app.extensions["addresses"] = addresses
    if not settings.trusted_proxies:
        return
    served = app.wsgi_app

    def with_scheme(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        scheme = addresses.scheme(environ)
        if scheme:
            # In place: in a copy the server would not find what the app notes, the request's id first of all.
            environ["wsgi.url_scheme"] = scheme
        return served(environ, start_response)

    app.wsgi_app = with_scheme  # type: ignore[method-assign]  # Flask's own way to put something in front of an app


def caller_address(environ: Environ) -> str | None:
    """The current app's ``Addresses.of``: who sent the request, by address; None where it is not known."""
    addresses: Addresses = app_at_work().extensions["addresses"]
    return addresses.of(environ)


def address_hash(environ: Environ) -> bytes | None:
    """The caller's address so that nobody who reads it finds the address; None where that is not known.

    16 bytes of HMAC-SHA-256, since there are only some billions of addresses: all of them can be tried.
    """
    address = caller_address(environ)
    if address is None:
        return None
    settings: WebSettings = app_at_work().extensions["settings"]
    return hmac.new(settings.addresses_key, address.encode(), hashlib.sha256).digest()[:16]


def presumed_address(environ: Environ) -> str | None:
    """The current app's ``Addresses.presumed``."""
    addresses: Addresses = app_at_work().extensions["addresses"]
    return addresses.presumed(environ)
