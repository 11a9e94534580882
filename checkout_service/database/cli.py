"""The commands ``checkout db …``: Flask-Migrate on our migrations.

Loaded by the command line alone. Alembic takes 11 MB and a tenth of a second, and a server has no use for it.
"""

from __future__ import annotations

from flask import Flask
from flask_migrate import Migrate

from checkout_service.database.engine import db
from checkout_service.database.schema import MIGRATIONS


def init_app(app: Flask) -> None:
    """Give the app's command line its ``db`` group."""
    Migrate(app, db, directory=str(MIGRATIONS))
