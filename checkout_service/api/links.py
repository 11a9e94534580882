"""What an answer leads to: which operations take an id that it has. Views name them, the document has them as links.

A person finds the next operation in the document by them, and so does a program that tries the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


def leads_to(
    *operations: str, body: Mapping[str, str] | None = None, status: int | None = None, **parameters: str
) -> Callable[[View], View]:
    """Document that a successful answer of this view, or the one of this status, has what these operations take.

    Each value is a JSON Pointer into the answer, such as ``/data/0/id``, or a parameter of the view's own path in
    braces, such as ``{payment_id}``. ``body`` names members of the other operation's body, the rest its parameters.
    """
    link: dict[str, Any] = {"parameters": {name: _expression(value) for name, value in parameters.items()}}
    if body is not None:
        link["requestBody"] = {name: _expression(value) for name, value in body.items()}

    def decorate(view: View) -> View:
        links = [(status, name, {"operationId": name, **link}) for name in operations]
        view.links = links + getattr(view, "links", [])  # type: ignore[attr-defined]  # functions take any attribute
        return view

    return decorate


def document_links(doc: dict[str, Any], info: dict[str, Any], **_context: Any) -> dict[str, Any]:
    """Add the links to the answers of an operation that say it was done; one of flask-smorest's steps."""
    for only, name, link in info.get("links") or ():
        for status, response in doc["responses"].items():
            if str(status).startswith("2") and only in {None, int(status)}:
                response.setdefault("links", {})[name] = link
    return doc


def _expression(value: str) -> str:
    """The runtime expression of OpenAPI 3.1, section 4.8.20.4."""
    if value.startswith("{"):
        return f"$request.path.{value[1:-1]}"
    return f"$response.body#{value}"
