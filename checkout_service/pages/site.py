"""Opens the shop: its routes are there only where this was called."""

from __future__ import annotations

from flask import Flask

from checkout_service.pages import ordering, paying, shop
from checkout_service.pages.base import furnish


def init_app(app: Flask) -> None:
    """Serve the shop's pages."""
    furnish(app)
    app.register_blueprint(shop.blueprint)
    app.register_blueprint(paying.blueprint)
    app.register_blueprint(ordering.blueprint)
