"""Requests that may change something wait for their turn while commits are not confirmed by a standby.

A repeated request is answered with what its first one did. While it is not certain that this outlives a failover,
nobody is given that answer.
"""

from __future__ import annotations

from typing import Final

from flask import Flask

from checkout_service.at_work import request_at_work
from checkout_service.database.engine import confirm_commits

_CHANGES_NOTHING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def init_app(app: Flask) -> None:
    """From here on each such request finds out, one at a time, or is answered 503 at once."""

    @app.before_request
    def confirm() -> None:
        if request_at_work().method not in _CHANGES_NOTHING:
            confirm_commits()
