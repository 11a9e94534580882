"""Guests of the shop. A signed cookie holds the id of a user that was made for this browser.

A guest can use the shop without signing in. The cookie counts for the shop's pages only: the API reads no cookies.

A browser sends the cookies of all applications at this address in one header. The server hands on a header that holds a
byte beyond ASCII as an empty one, so a neighbour's cookie can hide ours. Such a guest is not taken for a new one, who
would have an empty cart with every page: they are told.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from flask import Response, current_app, g, request
from itsdangerous import BadSignature, Signer

from checkout_service.api.callers import Caller, known_by
from checkout_service.api.problems import Problem
from checkout_service.settings.values import WebSettings

KEPT_FOR: Final = timedelta(days=30)


class UnreadableCookie(Problem):
    """The browser sent cookies, and ours may be among those that cannot be read. No new guest is made of it."""

    status = 400
    slug = "unreadable-cookie"
    title = "A cookie of this site cannot be read"
    default_detail = (
        "Your browser sent a cookie with characters that this site cannot read: another application at the same "
        "address has probably set it. Your cart is kept, but this site cannot know that it is yours. Delete the other "
        "application's cookie in your browser's settings, or all cookies of this site, and load the page again; "
        "without this site's own cookie you begin with an empty cart."
    )


def identify() -> Caller:
    """The guest whom the cookie names; a new one if it is missing or we did not sign it.

    Raises UnreadableCookie where it is not there, and something was sent that cannot be read.
    """
    sent = request.cookies.get(_cookie_name())
    if sent is not None:
        try:
            return Caller(UUID(_signer().unsign(sent).decode()), is_guest=True)
        except (BadSignature, ValueError):
            pass
    elif _is_partly_unreadable(request.environ.get("HTTP_COOKIE")):
        raise UnreadableCookie
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


def _is_partly_unreadable(header: str | None) -> bool:
    """Whether the server could not read a Cookie header, or one of several, which it joins by semicolons."""
    return header is not None and not all(part.strip() for part in header.split(";"))


def _cookie_name() -> str:
    # The prefix makes browsers accept the cookie only over HTTPS, and only from this host.
    return "__Host-guest" if _settings().production else "guest"


def _signer() -> Signer:
    return Signer(_settings().pages_key, salt="guest", digest_method=hashlib.sha256)


def _settings() -> WebSettings:
    found: WebSettings = current_app.extensions["settings"]
    return found
