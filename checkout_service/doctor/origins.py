"""Checks whose pages may use the API in a browser: what is for development has no place in production."""

from __future__ import annotations

from collections.abc import Iterator

from flask import current_app

from checkout_service.doctor.findings import Finding, advice, ok
from checkout_service.settings.values import WebSettings


def check_origins() -> Iterator[Finding]:
    """A page of this machine of any customer's is a stranger's to us."""
    settings: WebSettings = current_app.extensions["settings"]
    origins = settings.cors_origins
    if origins is None:
        yield ok("other origins", "none: no browser lets the pages of another origin use the API")
    elif settings.production and origins.local:
        yield advice(
            "other origins",
            f"{', '.join(sorted(origins.local))} may use the API, in production",
            "Take it out of CORS_ORIGINS unless the shop's own program serves it: it is whatever runs at a customer's.",
        )
    else:
        yield ok("other origins", f"{origins} may use the API in a browser")
