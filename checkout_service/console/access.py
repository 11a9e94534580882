"""Who may come into the console: a token with the scope ``ops``, or a user and password from the settings."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any, Final

from flask import current_app, g, request
from werkzeug.datastructures import Authorization

from checkout_service.api.callers import Caller, known_by
from checkout_service.api.problems import Forbidden, Unauthorized
from checkout_service.identity.tokens import bearer
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings

SCOPE: Final = "ops"

REALM: Final = "checkout console"


@dataclass(frozen=True, slots=True)
class Operator:
    """Who is at the console, as the audit names them."""

    name: str


class NotSignedIn(Unauthorized):
    """Nobody, or nobody that we know; browsers ask for a password then."""

    slug = "console-sign-in"
    title = "Sign in"
    default_detail = "The console needs a user and password, or a token with the scope ops."


class NoOperator(Forbidden):
    """A valid token that does not say ``ops`` (RFC 6750, section 3.1)."""

    slug = "console-scope"
    title = "Not an operator"
    default_detail = "The token does not carry the scope ops."

    def __init__(self) -> None:
        super().__init__(
            headers={"WWW-Authenticate": f'Bearer realm="{REALM}", error="insufficient_scope", scope="{SCOPE}"'}
        )


def identify() -> Any:
    """The operator who sent the request at work. Raises NotSignedIn, NoOperator and what a bad token raises."""
    sent = request.authorization
    if sent is not None and sent.type == "basic":
        return _by_password(sent)
    if sent is not None and sent.type == "bearer":
        found: Caller = bearer()
        if SCOPE not in found.scopes:
            raise NoOperator
        return Operator(f"user {found.user_id}")
    raise _not_signed_in()


for_operators: Final = known_by(identify)
"""Marks a view of the console. Put it nearest to the function, below the route."""


def operator() -> Operator:
    """Who is at the console in the request at work."""
    found: Operator = g.caller
    return found


def _by_password(sent: Authorization) -> Operator:
    user, password = str(sent.username or ""), str(sent.password or "")
    good = False
    # All of them, and none by a plain comparison, so that the time tells neither names nor passwords.
    for name, secret in _users().items():
        same = [
            hmac.compare_digest(given.encode("utf-8", "surrogatepass"), known.encode())
            for given, known in ((user, name), (password, secret.reveal()))
        ]
        good |= all(same)
    if not good:
        raise _not_signed_in()
    return Operator(user)


def _not_signed_in() -> NotSignedIn:
    # Browsers show a sign-in for Basic alone, so it is offered only where a password can be right.
    challenge = f'Basic realm="{REALM}", charset="UTF-8"' if _users() else f'Bearer realm="{REALM}", scope="{SCOPE}"'
    return NotSignedIn(headers={"WWW-Authenticate": challenge})


def _users() -> dict[str, Secret]:
    settings: WebSettings = current_app.extensions["settings"]
    return settings.console_users
