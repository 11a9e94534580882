"""Which query parameters a route of the API takes; any other is refused: a filter with a typo would pass everything.

Pages take whatever comes with them, since links get tails of other services. So does the webhook receiver: what a
proxy or a provider adds to its address is no reason to lose news of money.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from flask import Flask, current_app, request

from checkout_service.api.problem_documents import pointers
from checkout_service.api.problems import Invalid

View = TypeVar("View", bound=Callable[..., Any])

_BELOW: Final = "/api/"

_TAKE_ANY: Final = ("docs.", "webhooks.")
"""Beginnings of endpoints: the pages of the documentation, and the webhook receiver."""


def takes_query(view: View, names: Iterable[str]) -> View:
    """Mark a view as one that takes query parameters of these names; a view without a mark takes none."""
    view.query_parameters = frozenset(names)  # type: ignore[attr-defined]  # functions take any attribute
    return view


def parameters_of(app: Flask, endpoint: str) -> frozenset[str] | None:
    """The names that an endpoint's view takes; None where it takes any."""
    if endpoint.startswith(_TAKE_ANY):
        return None
    taken: frozenset[str] = getattr(app.view_functions[endpoint], "query_parameters", frozenset())
    return taken


def refuse_unknown_parameters() -> None:
    """Raise Invalid where the query at work has a parameter that its route does not take, or one of them twice."""
    rule, endpoint = request.url_rule, request.endpoint
    if rule is None or endpoint is None or not rule.rule.startswith(_BELOW) or request.method == "OPTIONS":
        return
    known = parameters_of(current_app, endpoint)
    if known is None:
        return
    faults = {
        name: "Unknown field." if name not in known else "Given more than once."
        for name, values in request.args.lists()
        if name not in known or len(values) > 1
    }
    if faults:
        raise Invalid(errors=pointers({"query": faults}))
