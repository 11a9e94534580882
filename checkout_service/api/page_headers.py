"""The headers that every page carries, whichever server makes it: the shop's and the console's, and Flower's."""

from __future__ import annotations

from typing import Final

_OF_ALL: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def page_headers(policy: str) -> dict[str, str]:
    """The headers of a page with this Content-Security-Policy."""
    return {"Content-Security-Policy": policy} | _OF_ALL
