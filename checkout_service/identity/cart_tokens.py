"""Guests of the API: who calls, by the Cart-Token that ``POST /api/carts`` gave them.

A token is 256 random bits, and the database has its SHA-256 alone. It ends ``CART_TOKEN_DAYS`` after its last use,
which is noted to an hour. Once its cart is a customer's it opens no cart any more, and is good for reading the guest's
own payments and orders until it ends; that use is not noted.

It is looked for with each request. Kept in memory, a token would go on opening a cart that was merged a moment ago.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from flask import Flask, Response, g

from checkout_service.api.callers import Caller, guest_access_of, takes_cart_token_beside
from checkout_service.api.problems import Problem, Unauthorized
from checkout_service.at_work import app_at_work, notes_at_work, request_at_work
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.identity.key_form import CART_TOKEN, hash_of, is_key
from checkout_service.settings.values import WebSettings

NOTED_EVERY: Final = timedelta(hours=1)
"""A guest who looks at a cart for an hour has their row written twice, however often they ask."""

CHALLENGE: Final = {"WWW-Authenticate": 'Cart-Token realm="checkout"'}
"""RFC 9110, section 11.6.1, has a 401 say how to be known."""

log = structlog.get_logger(__name__)

_find: Final = Statement("""
    SELECT id, customer_id IS NOT NULL AS is_linked,
        customer_id IS NULL AND last_used_at < now() - CAST(:noted_every AS interval) AS is_to_be_noted
    FROM guests WHERE token_hash = :hash AND last_used_at > now() - CAST(:lasts AS interval)
""")

# Waits for nobody, and what another process wrote within the hour is as good.
_note_use: Final = Statement("""
    UPDATE guests SET last_used_at = now() WHERE id = (
        SELECT id FROM guests
        WHERE id = :id AND customer_id IS NULL AND last_used_at < now() - CAST(:noted_every AS interval)
        FOR NO KEY UPDATE SKIP LOCKED)
""")


class InvalidCartToken(Unauthorized):
    """A Cart-Token was sent and opens nothing here."""

    everywhere = True
    slug = "invalid-cart-token"
    title = "Invalid Cart-Token"
    default_detail = (
        "The Cart-Token is not complete, unknown, or over: POST /api/carts gives another one, with an empty cart."
    )

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers=CHALLENGE)


class TwoCallers(Problem):
    """Both headers came that say who calls, and they may name two."""

    everywhere = True
    status = 400
    slug = "two-callers"
    title = "Authorization and Cart-Token together"
    default_detail = (
        "Send one of the headers Authorization and Cart-Token. After log-in POST /api/cart/merge takes the guest's "
        "cart over; from then on the customer's token is enough."
    )


MERGED: Final = (
    "The cart of this Cart-Token is a customer's now: send the customer's token. This one still reads what its guest "
    "paid for and bought, until it ends."
)


def connect_cart_tokens(app: Flask, settings: WebSettings) -> None:
    """Let guests of the API into the app. After each request that came with a token, its use is noted."""
    app.extensions["cart_tokens_last"] = settings.cart_tokens_last
    app.after_request(_note)


def sent_cart_token() -> str | None:
    """The current request's Cart-Token; one that the server could not read is empty. Raises TwoCallers."""
    environ = request_at_work().environ
    sent: str | None = environ.get("HTTP_CART_TOKEN")
    if sent is not None and "HTTP_AUTHORIZATION" in environ:
        raise TwoCallers
    return sent


def guest_here() -> Caller | None:
    """The guest who sent the current request; None where it has no Cart-Token, or its view is nothing to guests.

    Raises InvalidCartToken, TwoCallers and DatabaseUnavailableError.
    """
    app, endpoint = app_at_work(), request_at_work().endpoint
    if endpoint is None or takes_cart_token_beside(app, endpoint):
        return None
    access = guest_access_of(app, endpoint)
    sent = sent_cart_token()
    if sent is None or access is None:
        return None
    found = _found(sent.strip())
    if found is None:
        raise InvalidCartToken
    if found.is_linked and not access.after_merge:
        raise InvalidCartToken(MERGED)
    if found.is_to_be_noted:
        g.guest_id = found.id
    return Caller(found.id, is_guest=True, by_cart_token=True)


def hash_of_sent(token: str) -> bytes | None:
    """What is kept of a Cart-Token; None of a text that is none."""
    return hash_of(token) if is_key(token, CART_TOKEN) else None


def _found(token: str) -> Any:
    hashed = hash_of_sent(token)
    if hashed is None:
        return None
    lasts: timedelta = app_at_work().extensions["cart_tokens_last"]
    rows = execute(_find, {"hash": hashed, "lasts": lasts, "noted_every": NOTED_EVERY})
    return rows[0] if rows else None


def _note(answer: Response) -> Response:
    """Note the use of a token. Whatever goes wrong, the answer stays what it is, and the next request notes it.

    No cache keeps what it opened: of Authorization they know that by themselves (RFC 9111, section 3.5).
    """
    if "HTTP_CART_TOKEN" in request_at_work().environ:
        answer.headers.setdefault("Cache-Control", "no-store")
    guest_id: UUID | None = notes_at_work().get("guest_id")
    if guest_id is not None:
        try:
            execute(_note_use, {"id": guest_id, "noted_every": NOTED_EVERY})
        except Exception as error:  # noqa: BLE001 (as the docstring says)
            log.warning("cart_token_use_not_noted", error=str(error))
    return answer
