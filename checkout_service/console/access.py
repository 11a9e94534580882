"""Who may come into the console, and what they may do there.

A token or API key with the scope ``ops`` may do all. So may a user with a password of the settings, unless
``CONSOLE_ROLES`` names another role. Who signed in at the OpenID provider has the role that it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, Final
from urllib.parse import quote

from flask import Flask, current_app, g, redirect, request, url_for
from werkzeug.datastructures import Authorization
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from checkout_service.api.addresses import presumed_address
from checkout_service.api.callers import Caller, known_by
from checkout_service.api.heads import is_unreadable
from checkout_service.api.problems import UNREADABLE_AUTHORIZATION, Forbidden, Problem, Unauthorized
from checkout_service.api.scopes import Scope
from checkout_service.console import sessions
from checkout_service.console.roles import role_for, role_for_command
from checkout_service.identity.passwords import Passwords, PausedError, WrongPasswordError
from checkout_service.identity.tokens import bearer
from checkout_service.pages.base import prefers_a_page
from checkout_service.settings.operators import PERSON, Role
from checkout_service.settings.values import WebSettings

SCOPE: Final = Scope.OPS

REALM: Final = "checkout console"


@dataclass(frozen=True, slots=True)
class Operator:
    """Who is at the console, as the audit names them, and what they may do: nothing, if the role is None."""

    name: str
    role: Role | None
    by_cookie: bool = False
    """Whether they signed in at the OpenID provider, and can sign out."""

    def may(self, endpoint: str) -> bool:
        """Whether they may send the forms of this endpoint."""
        return self.role is not None and self.role.covers(role_for_command(endpoint))


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


class RoleMissing(Forbidden):
    """Somebody whom we know wants what takes another role. ``sign_out`` is where to leave, for who can."""

    slug = "role-missing"
    title = "Your role does not allow this"
    default_detail = "Your role at the console does not allow this."

    def __init__(self, who: Operator, needed: Role) -> None:
        has = f"the role {who.role}" if who.role else "no role"
        members: dict[str, Any] = {"role": needed.value}
        if who.by_cookie:
            members["sign_out"] = url_for("console_sign_in.leave")
        super().__init__(
            f"You are at the console as {who.name}, with {has}: this takes the role {needed}. "
            "Ask whoever gives out the roles of the console.",
            **members,
        )


class SignInFirst(HTTPException):
    """A browser that wants a page is led to where its user signs in, and from there back."""

    code = 303

    def get_response(self, environ: Any = None, scope: Any = None) -> AnyResponse:
        here = quote(request.full_path.rstrip("?"), safe="/")
        return redirect(f"{url_for('console_sign_in.choose')}?next={here}", 303)


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
    """The operator who sent the request at work, and may.

    Raises NotSignedIn, NoOperator, RoleMissing, TooManyWrongPasswords, SignInFirst and what a bad token raises.
    """
    who: Operator = _known() or _by_header()
    needed = role_for(request.endpoint, request.method)
    if who.role is None or not who.role.covers(needed):
        raise RoleMissing(who, needed)
    return who


def identify_whoever() -> Any:
    """The person who signed in at the provider, whatever they may do: they may sign out. Raises NotSignedIn."""
    who = _known()
    if who is None:
        raise _not_signed_in()
    return who


for_operators: Final = known_by(identify)
"""Marks a view of the console. Put it nearest to the function, below the route."""


def operator() -> Operator:
    """Who is at the console in the request at work."""
    found: Operator = g.caller
    return found


def role_of(session: sessions.Session) -> Role | None:
    """The role that ``CONSOLE_ROLES`` gives the person, with their next request; else the one of the claim.

    It names them as the audit does, or as the provider: with a percent sign it is as the audit, so that nobody's own
    subject reads as that of somebody else.
    """
    roles = _settings().console_roles
    plain = f"{PERSON}{session.subject}"
    name = sessions.audit_key(session.subject)
    if name not in roles and "%" not in plain and not plain.startswith(f"{PERSON}{sessions.HASHED}"):
        name = plain
    return roles.get(name, session.role)


def _known() -> Operator | None:
    """By the cookie of who signed in at the provider. It counts before a password, which a browser sends by itself."""
    found = sessions.session() if _settings().console_oidc else None
    return Operator(found.name, role_of(found), by_cookie=True) if found else None


def _by_header() -> Operator:
    sent = request.authorization
    if sent is not None and sent.type == "basic":
        return _by_password(sent)
    if sent is not None and sent.type == "bearer":
        found: Caller = bearer()
        if not found.may(SCOPE):
            raise NoOperator
        return Operator(found.name, Role.REFUNDER)
    if _settings().console_oidc and request.method == "GET" and not _wants_password() and prefers_a_page():
        raise SignInFirst
    raise _not_signed_in()


def _by_password(sent: Authorization) -> Operator:
    user, password = str(sent.username or ""), str(sent.password or "")
    try:
        _passwords().check(user, password, address=presumed_address(request.environ))
    except WrongPasswordError:
        raise _not_signed_in() from None
    except PausedError as error:
        raise TooManyWrongPasswords(error.seconds) from None
    return Operator(user, _settings().console_roles.get(user, Role.REFUNDER))


def _not_signed_in() -> NotSignedIn:
    oidc = _settings().console_oidc is not None
    # Browsers show a sign-in for Basic alone, so it is offered only where a password can be right. Where people sign in
    # at a provider, it would come up in their way: then only at the address that is for it.
    by_password = _passwords() and (not oidc or _wants_password() or not prefers_a_page())
    challenge = f'Basic realm="{REALM}", charset="UTF-8"' if by_password else f'Bearer realm="{REALM}", scope="{SCOPE}"'
    detail = UNREADABLE_AUTHORIZATION if is_unreadable(request.environ, "HTTP_AUTHORIZATION") else None
    if detail is None and oidc and prefers_a_page():
        detail = (
            "You are not signed in, or no longer: nothing was done. Open the console in another tab and sign in there, "
            "then come back, reload the page and send it again."
        )
    return NotSignedIn(detail, headers={"WWW-Authenticate": challenge})


def _wants_password() -> bool:
    """Whether the request is for the one address that asks for a password where there is a provider too.

    It is /ops itself: browsers send a password with all that is below the folder of where they were asked for it.
    """
    return request.endpoint == "console.show_overview" and request.args.get("sign-in") == "password"


def _passwords() -> Passwords:
    found: Passwords = current_app.extensions["passwords"]
    return found


def _settings() -> WebSettings:
    found: WebSettings = current_app.extensions["settings"]
    return found
