"""Opens the console: its routes are there only where this was called."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from checkout_service.console import (
    command_pages,
    dispute_pages,
    doubt_forms,
    endpoint_pages,
    money_forms,
    order_forms,
    order_pages,
    payment_pages,
    search_pages,
    settlement_pages,
    todo_pages,
    webhook_pages,
)
from checkout_service.console.access import connect_passwords
from checkout_service.console.sign_in_pages import connect_provider
from checkout_service.pages import assets
from checkout_service.pages.base import furnish
from checkout_service.settings.values import WebSettings


def init_app(app: Flask) -> None:
    """Serve the console's pages."""
    furnish(app)
    settings: WebSettings = app.extensions["settings"]
    connect_passwords(app, settings)
    assets.add_folder(app, Path(__file__).parent / "static")
    for room in (
        webhook_pages,
        payment_pages,
        doubt_forms,
        money_forms,
        search_pages,
        todo_pages,
        order_pages,
        order_forms,
        dispute_pages,
        settlement_pages,
        endpoint_pages,
        command_pages,
    ):
        app.register_blueprint(room.blueprint)
    connect_provider(app, settings)
