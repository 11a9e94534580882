"""The request, the app and what is noted of both, as they are at work in this thread, by one call each.

Flask's own names for them are proxies, which look for what they stand for at every use, by five calls. That is nothing
to a view, but a dozen hooks look at every request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from flask import Flask, Request, current_app, g, request
from flask.globals import request_ctx

if TYPE_CHECKING:
    from flask.ctx import RequestContext
    from werkzeug.local import LocalProxy

request_at_work: Final[Callable[[], Request]] = cast("LocalProxy[Request]", request)._get_current_object
"""What ``flask.request`` stands for. As there, RuntimeError is raised where there is none; so do the others."""

context_at_work: Final[Callable[[], RequestContext]] = cast(
    "LocalProxy[RequestContext]", request_ctx
)._get_current_object
"""What ``flask.globals.request_ctx`` stands for."""

app_at_work: Final[Callable[[], Flask]] = cast("LocalProxy[Flask]", current_app)._get_current_object
"""What ``flask.current_app`` stands for."""

notes_at_work: Final[Callable[[], Any]] = cast("LocalProxy[Any]", g)._get_current_object
"""What ``flask.g`` stands for."""
