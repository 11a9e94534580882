"""Forms that only our own pages can send: each carries a token that another site can neither know nor guess.

The token is made of who the form was shown to and of the day, so that it outlives a restart, holds in every process,
and does not change a page that has not changed.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Final

from flask import current_app, request

from checkout_service.api.problems import Problem
from checkout_service.settings.values import WebSettings

FIELD: Final = "csrf"


class FormNotOurs(Problem):
    """The form was not sent from a page that we showed to this person today or yesterday."""

    status = 403
    slug = "form-not-ours"
    title = "This form has expired"
    default_detail = (
        "The page that you sent this from is too old or was not ours, or your browser keeps no cookies. "
        "Go back, reload it, and try again."
    )


def token(shown_to: str) -> str:
    """What a form that is shown to this person carries in its ``csrf`` field."""
    return _token(shown_to, datetime.now(UTC))


def check(shown_to: str) -> None:
    """Raise FormNotOurs unless the request at work is a form of ours that was shown to this person."""
    # Browsers say where a request comes from, and no page can make them lie about it.
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise FormNotOurs
    sent = request.form.get(FIELD, "").encode("utf-8", "surrogatepass")
    today = datetime.now(UTC)
    accepted = [_token(shown_to, day).encode() for day in (today, today - timedelta(days=1))]
    if not any(hmac.compare_digest(sent, good) for good in accepted):
        raise FormNotOurs


def is_from(origin: str) -> bool:
    """Whether the browser says that the form at work was sent from a page of this origin (RFC 6454, section 7).

    For people whose cookie a browser sends by itself: one that says nothing is not believed. A page of a neighbouring
    host is "same-site", and its forms carry Lax cookies.
    """
    sent = request.headers.get("Origin")
    if sent is not None:
        return sent == origin
    return request.headers.get("Sec-Fetch-Site") == "same-origin"


def _token(shown_to: str, day: datetime) -> str:
    settings: WebSettings = current_app.extensions["settings"]
    message = f"csrf:{shown_to}:{day:%Y-%m-%d}".encode()
    return hmac.new(settings.pages_key, message, hashlib.sha256).hexdigest()
