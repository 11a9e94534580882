"""Guests of the shop. A signed cookie holds the id of a user that was made for this browser.

A guest can use the shop without signing in. The cookie counts for the shop's pages only: the API reads no cookies. A
guest who put something into a cart has a row in ``guests``, as one of the API has (``cart_tokens``). It says when the
browser was last given the cookie: at a visit more than a day later it is given again, so that it ends
``CART_TOKEN_DAYS`` after the last visit, to a day. Who has no row has nothing to lose, and costs no row.

A browser sends the cookies of all applications at this address in one header. The server hands on a header that holds a
byte beyond ASCII as an empty one, so a neighbour's cookie can hide ours. Such a guest is not taken for a new one, who
would have an empty cart with every page: they are told.
"""

from __future__ import annotations

import hashlib
from threading import Lock
from time import monotonic
from typing import Final
from uuid import UUID, uuid4

import structlog
from flask import Response, current_app, g, request
from itsdangerous import BadSignature, Signer

from checkout_service.api.callers import Caller, caller, known_by
from checkout_service.api.problems import Problem
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.settings.values import WebSettings

LOOKED_AT_EVERY: Final = 3600.0
"""Seconds. So often a process looks whether a guest's cookie is a day old, however many pages they load."""

REMEMBERED: Final = 10_000
"""Guests whom a process does not look at again meanwhile."""

# Guests of the release before have a row of users alone. Whoever is named by a text is a customer.
_renew: Final = Statement("""
    INSERT INTO guests AS known (id)
    SELECT id FROM users WHERE id = :id AND subject IS NULL
        AND NOT EXISTS (SELECT FROM guests WHERE id = :id AND last_used_at > now() - interval '1 day')
    ON CONFLICT (id) DO UPDATE SET last_used_at = now()
    RETURNING id
""")

log = structlog.get_logger(__name__)


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
    """The answer, with a cookie for a new guest, and for one whose cookie is more than a day old. Only a GET has one.

    A browser does not send a Lax cookie with a POST from another site. Its user may have one, and must keep it.
    """
    if "caller" not in g:
        return answer
    if request.method == "POST":
        # It may have been their first write: the next page looks.
        _renewals().forget(caller().user_id)
    elif request.method == "GET" and ("new_guest" in g or _is_to_be_renewed(caller().user_id)):
        answer.set_cookie(
            _cookie_name(),
            _signer().sign(str(caller().user_id)).decode(),
            max_age=_settings().cart_tokens_last,
            httponly=True,
            samesite="Lax",
            secure=_settings().production or request.is_secure,
        )
    return answer


class Renewals:
    """Which guests a process need not look at for a while."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._looked_at: dict[UUID, float] = {}

    def is_due(self, guest_id: UUID) -> bool:
        """Whether it is time to look; from then on it is not for a while."""
        with self._lock:
            now = monotonic()
            if now - self._looked_at.get(guest_id, float("-inf")) < LOOKED_AT_EVERY:
                return False
            self._looked_at.pop(guest_id, None)
            while len(self._looked_at) >= REMEMBERED:
                del self._looked_at[next(iter(self._looked_at))]
            self._looked_at[guest_id] = now
            return True

    def forget(self, guest_id: UUID) -> None:
        """Look at this one again."""
        with self._lock:
            self._looked_at.pop(guest_id, None)


def _renewals() -> Renewals:
    found: Renewals = current_app.extensions.setdefault("guest_renewals", Renewals())
    return found


def _is_to_be_renewed(guest_id: UUID) -> bool:
    """Whether the browser was given the cookie more than a day ago; then it is noted that it has it now."""
    if not _renewals().is_due(guest_id):
        return False
    try:
        return bool(execute(_renew, {"id": guest_id}))
    except Exception as error:  # noqa: BLE001 (the page is there, and the next one does it)
        log.warning("guest_not_renewed", error=str(error))
        return False


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
