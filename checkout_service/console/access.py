"""Who may come into the console: a token or API key with the scope ``ops``, or a user and password of the settings."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from flask import Flask, current_app, g, request
from werkzeug.datastructures import Authorization

from checkout_service.api.addresses import presumed_address
from checkout_service.api.callers import Caller, known_by
from checkout_service.api.heads import is_unreadable
from checkout_service.api.problems import UNREADABLE_AUTHORIZATION, Forbidden, Problem, Unauthorized
from checkout_service.api.scopes import Scope
from checkout_service.identity.passwords import Passwords, PausedError, WrongPasswordError
from checkout_service.identity.tokens import bearer
from checkout_service.settings.values import WebSettings

SCOPE: Final = Scope.OPS

REALM: Final = "checkout console"


@dataclass(frozen=True, slots=True)
class Operator:
    """Who is at the console, as the audit names them."""

    name: str


class NotSignedIn(Unauthorized):
    """Nobody, or nobody that we know; browsers ask for a password then."""

    slug = "console-sign-in"
    title = "Sign in"
    default_detail = "The console needs a user and password, or a token or an API key with the scope ops."


class NoOperator(Forbidden):
    """A valid token or API key that does not say ``ops`` (RFC 6750, section 3.1)."""

    slug = "console-scope"
    title = "Not an operator"
    default_detail = "The token or API key does not carry the scope ops."

    def __init__(self) -> None:
        super().__init__(
            headers={"WWW-Authenticate": f'Bearer realm="{REALM}", error="insufficient_scope", scope="{SCOPE}"'}
        )


class TooManyWrongPasswords(Problem):
    """So many wrong passwords came from one address that the next is not looked at for a while."""

    status = 429
    slug = "too-many-wrong-passwords"
    title = "Too many wrong passwords"
    default_detail = "Too many wrong passwords came from where you are: wait for as long as Retry-After says."

    def __init__(self, seconds: float) -> None:
        super().__init__(headers={"Retry-After": str(ceil(seconds))})


def connect_passwords(app: Flask, settings: WebSettings) -> None:
    """Give the app those who may sign in with a password."""
    app.extensions["passwords"] = Passwords(settings.console_users)


def identify() -> Any:
    """The operator who sent the request at work.

    Raises NotSignedIn, NoOperator, TooManyWrongPasswords and what a bad token raises.
    """
    sent = request.authorization
    if sent is not None and sent.type == "basic":
        return _by_password(sent)
    if sent is not None and sent.type == "bearer":
        found: Caller = bearer()
        if not found.may(SCOPE):
            raise NoOperator
        return Operator(found.name)
    raise _not_signed_in()


for_operators: Final = known_by(identify)
"""Marks a view of the console. Put it nearest to the function, below the route."""


def operator() -> Operator:
    """Who is at the console in the request at work."""
    found: Operator = g.caller
    return found


def _by_password(sent: Authorization) -> Operator:
    user, password = str(sent.username or ""), str(sent.password or "")
    try:
        _passwords().check(user, password, address=presumed_address(request.environ))
    except WrongPasswordError:
        raise _not_signed_in() from None
    except PausedError as error:
        raise TooManyWrongPasswords(error.seconds) from None
    return Operator(user)


def _not_signed_in() -> NotSignedIn:
    # Browsers show a sign-in for Basic alone, so it is offered only where a password can be right.
    challenge = (
        f'Basic realm="{REALM}", charset="UTF-8"' if _passwords() else f'Bearer realm="{REALM}", scope="{SCOPE}"'
    )
    detail = UNREADABLE_AUTHORIZATION if is_unreadable(request.environ, "HTTP_AUTHORIZATION") else None
    return NotSignedIn(detail, headers={"WWW-Authenticate": challenge})


def _passwords() -> Passwords:
    found: Passwords = current_app.extensions["passwords"]
    return found
