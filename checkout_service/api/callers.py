"""Who is calling. Every route requires a caller, unless its view is marked ``@public``.

The caller comes from a bearer token, or for a view marked ``known_by`` from something else, such as a guest's cookie.
The room ``identity`` checks tokens and cookies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from flask import Flask, g, request

from checkout_service.api.problems import Forbidden

CALLER_KEY: Final = "checkout_service.caller"
"""Under this key of a request's environment the server finds who sent it, once that is known."""

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, and what their token allows beyond their own data (``scope``, RFC 8693 section 4.2)."""

    user_id: UUID
    scopes: frozenset[str] = frozenset()
    is_guest: bool = False
    """Known by the shop's cookie alone: whoever throws it away is another guest."""

    def may(self, scope: str) -> bool:
        return scope in self.scopes


def public(view: View) -> View:
    """Mark a view as open to everybody. Put the decorator nearest to the function, below the route."""
    view.is_public = True  # type: ignore[attr-defined]  # functions take any attribute
    return view


def is_public(app: Flask, endpoint: str) -> bool:
    """Whether the view of an endpoint is marked as open to everybody."""
    return getattr(app.view_functions[endpoint], "is_public", False)


def known_by(identify: Callable[[], Caller]) -> Callable[[View], View]:
    """Mark a view whose caller ``identify`` finds, or else raises Unauthorized. Put it below the route."""

    def mark(view: View) -> View:
        view.identify = identify  # type: ignore[attr-defined]  # functions take any attribute
        return view

    return mark


def how_known(app: Flask, endpoint: str) -> Callable[[], Caller] | None:
    """The function that finds the caller of an endpoint's view; None if the view takes a bearer token."""
    return getattr(app.view_functions[endpoint], "identify", None)


def require_callers(app: Flask, identify: Callable[[], Caller]) -> None:
    """From here on every request to a view that is not public needs a caller.

    ``identify`` finds the caller or raises Unauthorized, unless the view is marked with a function of its own.
    """

    @app.before_request
    def require_caller() -> None:
        endpoint = request.endpoint
        # No endpoint: an unknown path or method. Everybody is answered 404 or 405.
        if endpoint is not None and not is_public(app, endpoint):
            g.caller = request.environ[CALLER_KEY] = (how_known(app, endpoint) or identify)()


def caller() -> Caller:
    """Who sent the current request."""
    found: Caller = g.caller
    return found


def scoped(scope: str) -> Callable[[View], View]:
    """Raise InsufficientScope, before the body is read, unless the caller's token carries the scope."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*arguments: Any, **named: Any) -> Any:
            if not caller().may(scope):
                raise InsufficientScope(scope)
            return view(*arguments, **named)

        return cast("View", checked)

    return decorate


class InsufficientScope(Forbidden):
    """The token is valid, but does not allow this (RFC 6750, section 3.1)."""

    slug = "insufficient-scope"
    title = "Insufficient scope"
    default_detail = "The token lacks the scope that this takes: ask your identity provider for one that has it."

    def __init__(self, scope: str = "refunds") -> None:
        challenge = f'Bearer realm="checkout", error="insufficient_scope", scope="{scope}"'
        super().__init__(headers={"WWW-Authenticate": challenge}, scope=scope)
