"""Checks what is said of the proxies in front: without it no caller is known by address."""

from __future__ import annotations

from collections.abc import Iterator

from flask import current_app

from checkout_service.doctor.findings import Finding, advice, ok
from checkout_service.settings.values import WebSettings


def check_proxies() -> Iterator[Finding]:
    """Bounds by address hold only where the address is known."""
    settings: WebSettings = current_app.extensions["settings"]
    if settings.trusted_proxies is None:
        yield advice(
            "trusted proxies",
            "TRUSTED_PROXIES is unset: nothing is bounded by address",
            "Set it to the networks of the proxies in front, or to none; each of them must send PROXY_HEADER itself.",
        )
    elif settings.trusted_proxies:
        listed = ", ".join(map(str, settings.trusted_proxies))
        yield ok("trusted proxies", f"{listed}; {settings.proxy_header} is read from the right")
    else:
        yield ok("trusted proxies", "none: callers connect directly")
