"""The web process's entry: ``wsgi:app`` for servers, and ``flask --app wsgi`` for commands."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from checkout_service.app import create_app
from checkout_service.settings import SettingsError, WebSettings

# Flask's command line says who it is. Before the app sets up its logs: Alembic tells of each of its parts as it loads.
migrating = import_module("checkout_service.migrating") if os.environ.get("FLASK_RUN_FROM_CLI") else None

try:
    app = create_app(WebSettings.from_environment())
except SettingsError as error:
    sys.exit(f"The environment cannot be used:\n{error}")

if migrating is not None:
    migrating.init_app(app)
