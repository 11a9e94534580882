"""Who is calling. Every route requires a caller, unless its view is marked ``@public``.

The caller comes from a bearer token or an API key, in a view marked ``guests_too`` also from a Cart-Token, or for a
view marked ``known_by`` from something else, such as the shop's cookie. The room ``identity`` checks all of them. A
view marked with scopes is for staff, or for them too; an API key opens no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, TypeVar
from uuid import UUID

from flask import Flask, current_app, request

from checkout_service.api.problems import Forbidden
from checkout_service.api.scopes import Scope
from checkout_service.at_work import notes_at_work, request_at_work

CALLER_KEY: Final = "checkout_service.caller"
"""Under this key of a request's environment the server finds who sent it, once that is known."""

View = TypeVar("View", bound=Callable[..., Any])


class Subject(NamedTuple):
    """What a caller's tokens call them, where that is no UUID, and who issues the tokens: ``JWT_ISSUER``, or ''."""

    issuer: str
    text: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, and what their token allows beyond their own data (``scope``, RFC 8693 section 4.2)."""

    user_id: UUID
    scopes: frozenset[str] = frozenset()
    is_guest: bool = False
    """Known by the shop's cookie or a Cart-Token alone: whoever throws it away is another guest."""
    by_cart_token: bool = False
    """A guest of the API: their row is there, and may be linked to a customer at any moment."""
    key_prefix: str | None = None
    """What the API key begins with that was sent, if one was: ``user_id`` is then the key's own id."""
    subject: Subject | None = None
    """What ``user_id`` was computed of; None where the token names it, and for guests and keys."""

    @property
    def name(self) -> str:
        """Who it is, in the audit. Of a key its prefix, which opens nothing.

        Of a user whose id is computed the subject as well: who reads the audit knows their staff by that. It comes
        second, so that no subject can look like another user.
        """
        if self.key_prefix is not None:
            return f"key {self.key_prefix}"
        if self.subject is None:
            return f"user {self.user_id}"
        shown = "".join(character if character.isprintable() else "\ufffd" for character in self.subject.text)
        return f"user {self.user_id} ({shown})"

    def may(self, *scopes: str) -> bool:
        """Whether the caller has one of these scopes at least."""
        return not self.scopes.isdisjoint(scopes)


@dataclass(frozen=True, slots=True)
class Demand:
    """The scopes of which a view takes one. ``of_tokens`` opened it before there were others: to tokens it still does.

    ``only`` says that the view is for staff alone; else it is for customers too, who see what is theirs.
    """

    scopes: tuple[Scope, ...]
    of_tokens: tuple[Scope, ...] = ()
    only: bool = True

    def admits(self, who: Caller) -> bool:
        """Whether the caller is staff to this view."""
        return who.may(*self.scopes) or (who.key_prefix is None and who.may(*self.of_tokens))


def public(view: View) -> View:
    """Mark a view as open to everybody. Put the decorator nearest to the function, below the route."""
    view.is_public = True  # type: ignore[attr-defined]  # functions take any attribute
    return view


@dataclass(frozen=True, slots=True)
class GuestAccess:
    """What a view is to guests of the API. ``after_merge`` says that it only reads what a guest paid for and bought, so
    that a Cart-Token opens it once its cart is a customer's, too."""

    after_merge: bool


def guests_too(*, after_merge: bool = False) -> Callable[[View], View]:
    """Mark a view as one that a Cart-Token opens as a bearer token does. Put it below the route."""

    def mark(view: View) -> View:
        view.guest_access = GuestAccess(after_merge)  # type: ignore[attr-defined]  # functions take any attribute
        return view

    return mark


def guest_access_of(app: Flask, endpoint: str) -> GuestAccess | None:
    """What an endpoint's view is to guests of the API; None if it is nothing to them."""
    return getattr(app.view_functions[endpoint], "guest_access", None)


def cart_token_beside(view: View) -> View:
    """Mark a view as one to which a Cart-Token may come beside a bearer token, which is the one that counts."""
    view.cart_token_beside = True  # type: ignore[attr-defined]  # functions take any attribute
    return view


def takes_cart_token_beside(app: Flask, endpoint: str) -> bool:
    """Whether an endpoint's view is marked so."""
    return getattr(app.view_functions[endpoint], "cart_token_beside", False)


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


def demand_of(app: Flask, endpoint: str) -> Demand | None:
    """The scopes that an endpoint's view is marked with; None if it is nothing to staff."""
    found: Demand | None = getattr(app.view_functions[endpoint], "demand", None)
    return found


def require_callers(app: Flask, identify: Callable[[], Caller]) -> None:
    """From here on every request to a view that is not public needs a caller.

    ``identify`` finds the caller or raises Unauthorized, unless the view is marked with a function of its own.
    """

    @app.before_request
    def require_caller() -> None:
        request = request_at_work()
        endpoint = request.endpoint
        # No endpoint: an unknown path or method. Everybody is answered 404 or 405.
        if endpoint is None or is_public(app, endpoint):
            return
        identify_here = how_known(app, endpoint)
        notes_at_work().caller = found = request.environ[CALLER_KEY] = (identify_here or identify)()
        if identify_here is None:
            if request.method == "OPTIONS":
                _check_any(found, [demand_of(app, other) for other in _endpoints_here() or [endpoint]])
            else:
                _check_scopes(found, demand_of(app, endpoint))


def caller() -> Caller:
    """Who sent the current request."""
    found: Caller = notes_at_work().caller
    return found


def scoped(*scopes: Scope, of_tokens: tuple[Scope, ...] = ()) -> Callable[[View], View]:
    """Mark a view as one for staff alone: who has none of the scopes is refused, with any method of its path.

    See ``Demand`` for ``of_tokens``. A ``Blueprint`` of ours writes both into the API's document.
    """
    demand = Demand(scopes, of_tokens)
    return lambda view: _marked(view, demand)


def staff_too(*scopes: Scope, of_tokens: tuple[Scope, ...] = ()) -> Callable[[View], View]:
    """Mark a view as one that is for customers, and for staff with one of these scopes: ``is_staff`` tells which."""
    demand = Demand(scopes, of_tokens, only=False)
    return lambda view: _marked(view, demand)


def is_staff() -> bool:
    """Whether the current request's caller has a scope that its view is marked with."""
    endpoint = request.endpoint
    demand = None if endpoint is None else demand_of(current_app, endpoint)
    return demand is not None and demand.admits(caller())


def _marked(view: View, demand: Demand) -> View:
    view.demand = demand  # type: ignore[attr-defined]  # functions take any attribute
    return view


def _endpoints_here() -> list[str]:
    """Those of all methods of the path at work: each may be a route of its own."""
    adapter = current_app.create_url_adapter(request)
    if adapter is None:
        return []
    return sorted({adapter.match(method=method)[0] for method in adapter.allowed_methods() if method != "OPTIONS"})


def _check_any(who: Caller, demands: list[Demand | None]) -> None:
    """What a path takes is said to whoever may send it anything."""
    refusals = []
    for demand in demands:
        try:
            _check_scopes(who, demand)
        except Forbidden as error:
            refusals.append(error)
    if len(refusals) == len(demands):
        raise refusals[0]


def _check_scopes(who: Caller, demand: Demand | None) -> None:
    """Before the view: Flask answers OPTIONS by itself, and a view that is marked never sees who may not come."""
    if demand is None:
        if who.key_prefix is not None:
            raise NotForApiKeys
    elif (demand.only or who.key_prefix is not None) and not demand.admits(who):
        raise InsufficientScope(demand.scopes[0])


class InsufficientScope(Forbidden):
    """The token or API key is valid, but does not allow this (RFC 6750, section 3.1)."""

    everywhere = True
    example: ClassVar[Mapping[str, Any]] = {"scope": "refunds"}
    slug = "insufficient-scope"
    title = "Insufficient scope"
    default_detail = (
        "The token or API key lacks the scope that this takes: ask your identity provider, or whoever makes the keys, "
        "for one that has it."
    )

    def __init__(self, scope: str = Scope.REFUNDS) -> None:
        challenge = f'Bearer realm="checkout", error="insufficient_scope", scope="{scope}"'
        super().__init__(headers={"WWW-Authenticate": challenge}, scope=str(scope))


class NotForApiKeys(Forbidden):
    """A valid API key was sent to a path that is for customers alone."""

    everywhere = True
    slug = "not-for-api-keys"
    title = "Not for API keys"
    default_detail = "This path is for customers: it takes a customer's token, and no API key opens it."

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Bearer realm="checkout", error="insufficient_scope"'})
