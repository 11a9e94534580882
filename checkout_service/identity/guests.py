"""Guests of the shop. A signed cookie holds the id of a user that was made for this browser.

A guest can use the shop without signing in. The cookie counts for the shop's pages only: the API reads no cookies.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from flask import Response, current_app, g, request
from itsdangerous import BadSignature, Signer

from checkout_service.api.callers import Caller, known_by
from checkout_service.settings.values import WebSettings

KEPT_FOR: Final = timedelta(days=30)


def identify() -> Caller:
    """The guest whom the cookie names; a new one if it is missing or we did not sign it."""
    sent = request.cookies.get(_cookie_name())
    if sent is not None:
        try:
            return Caller(UUID(_signer().unsign(sent).decode()), is_guest=True)
        except (BadSignature, ValueError):
            pass
    g.new_guest = Caller(uuid4(), is_guest=True)
    return Caller(g.new_guest.user_id, is_guest=True)


guest = known_by(identify)
"""Marks a view whose caller is the cookie's. Put it nearest to the function, below the route."""


def remember_guest(answer: Response) -> Response:
    """The answer, with a cookie for a new guest. Only a GET makes one.

    A browser does not send a Lax cookie with a POST from another site. Its user may have one, and must keep it.
    """
    if "new_guest" in g and request.method == "GET":
        answer.set_cookie(
            _cookie_name(),
            _signer().sign(str(g.new_guest.user_id)).decode(),
            max_age=KEPT_FOR,
            httponly=True,
            samesite="Lax",
            secure=_settings().production or request.is_secure,
        )
    return answer


def _cookie_name() -> str:
    # The prefix makes browsers accept the cookie only over HTTPS, and only from this host.
    return "__Host-guest" if _settings().production else "guest"


def _signer() -> Signer:
    return Signer(_settings().pages_key, salt="guest", digest_method=hashlib.sha256)


def _settings() -> WebSettings:
    found: WebSettings = current_app.extensions["settings"]
    return found
