"""Who is calling: every route requires a caller unless its view is marked ``@public``; one marked ``known_by`` has its
caller from somewhere else than a token, a guest's cookie for one. How a token is checked stands in ``identity``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast
from uuid import UUID

from flask import Flask, g, request

from checkout_service.api.problems import Forbidden

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent this request, and what their token allows beyond what is their own (``scope``, RFC 8693 section 4.2)."""

    user_id: UUID
    scopes: frozenset[str] = frozenset()

    def may(self, scope: str) -> bool:
        return scope in self.scopes


def public(view: View) -> View:
    """Mark a view as open to anybody. Put it nearest to the function, below the route."""
    view.is_public = True  # type: ignore[attr-defined]  # functions take any attribute
    return view


def is_public(app: Flask, endpoint: str) -> bool:
    """Whether the view behind an endpoint is marked as open to anybody."""
    return getattr(app.view_functions[endpoint], "is_public", False)


def known_by(identify: Callable[[], Caller]) -> Callable[[View], View]:
    """Mark a view whose caller ``identify`` finds in the request, or raises Unauthorized. Below the route."""

    def mark(view: View) -> View:
        view.identify = identify  # type: ignore[attr-defined]  # functions take any attribute
        return view

    return mark


def how_known(app: Flask, endpoint: str) -> Callable[[], Caller] | None:
    """What finds the caller of an endpoint's view; None where that takes a bearer token."""
    return getattr(app.view_functions[endpoint], "identify", None)


def require_callers(app: Flask, identify: Callable[[], Caller]) -> None:
    """From here on every request to a view that is not public needs a caller, whom ``identify`` finds unless the view
    says otherwise, or raises Unauthorized.
    """

    @app.before_request
    def require_caller() -> None:
        endpoint = request.endpoint
        # No endpoint: an unknown path or method, which is answered 404 or 405 whoever asks.
        if endpoint is not None and not is_public(app, endpoint):
            g.caller = (how_known(app, endpoint) or identify)()


def caller() -> Caller:
    """Who sent the request at work."""
    found: Caller = g.caller
    return found


def scoped(scope: str) -> Callable[[View], View]:
    """Raise InsufficientScope, before anything else is looked at, unless the caller's token carries the scope."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*arguments: Any, **named: Any) -> Any:
            if not caller().may(scope):
                raise InsufficientScope(scope)
            return view(*arguments, **named)

        return cast("View", checked)

    return decorate


class InsufficientScope(Forbidden):
    """The token is valid and does not reach this far (RFC 6750, section 3.1)."""

    slug = "insufficient-scope"
    title = "Insufficient scope"
    default_detail = "The token lacks the scope that this takes: ask your identity provider for one that has it."

    def __init__(self, scope: str = "refunds") -> None:
        challenge = f'Bearer realm="checkout", error="insufficient_scope", scope="{scope}"'
        super().__init__(headers={"WWW-Authenticate": challenge}, scope=scope)
