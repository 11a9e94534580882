"""The look that all pages share: templates, security headers, and errors as a page where a page was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Flask, Response, current_app, render_template, request
from jinja2 import StrictUndefined

from checkout_service.api.heads import refuse_unkeepable_form
from checkout_service.api.page_headers import page_headers
from checkout_service.money import show
from checkout_service.pages import amounts, assets
from checkout_service.settings.origins import Origins

FOLDER: Final = Path(__file__).parent

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS: Final = page_headers(POLICY)

SHOWS_LISTINGS: Final = "shop"
"""The blueprint whose pages show images of listings, from where IMAGE_ORIGINS says."""

LONGEST_ACCEPT: Final = 1000
"""Characters of an Accept header that is looked at; browsers send some 150. The time that it takes to read one can grow
with the square of its length, and nobody else has the interpreter meanwhile."""

FOR_MACHINES: Final = ("/api/", "/livez", "/readyz", "/metrics", "/problems/", "/assets/")
"""Paths whose errors stay problem documents, whoever asks."""


class PageBlueprint(Blueprint):
    """Routes that answer with pages: all they answer carries the security headers and is kept by no cache.

    A form with a NUL reaches no view.
    """

    def __init__(self, name: str, import_name: str, **options: Any) -> None:
        super().__init__(name, import_name, **options)
        self.before_request(refuse_unkeepable_form)
        self.after_request(secured)


def furnish(app: Flask) -> None:
    """Give the app the templates, assets and error pages; a second call changes nothing."""
    if "assets" in app.extensions:
        return
    options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    app.jinja_options = {**app.jinja_options, **options}
    assets.init_app(app)
    assets.add_folder(app, FOLDER / "static")
    app.register_blueprint(Blueprint("look", __name__, template_folder="templates"))
    app.add_template_filter(_amount, "amount")
    app.add_template_filter(_written, "written")
    app.extensions["error_page"] = error_page
    app.extensions["shop_headers"] = page_headers(_policy_with(app.extensions["settings"].image_origins))


def _policy_with(images: Origins | None) -> str:
    if images is None:
        return POLICY
    sources = [*sorted(images.exact), *(f"https://*.{rest}" for rest in sorted(images.under))]
    return POLICY.replace("img-src 'self'", " ".join(["img-src 'self'", *sources]))


def _amount(given: Decimal | str, currency: str) -> str:
    """The amount as the API writes it; what comes of the API is written so already."""
    return given if isinstance(given, str) else show(given, currency)


def _written(given: Decimal | str, currency: str) -> str:
    """The amount as the customer's language writes it."""
    return amounts.write(Decimal(given), currency)


def secured(answer: Response) -> Response:
    """The answer with the headers of a page."""
    shows_listings = request.blueprint == SHOWS_LISTINGS
    for name, value in (current_app.extensions["shop_headers"] if shows_listings else HEADERS).items():
        answer.headers.setdefault(name, value)
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def error_page(document: dict[str, Any], headers: Mapping[str, str]) -> Response | None:
    """A problem as a page, or None where a machine asked."""
    if request.path.startswith(FOR_MACHINES) or not prefers_a_page():
        return None
    kept = {name: value for name, value in headers.items() if name.lower() != "content-length"}
    front = request.script_root + "/" if "shop.show_listings" in current_app.view_functions else None
    content = render_template("base/error.html", problem=document, front=front)
    return secured(Response(content, status=document["status"], headers=kept, content_type="text/html; charset=utf-8"))


def prefers_a_page() -> bool:
    """Whether the request at work is a browser's, for a page."""
    if len(request.headers.get("Accept", "")) > LONGEST_ACCEPT:
        return False
    accepted = request.accept_mimetypes
    # Named, not by a wildcard: curl and our API's clients send */*, or nothing.
    return "text/html" in list(accepted.values()) and accepted["text/html"] >= accepted["application/problem+json"]
