"""The web process's entry: ``wsgi:app`` for servers, and ``flask --app wsgi`` for commands."""

from __future__ import annotations

from checkout_service.wsgi import app

__all__ = ["app"]
