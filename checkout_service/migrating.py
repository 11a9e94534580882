"""The commands ``flask db …``: Flask-Migrate on our migrations.

Loaded by the command line alone. Alembic takes 11 MB and a tenth of a second, and a server has no use for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flask import Flask
from flask_migrate import Migrate

from checkout_service.database import db

MIGRATIONS: Final = Path(__file__).resolve().parent.parent / "migrations"


def init_app(app: Flask) -> None:
    """Give the app's command line its ``db`` group."""
    Migrate(app, db, directory=str(MIGRATIONS))
